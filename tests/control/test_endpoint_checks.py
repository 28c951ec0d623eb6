"""Whose tags decide on an endpoint: guards on those of a subnet or group hold whatever tags are asked for."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatchway.access.authorization import AccessDenied, Check, Guard, authorize
from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.control.ec2.endpoint_checks import (
    Creation,
    Modification,
    creation_checks,
    deletion_checks,
    modification_checks,
)
from hatchway.domain.arns import Arns
from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType
from hatchway.domain.network import SecurityGroup, Subnet, Tags
from hatchway.iam import Outcome, PolicySet, parse_policy

ARNS = Arns("123456789012", "us-east-1")
GROUP, ENDPOINT = "sg-a", "eice-a"
Checks = Sequence[Check | Guard]


def subnet(tags: Tags) -> Subnet:
    return Subnet(
        id="subnet-a",
        vpc_id="vpc-a",
        name="web",
        cidrs=("10.0.1.0/24",),
        availability_zone="us-east-1a",
        tags=tags,
    )


def group(tags: Tags) -> SecurityGroup:
    return SecurityGroup(id=GROUP, vpc_id="vpc-a", name="ssh", description="", tags=tags)


def creation(asked: Tags, of_subnet: Tags, of_group: Tags | None = None) -> Checks:
    return creation_checks(
        ARNS,
        Creation(
            endpoint_id=ENDPOINT,
            subnet_id="subnet-a",
            subnet=subnet(of_subnet),
            groups={GROUP: group(of_group or {})},
            tags=asked,
            makes_role=True,
        ),
    )


def present(own: Tags, of_subnet: Tags) -> tuple[Endpoint, Subnet]:
    endpoint = Endpoint(
        id=ENDPOINT,
        name=None,
        vpc_id="vpc-a",
        subnet_id="subnet-a",
        availability_zone="us-east-1a",
        dns_name="gateway.example",
        state=EndpointState.CREATE_COMPLETE,
        state_message="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        deleted_at=None,
        security_group_ids=(GROUP,),
        network_interface_ids=(),
        preserve_client_ip=False,
        ip_address_type=IpAddressType.IPV4,
        max_tunnels=None,
        tags=own,
    )
    return endpoint, subnet(of_subnet)


def deletion(own: Tags, of_subnet: Tags) -> Checks:
    return deletion_checks(ARNS, ENDPOINT, present(own, of_subnet))


def modification(own: Tags, of_subnet: Tags, of_group: Tags | None = None) -> Checks:
    return modification_checks(
        ARNS,
        ENDPOINT,
        present(own, of_subnet),
        Modification(groups={GROUP: group(of_group or {})}, attributes={"PreserveClientIp": "false"}),
    )


EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def refused_by(statements: Sequence[dict[str, Any]], checks: Checks) -> bool:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    principal = Principal(
        arn="arn:aws:iam::123456789012:user/alice",
        account="123456789012",
        type=PrincipalType.USER,
        user_id="AIDA1",
        user_name="alice",
        access_key_id="AKIA1",
    )
    caller = Caller(principal, PolicySet(identity=(parse_policy(document, name="own"),)))
    try:
        authorize(caller, checks, {})
    except AccessDenied:
        return True
    return False


KEYS, VALUES = ["env", "team", "Tier"], ["dev", "prod", "d*"]
OPERATORS = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIfExists",
             "StringNotEqualsIfExists", "ForAnyValue:StringEquals", "ForAllValues:StringNotEquals",
             "StringEqualsIgnoreCase"]  # fmt: skip
ACTIONS = ["*", "ec2:*", "ec2:CreateInstanceConnectEndpoint", "ec2:CreateNetworkInterface", "ec2:CreateTags",
           "iam:CreateServiceLinkedRole", "ec2:DeleteInstanceConnectEndpoint",
           "ec2:ModifyInstanceConnectEndpoint"]  # fmt: skip
GUARDED = ["*", ARNS.subnet("*"), ARNS.subnet("subnet-a"), ARNS.endpoint("*"), ARNS.network_interface("*")]
some_case = st.sampled_from([str.upper, str.lower, str.title])


@st.composite
def guards(draw: st.DrawFn, present_keys: Sequence[str]) -> list[dict[str, Any]]:
    """Statements whose conditions are about tags that the subnet has."""
    conditions: dict[str, dict[str, Any]] = {}
    for key in draw(st.lists(st.sampled_from(present_keys), min_size=1, max_size=2, unique=True)):
        prefix = draw(st.sampled_from(["aws:ResourceTag/", "ec2:ResourceTag/"]))
        name, operator = prefix + draw(some_case)(key), draw(st.sampled_from(OPERATORS))
        conditions.setdefault(operator, {})[name] = draw(st.lists(st.sampled_from(VALUES), min_size=1))
    action, resource = draw(st.sampled_from(ACTIONS)), draw(st.sampled_from(GUARDED))
    guard = {"Action": action, "Resource": resource, "Condition": conditions}
    if draw(st.booleans()):
        return [EVERYTHING, {"Effect": "Deny", **guard}]
    return [{"Effect": "Allow", **guard}]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tags, Tags, list[dict[str, Any]]]:
    of_subnet = draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), min_size=1))
    asked = {
        draw(some_case)(key): value
        for key, value in draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))).items()
    }
    return of_subnet, asked, draw(guards(sorted(of_subnet)))


DENY_PROD: list[dict[str, Any]] = [EVERYTHING, {"Effect": "Deny", "Action": "*", "Resource": "*",
                          "Condition": {"StringEquals": {"aws:ResourceTag/env": "prod"}}}]  # fmt: skip


@pytest.mark.parametrize("checks_of", [creation, deletion, modification])
@given(case=cases())
@example(case=({"env": "prod"}, {"ENV": "dev"}, DENY_PROD))
def test_no_tags_of_an_endpoint_lead_past_a_guard_on_its_subnets(
    checks_of: Callable[[Tags, Tags], Checks], case: tuple[Tags, Tags, list[dict[str, Any]]]
) -> None:
    of_subnet, asked, statements = case
    if refused_by(statements, checks_of({}, of_subnet)):
        assert refused_by(statements, checks_of(asked, of_subnet))


@pytest.mark.parametrize("checks_of", [creation, deletion, modification])
@given(case=cases())
def test_no_tags_of_a_subnet_lead_past_a_guard_on_the_endpoints(
    checks_of: Callable[[Tags, Tags], Checks], case: tuple[Tags, Tags, list[dict[str, Any]]]
) -> None:
    own, of_subnet, statements = case
    if refused_by(statements, checks_of(own, {})):
        assert refused_by(statements, checks_of(own, of_subnet))


def on_groups(effect: str, **condition: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "*", "Resource": ARNS.security_group("*"), "Condition": condition}


@pytest.mark.parametrize("checks_of", [creation, modification])
@pytest.mark.parametrize(
    ("statement", "of_group", "refused"),
    [
        (on_groups("Deny", StringEquals={"aws:ResourceTag/env": "prod"}), {"env": "prod"}, True),
        (on_groups("Deny", StringEquals={"aws:ResourceTag/env": "prod"}), {}, False),
        # What a group lacks no tag of the endpoint stands in for…
        (on_groups("Deny", StringNotEquals={"aws:ResourceTag/env": "dev"}), {}, True),
        (on_groups("Deny", StringNotEquals={"ec2:ResourceTag/env": "dev"}), {"env": "dev"}, False),
        (on_groups("Deny", Null={"aws:ResourceTag/env": "true"}), {}, True),
        # … whatever else the Deny names…
        (
            on_groups("Deny", StringNotEquals={"aws:ResourceTag/env": "dev"})
            | {"Resource": [ARNS.security_group("*"), ARNS.subnet("*")]},
            {},
            True,
        ),
        (
            on_groups("Deny", StringNotEquals={"aws:ResourceTag/env": "dev"})
            | {"Resource": [ARNS.security_group("*"), ARNS.subnet("*"), ARNS.endpoint("*")]},
            {"env": "dev"},
            False,
        ),
        (
            on_groups("Deny", StringNotEquals={"aws:ResourceTag/env": "dev"}) | {"Resource": "arn:aws:ec2"},
            {},
            False,
        ),
        # … but a Deny on everything means the operation, and there it does.
        (DENY_PROD[1] | {"Condition": {"StringNotEquals": {"aws:ResourceTag/env": "dev"}}}, {}, False),
        (DENY_PROD[1], {"env": "prod"}, True),
        (on_groups("Deny", ArnEquals={"ec2:Vpc": ARNS.vpc("vpc-a")}), {}, True),
        (on_groups("Deny", ArnNotEquals={"ec2:Vpc": ARNS.vpc("vpc-a")}), {}, False),
        (on_groups("Deny", StringEquals={"ec2:SecurityGroupID": GROUP}), {}, True),
    ],
)
def test_a_security_group_is_judged_by_its_own_tags_and_vpc(
    checks_of: Callable[[Tags, Tags, Tags], Checks],
    statement: dict[str, Any],
    of_group: Tags,
    refused: bool,
) -> None:
    assert refused_by([EVERYTHING, statement], checks_of({"env": "dev"}, {}, of_group)) is refused


def test_permission_on_a_group_hangs_on_the_groups_own_tags() -> None:
    allowed = [
        {"Effect": "Allow", "Action": "*", "Resource": ARNS.subnet("*")},
        on_groups("Allow", StringEquals={"aws:ResourceTag/env": "dev"}),
    ]
    assert not refused_by(allowed, creation({}, {}, {"env": "dev"}))
    assert refused_by(allowed, creation({"env": "dev"}, {"env": "dev"}, {}))
    assert refused_by(allowed, creation({"env": "dev"}, {"env": "dev"}, {"env": "prod"}))


def on_attribute(effect: str, **condition: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition}


@pytest.mark.parametrize(
    ("statements", "refused"),
    [
        # A call sets two things: a Deny on either counts, an Allow must be for both.
        ([EVERYTHING, on_attribute("Deny", StringEquals={"ec2:Attribute": "PreserveClientIp"})], True),
        ([EVERYTHING, on_attribute("Deny", StringEquals={"ec2:Attribute": "SecurityGroupIds"})], True),
        ([EVERYTHING, on_attribute("Deny", StringEquals={"ec2:Attribute": "IpAddressType"})], False),
        ([on_attribute("Allow", StringEquals={"ec2:Attribute": "SecurityGroupIds"})], True),
        (
            [on_attribute("Allow", StringEquals={"ec2:Attribute": ["SecurityGroupIds", "PreserveClientIp"]})],
            False,
        ),
        ([on_attribute("Allow", Bool={"ec2:Attribute/PreserveClientIp": "false"})], False),
        ([on_attribute("Allow", Bool={"ec2:Attribute/PreserveClientIp": "true"})], True),
        ([EVERYTHING, on_attribute("Deny", StringEquals={"ec2:Attribute/SecurityGroupIds": GROUP})], True),
        ([EVERYTHING, on_attribute("Deny", StringEquals={"ec2:Attribute/SecurityGroupIds": "sg-b"})], False),
    ],
)
def test_a_modification_is_judged_by_each_thing_that_it_sets(
    statements: list[dict[str, Any]], refused: bool
) -> None:
    assert refused_by(statements, modification({}, {})) is refused


def test_creation_has_the_zones_id_beside_its_name() -> None:
    for condition in ({"ec2:AvailabilityZoneId": "use1-az1"}, {"ec2:AvailabilityZone": "us-east-1a"}):
        deny = on_attribute("Deny", StringEquals=condition)
        assert refused_by([EVERYTHING, deny], creation({}, {}))
    elsewhere = on_attribute("Deny", StringEquals={"ec2:AvailabilityZoneId": "use1-az2"})
    assert not refused_by([EVERYTHING, elsewhere], creation({}, {}))


def test_the_record_of_a_refused_group_names_the_group_and_the_statements_that_count() -> None:
    statements = [EVERYTHING, on_groups("Deny", Null={"aws:ResourceTag/env": "true"})]
    document = {"Version": "2012-10-17", "Statement": statements}
    principal = Principal(
        arn="arn:aws:iam::123456789012:user/alice",
        account="123456789012",
        type=PrincipalType.USER,
        user_id="AIDA1",
        user_name="alice",
        access_key_id="AKIA1",
    )
    caller = Caller(principal, PolicySet(identity=(parse_policy(document, name="own"),)))
    with pytest.raises(AccessDenied) as caught:
        authorize(caller, creation({"env": "dev"}, {}), {})
    refusal = caught.value.refusal
    assert refusal.outcome is Outcome.EXPLICIT_DENY
    assert [(said.index, said.resource) for said in refusal.deciding] == [(1, ARNS.security_group(GROUP))]
    assert str(caught.value).endswith("with an explicit deny in an identity-based policy")
