"""What lint finds by what it is told of services: actions, resource types, condition keys."""

from typing import Any

import pytest
from tests.iam.lint.cases import (
    CONDITION,
    ENDPOINT,
    FACTS,
    OF_SERVICES,
    SUBNET,
    TUNNEL,
    findings,
    statement,
)

from hatchway.iam import parse_policy
from hatchway.iam.lint import ActionFacts, Finding, ResourceTypeFacts, ServiceFacts
from hatchway.iam.lint.facts import Facts
from hatchway.iam.lint.reference import check
from hatchway.iam.lint.source import statements_of


@pytest.mark.parametrize(("made", "expected"), OF_SERVICES, ids=range(len(OF_SERVICES)))
def test_a_statement_is_held_against_what_its_services_have(
    made: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert findings(made) == expected


def told(made: dict[str, Any], facts: Facts = FACTS) -> list[Finding]:
    (linted,) = statements_of(parse_policy({"Version": "2012-10-17", "Statement": made}))
    return [*check(linted, facts)]


LINKED = "iam:CreateServiceLinkedRole"

TOLD = [
    (
        statement(Action=["ec2:CreateTags", "EC3:Create"]),
        Finding(
            "unknown-action",
            "Statement[0].Action[1]",
            "'EC3:Create' is of no service that is known: there is none with the prefix 'EC3'.",
            "Correct the prefix before the colon.",
        ),
    ),
    (
        statement(Action=["EC2:CREATETAG"]),
        Finding(
            "unknown-action",
            "Statement[0].Action[0]",
            "No action of ec2 is 'EC2:CREATETAG'.",
            "Perhaps ec2:CreateTags is meant.",
        ),
    ),
    (
        statement(Action="ec2:Xyz*"),
        Finding(
            "unknown-action", "Statement[0].Action", "No action of ec2 is 'ec2:Xyz*'.", "Correct the name."
        ),
    ),
    (
        statement(Action=["ec2:Describe*"], Resource=[SUBNET, ENDPOINT]),
        Finding(
            "resource-must-be-asterisk",
            "Statement[0].Action[0]",
            f"ec2:Describe* has no resource-level support, so {SUBNET}, {ENDPOINT} never matches.",
            'Put it into a statement of its own with "Resource": "*".',
        ),
    ),
    (
        statement(Action=[LINKED], Resource=[SUBNET, ENDPOINT]),
        Finding(
            "resource-never-matches",
            "Statement[0].Action[0]",
            f"iam:CreateServiceLinkedRole is about role, which {SUBNET}, {ENDPOINT} is not.",
            "Name a resource such as arn:${Partition}:iam::${Account}:role/${RoleName}.",
        ),
    ),
    (
        statement(Action="ec2:CreateTags", Resource="arn:aws:ec2:*:*:vpc/*"),
        Finding(
            "resource-never-matches",
            "Statement[0].Action",
            "ec2:CreateTags is about instance-connect-endpoint, subnet, which arn:aws:ec2:*:*:vpc/* is not.",
            "Name a resource such as arn:${Partition}:ec2:${Region}:${Account}:subnet/${SubnetId}.",
        ),
    ),
    (
        statement(Condition={"StringEquals": {"aws:SourceIPs": "x"}}),
        Finding(
            "unknown-condition-key",
            CONDITION + "StringEquals.aws:SourceIPs",
            "No request has the key 'aws:SourceIPs'.",
            "Perhaps aws:sourceip is meant.",
        ),
    ),
    (
        statement(Condition={"StringEquals": {"EC2:Regio": "x"}}),
        Finding(
            "unknown-condition-key",
            CONDITION + "StringEquals.EC2:Regio",
            "No request has the key 'EC2:Regio'.",
            "Perhaps ec2:region is meant.",
        ),
    ),
    (
        statement(Action="ec?:CreateTags", Condition={"StringEquals": {"IAM:AWSServiceName:x": "x"}}),
        Finding(
            "unknown-condition-key",
            CONDITION + "StringEquals.IAM:AWSServiceName:x",
            "No request has the key 'IAM:AWSServiceName:x'.",
            "Perhaps iam:awsservicename is meant.",
        ),
    ),
    (
        statement(Condition={"StringEquals": {"zzz:zzz": "x"}}),
        Finding(
            "unknown-condition-key",
            CONDITION + "StringEquals.zzz:zzz",
            "No request has the key 'zzz:zzz'.",
            "Correct the key.",
        ),
    ),
    (
        statement(
            Action=["ec2:CreateTags", "ec2:createtags", "ec2:CREATETAGS", "ec2:Create*", "ec2:CreateTag?"],
            Condition={"StringEquals": {"ec2:Region": "us-east-1"}},
        ),
        Finding(
            "inapplicable-condition-key",
            CONDITION + "StringEquals.ec2:Region",
            "Requests for ec2:CreateTags, ec2:createtags, ec2:CREATETAGS, ec2:Create* and others do not have "
            "ec2:Region.",
            "Move the action into a statement without this condition.",
        ),
    ),
    (
        statement(
            Action=["ec2:CreateTags", "ec2:createtags", LINKED, LINKED.lower(), "iam:*", "iam:Create*"],
            Resource="*",
            Condition={"StringEquals": {"AWS:ResourceTag/Env": "dev"}},
        ),
        Finding(
            "inapplicable-condition-key",
            CONDITION + "StringEquals.AWS:ResourceTag/Env",
            f"Requests for {LINKED}, {LINKED.lower()}, iam:*, iam:Create* do not have AWS:ResourceTag/Env.",
            "Move the action into a statement without this condition.",
        ),
    ),
    (
        statement(Condition={"StringEqualsIfExists": {"AWS:SourceIp": "10.0.0.1"}}),
        Finding(
            "operator-type-mismatch",
            CONDITION + "StringEqualsIfExists.AWS:SourceIp",
            "AWS:SourceIp is of type IPAddress, which StringEqualsIfExists does not compare.",
            "Use IpAddress… or NotIpAddress….",
        ),
    ),
    (
        statement(
            Action=TUNNEL,
            Resource="*",
            Condition={"ForAnyValue:DateEquals": {"ec2-instance-connect:remotePort": "22"}},
        ),
        Finding(
            "operator-type-mismatch",
            CONDITION + "ForAnyValue:DateEquals.ec2-instance-connect:remotePort",
            "ec2-instance-connect:remotePort is of type Numeric, which ForAnyValue:DateEquals does not "
            "compare.",
            "Use Numeric….",
        ),
    ),
]


@pytest.mark.parametrize(("made", "finding"), TOLD, ids=range(len(TOLD)))
def test_a_finding_says_where_what_and_what_to_do(made: dict[str, Any], finding: Finding) -> None:
    assert told(made) == [finding]


@pytest.mark.parametrize(
    "made",
    [
        statement(NotAction="ec2:DescribeSubnets"),
        statement(NotAction="ec2:CreateTags", Condition={"StringEquals": {"ec2:Region": "us-east-1"}}),
        statement(NotResource="arn:aws:s3:::x"),
        statement(Action="*", Resource="arn:aws:s3:::x"),
        statement(Action="ec?:Describe*", Resource=SUBNET),
        statement(Resource=["arn:aws:s3:::x", SUBNET]),
        statement(Action="ec2:DescribeSubnets", Resource=[SUBNET, "*"]),
        statement(Condition={"ForAllValues:NumericEquals": {"ec2-instance-connect:remotePort": "22"}})
        | {"Action": TUNNEL, "Resource": ENDPOINT},
        statement(Action="*", NotResource=SUBNET),
        statement(Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.1"}}),
        statement(Condition={"Null": {"aws:TagKeys": "true"}}, NotAction="ec2:*"),
        # of a service that is not known, no key is known to be wrong
        statement(Action="*", Resource="*", Condition={"StringEquals": {"x:y": "z"}}),
    ],
)
def test_of_what_fits_its_services_nothing_is_said(made: dict[str, Any]) -> None:
    assert told(made) == []


def test_a_key_with_several_values_needs_a_set_operator() -> None:
    made = statement(NotAction="iam:*", Condition={"StringLikeIfExists": {"aws:TagKeys": "env"}})

    assert told(made) == [
        Finding(
            "set-operator-missing",
            CONDITION + "StringLikeIfExists.aws:TagKeys",
            "aws:TagKeys has several values, which StringLikeIfExists never matches.",
            "Use ForAnyValue:StringLikeIfExists, or ForAllValues:StringLikeIfExists with a Null condition "
            "beside it.",
        )
    ]
    made = statement(NotAction="iam:*", Condition={"NumericEquals": {"aws:TagKeys": "1"}})
    assert [finding.code for finding in told(made)] == ["operator-type-mismatch", "set-operator-missing"]
    for prefix in ("ForAnyValue:", "ForAllValues:"):
        assert (
            told(statement(NotAction="iam:*", Condition={f"{prefix}StringLike": {"aws:TagKeys": "x"}})) == []
        )


class Kinds:
    """A service with one action about many kinds of resource."""

    def service(self, prefix: str) -> ServiceFacts:
        kinds = tuple(ResourceTypeFacts(name, f"arn:aws:x:::{name}/*") for name in "edcba")
        return ServiceFacts(prefix, {"do": ActionFacts(f"{prefix}:Do", kinds, frozenset())}, {"x:odd": "Odd"})


def test_of_many_kinds_of_resource_the_first_four_are_told() -> None:
    (finding,) = told(statement(Action="x:Do"), Kinds())
    assert finding.message == f"x:Do is about a, b, c, d and others, which {SUBNET} is not."
    assert finding.fix == "Name a resource such as arn:aws:x:::e/*."


def test_of_a_type_that_is_not_known_any_operator_may_be_right() -> None:
    assert told(statement(NotAction="x:*", Condition={"StringEquals": {"x:odd": "z"}}), Kinds()) == []
