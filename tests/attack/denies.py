"""Denies that would fail open: the caller lacks what the Deny asks about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.attack.honest import Refused, Tunnel, echo_host
from tests.attack.insiders import _call
from tests.attack.site import ENDPOINT_ARN, OPEN, Site, allow, deny
from tests.attack.trial import Family, Outcome, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TUNNEL: Final = "ec2-instance-connect:OpenTunnel"
_OWN_TEAM: Final = "${aws:PrincipalTag/Team}"

# Each is a Deny, the tags of whom it must stop, and the tags of whom it must let through, if anybody.
_CASES: Final[Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, str], Mapping[str, str] | None]]] = {
    "source_address": (
        "AWS's example that denies by source address, from an address outside its range",
        deny(
            _TUNNEL,
            Condition={
                "NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24"]},
                "Bool": {"aws:ViaAWSService": "false"},
            },
        ),
        {},
        None,
    ),
    "source_address_if_exists": (
        "the same with IfExists",
        deny(
            _TUNNEL,
            Condition={
                "NotIpAddressIfExists": {"aws:SourceIp": ["192.0.2.0/24"]},
                "BoolIfExists": {"aws:ViaAWSService": "false", "aws:PrincipalIsAWSService": "false"},
            },
        ),
        {},
        None,
    ),
    **{
        f"{operator.lower().replace(':', '_')}_without_a_tag": (
            f"a user without tags, against a Deny {operator} of other teams' endpoints",
            deny(_TUNNEL, Condition={operator: {"aws:ResourceTag/Team": _OWN_TEAM}}),
            {},
            {"Team": "red"},
        )
        for operator in (
            "StringNotEquals",
            "StringNotEqualsIgnoreCase",
            "StringNotLike",
            "StringNotEqualsIfExists",
            "ForAnyValue:StringNotEquals",
        )
    },
    "not_resource_without_a_tag": (
        "a user without tags, against a Deny whose NotResource names the user's own endpoint by a tag",
        {
            "Effect": "Deny",
            "Action": _TUNNEL,
            "NotResource": ENDPOINT_ARN.replace("eice-0123456789abcdef0", "${aws:PrincipalTag/Endpoint}"),
        },
        {},
        {"Endpoint": "eice-0123456789abcdef0"},
    ),
    "one_value_unresolved": (
        "a user without tags, against a Deny of all teams except the user's own and blue",
        deny(_TUNNEL, Condition={"StringNotEquals": {"aws:ResourceTag/Team": [_OWN_TEAM, "blue"]}}),
        {},
        {"Team": "red"},
    ),
}


def _trial(name: str) -> Callable[[Site], Outcome]:
    _, statement, tags, others = _CASES[name]

    def run(site: Site) -> Outcome:
        stopped, passes = f"{name}-stopped".replace("_", "-"), f"{name}-passes".replace("_", "-")
        site.user(stopped[:60], OPEN, statement, tags=tags)
        if others is not None:
            site.user(passes[:60], OPEN, statement, tags=others)
        with echo_host() as port:
            first = _opens(site, stopped[:60], port)
            second = None if others is None else _opens(site, passes[:60], port)
        told = f"denied: {not first}" + ("" if second is None else f"; user with the tag allowed: {second}")
        return Outcome(not first and second is not False, told)

    return run


def _opens(site: Site, user: str, port: int) -> bool:
    try:
        tunnel = Tunnel(site, site.target(user, port))
    except Refused as refused:
        # By its policies, not for its key.
        assert "AccessDenied" in str(refused), refused
        return False
    try:
        tunnel.echo()
        return True
    finally:
        tunnel.close()


def simulation_agrees(site: Site) -> Outcome:
    """What `simulate` says of AWS's example is what enforcement does."""
    site.user(
        "simulated",
        allow("ec2:DescribeVpcs"),
        deny("ec2:*", Condition={"Bool": {"aws:ViaAWSService": "false"}}),
    )
    enforced = _call(site, "ec2", "simulated", "describe_vpcs")
    answer = site.api("iam").simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::123456789012:user/simulated", ActionNames=["ec2:DescribeVpcs"]
    )
    said = answer["EvaluationResults"][0]["EvalDecision"]
    return Outcome(
        (enforced, said) == ("UnauthorizedOperation", "explicitDeny"),
        f"enforced: {enforced or 'allowed'}; simulated: {said}",
    )


FAMILY: Final = Family(
    "denies",
    "A person whom a Deny should stop",
    [
        *(
            Trial(f"deny_{name}", words, "403; a user who has the tag is allowed", _trial(name))
            for name, (words, _, _, _) in _CASES.items()
        ),
        Trial(
            "simulation_agrees",
            "asks `simulate` about a Deny on `aws:ViaAWSService`",
            "the same answer as enforcement",
            simulation_agrees,
        ),
    ],
)
