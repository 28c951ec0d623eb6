"""The checks that a statement can be put to without knowing any service."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING

from hatchway.iam.lint.findings import Finding
from hatchway.iam.operators import FOR_ALL, NULL
from hatchway.iam.patterns import complete_arn, glob, tokenise
from hatchway.iam.readers import read_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchway.iam.lint.source import Linted

OPEN_TUNNEL = "ec2-instance-connect:opentunnel"
APPLY_FLEET = "hatchway:applyfleet"
TUNNEL_LIMITS = {"ec2-instance-connect:remoteport", "ec2-instance-connect:privateipaddress"}
MAX_TUNNEL_DURATION_KEY = "ec2-instance-connect:maxtunnelduration"
SHORTEST_TUNNEL, LONGEST_TUNNEL = 1, 86_400
"""Seconds (EC2 user guide, "Grant permissions to use EC2 Instance Connect Endpoint")."""

_SID = re.compile(r"[A-Za-z0-9]*")
_PLACEHOLDERS = {
    3: re.compile(r"[<\[{]?(?:aws|your|my)?[-_ ]?region(?:[-_ ]?(?:id|name|code))?[>\]}]?", re.IGNORECASE),
    4: re.compile(
        r"[<\[{]?(?:aws|your|my)?[-_ ]?account(?:[-_ ]?(?:id|number))?[>\]}]?|x{12}", re.IGNORECASE
    ),
}


def sid_characters(linted: Linted) -> Iterable[Finding]:
    """A Sid that AWS itself would refuse."""
    sid = linted.statement.sid
    if sid and not _SID.fullmatch(sid):
        yield Finding(
            "sid-characters",
            f"{linted.place}.Sid",
            f"'{sid}' has other characters than letters and digits, which AWS refuses.",
            "Use letters and digits only, if the policy is ever to be used on AWS.",
        )


def placeholders(linted: Linted) -> Iterable[Finding]:
    """The documentation's words for a region or an account, left in an ARN."""
    arns = [*linted.resources()]
    for condition in linted.statement.conditions:
        arns += linted.condition_values(condition)
    for place, text in arns:
        segments = text.split(":", 5)
        if len(segments) != 6 or segments[0] != "arn":
            continue
        left = [segments[at] for at, words in _PLACEHOLDERS.items() if words.fullmatch(segments[at])]
        if left:
            yield Finding(
                "placeholder",
                place,
                f"'{':'.join(left)}' in '{text}' is a placeholder: no resource has such an ARN.",
                "Put the region and the account there, or * for any.",
            )


def incomplete_arns(linted: Linted) -> Iterable[Finding]:
    """ARNs without all six segments."""
    for place, text in linted.resources():
        tokens = linted.tokens(text)
        completed = complete_arn(tokens)
        if completed is not tokens:
            whole = f"{text}{':*' * ((len(completed) - len(tokens)) // 2)}"
            yield Finding(
                "incomplete-arn",
                place,
                f"'{text}' is completed to {whole}.",
                "Write the whole ARN, with * for what may be any.",
            )


def empty_scopes(linted: Linted) -> Iterable[Finding]:
    """ARNs of EC2 without a region or an account."""
    for place, text in linted.resources():
        segments = text.split(":", 5)
        if len(segments) == 6 and segments[2] == "ec2" and "" in segments[3:5]:
            missing = " and ".join(name for name, at in (("region", 3), ("account", 4)) if not segments[at])
            yield Finding(
                "empty-scope",
                place,
                f"'{text}' has no {missing}; for EC2 that means any.",
                f"Name the {missing}, or write * to say that any will do.",
            )


def durations(linted: Linted) -> Iterable[Finding]:
    """Tunnel durations that no tunnel has."""
    for condition in linted.statement.conditions:
        if condition.folded_key != MAX_TUNNEL_DURATION_KEY or "Numeric" not in condition.operator:
            continue
        for place, text in linted.condition_values(condition):
            seconds = read_number(text)
            if seconds is not None and not SHORTEST_TUNNEL <= seconds <= LONGEST_TUNNEL:
                yield Finding(
                    "duration-out-of-range",
                    place,
                    f"{text} seconds: a tunnel lasts from {SHORTEST_TUNNEL} to {LONGEST_TUNNEL}.",
                    f"Use a number from {SHORTEST_TUNNEL} to {LONGEST_TUNNEL}.",
                )


def host_bits(linted: Linted) -> Iterable[Finding]:
    """CIDR ranges that are written with an address other than their first."""
    for condition in linted.statement.conditions:
        if "IpAddress" not in condition.operator:
            continue
        for place, text in linted.condition_values(condition):
            if "/" not in text or linted.has_variable(text):
                continue
            network = ip_network(text, strict=False)
            if int(network.network_address) != _address(text):
                yield Finding(
                    "host-bits",
                    place,
                    f"'{text}' has host bits set; it means {network}.",
                    f"Write {network} for the range, or {text.partition('/')[0]} for the one address.",
                )


def _address(cidr: str) -> int:
    return int(ip_network(cidr.partition("/")[0]).network_address)


def negations(linted: Linted) -> Iterable[Finding]:
    """Allows of everything but something."""
    if not linted.allows:
        return
    if linted.statement.action.negated:
        yield Finding(
            "allow-not-action",
            f"{linted.place}.NotAction",
            "Allow with NotAction allows every other action of every service.",
            "List the actions to allow in Action, or keep NotAction for a Deny.",
        )
    if linted.statement.resource is not None and linted.statement.resource.negated:
        yield Finding(
            "allow-not-resource",
            f"{linted.place}.NotResource",
            "Allow with NotResource allows the actions on every other resource.",
            "List the resources to allow in Resource, or keep NotResource for a Deny.",
        )


def unguarded_sets(linted: Linted) -> Iterable[Finding]:
    """ForAllValues in an Allow, without a condition that the key be there."""
    conditions = linted.statement.conditions
    guarded = {
        c.folded_key
        for c in conditions
        if c.operator == NULL and {value.lower() for value in c.values} == {"false"}
    }
    for condition in conditions if linted.allows else ():
        if condition.operator.startswith(FOR_ALL) and condition.folded_key not in guarded:
            yield Finding(
                "for-all-values-unguarded",
                linted.condition_place(condition),
                f"A request without {condition.key} meets {condition.operator} too.",
                f'Add "Null": {{"{condition.key}": "false"}} to the conditions.',
            )


def wide_grants(linted: Linted) -> Iterable[Finding]:
    """Allows without any limit worth the name."""
    statement = linted.statement
    if not linted.allows:
        return
    if statement.principal is not None:
        if any(name == "*" for _, name in statement.principal.names) and not statement.conditions:
            yield Finding(
                "wide-grant",
                f"{linted.place}.Principal",
                "Anyone at all may assume the role.",
                "Name the accounts, users, roles or services that may.",
            )
        return
    resources = [*linted.resources()]
    everything = next((place for place, text in resources if _is_every_endpoint(text)), None)
    if everything is None or statement.resource is None or statement.resource.negated:
        return
    if "*" in statement.action.patterns and not statement.action.negated and not statement.conditions:
        if any(text == "*" for _, text in resources):
            yield Finding(
                "wide-grant",
                linted.place,
                "Every action on every resource is allowed.",
                "Name the actions and resources that are needed.",
            )
    elif statement.action.matches(OPEN_TUNNEL) and not TUNNEL_LIMITS & {
        c.folded_key for c in statement.conditions
    }:
        yield Finding(
            "wide-grant",
            everything,
            "OpenTunnel through every endpoint, to any port of any address that it reaches, is allowed.",
            "Name the endpoint, or add conditions on ec2-instance-connect:remotePort and "
            "ec2-instance-connect:privateIpAddress.",
        )


def administrators(linted: Linted) -> Iterable[Finding]:
    """Allows of what is as good as every permission, though it does not look so."""
    action = linted.statement.action
    if not linted.allows or action.negated or "*" in action.patterns or not action.matches(APPLY_FLEET):
        return
    # The action has no resource-level support.
    if any(text == "*" for _, text in linted.resources()):
        yield Finding(
            "wide-grant",
            f"{linted.place}.Action",
            "Who may apply a fleet file may do anything: it sets everybody's policies, and the guardrails.",
            "Allow hatchway:ApplyFleet to administrators alone, and name the other actions of hatchway.",
        )


def _is_every_endpoint(pattern: str) -> bool:
    missing = 5 - pattern.count(":")
    _, _, service, _, _, resource = f"{pattern}{':*' * missing}".split(":", 5)
    of_ec2 = glob(tokenise(service, wildcards=True, variables=False))("ec2")
    return of_ec2 and resource in ("*", "instance-connect-endpoint/*", "instance-connect-endpoint*")


RULES = (
    sid_characters,
    placeholders,
    incomplete_arns,
    empty_scopes,
    durations,
    host_bits,
    negations,
    unguarded_sets,
    wide_grants,
    administrators,
)
