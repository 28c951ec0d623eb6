"""What lint finds without knowing any service."""

from typing import Any

import pytest
from tests.iam.lint.cases import CONDITION, ENDPOINT, OF_RULES, PORT, SUBNET, TUNNEL, findings, statement

from hatchway.iam import PolicyKind, parse_policy
from hatchway.iam.lint import Finding, lint


@pytest.mark.parametrize(("made", "expected"), OF_RULES, ids=range(len(OF_RULES)))
def test_a_statement_has_the_findings_that_it_deserves(
    made: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert findings(made) == expected


DURATION = "ec2-instance-connect:maxTunnelDuration"
ANY_ADDRESS = "Name the endpoint, or add conditions on ec2-instance-connect:remotePort and "

TOLD = [
    (
        statement(Sid="not-so-good"),
        Finding(
            "sid-characters",
            "Statement[0].Sid",
            "'not-so-good' has other characters than letters and digits, which AWS refuses.",
            "Use letters and digits only, if the policy is ever to be used on AWS.",
        ),
    ),
    (
        statement(
            Resource=["*", "arn:aws:rds:region:account-id:db:x"],
            Condition={"StringEquals": {"aws:username": "x"}},
        ),
        Finding(
            "placeholder",
            "Statement[0].Resource[1]",
            "'region:account-id' in 'arn:aws:rds:region:account-id:db:x' is a placeholder: no resource has "
            "such an ARN.",
            "Put the region and the account there, or * for any.",
        ),
    ),
    (
        statement(Condition={"ArnLike": {"aws:PrincipalArn": ["*", "arn:aws:iam::my-account:role/x"]}}),
        Finding(
            "placeholder",
            CONDITION + "ArnLike.aws:PrincipalArn[1]",
            "'my-account' in 'arn:aws:iam::my-account:role/x' is a placeholder: no resource has such an ARN.",
            "Put the region and the account there, or * for any.",
        ),
    ),
    (
        statement(Resource="arn:aws:ec2"),
        Finding(
            "incomplete-arn",
            "Statement[0].Resource",
            "'arn:aws:ec2' is completed to arn:aws:ec2:*:*:*.",
            "Write the whole ARN, with * for what may be any.",
        ),
    ),
    (
        statement(Resource=[SUBNET, "arn:aws:ec2:us-east-1:*"]),
        Finding(
            "incomplete-arn",
            "Statement[0].Resource[1]",
            "'arn:aws:ec2:us-east-1:*' is completed to arn:aws:ec2:us-east-1:*:*.",
            "Write the whole ARN, with * for what may be any.",
        ),
    ),
    (
        statement(Resource="arn:aws:ec2:::x/a:b"),
        Finding(
            "empty-scope",
            "Statement[0].Resource",
            "'arn:aws:ec2:::x/a:b' has no region and account; for EC2 that means any.",
            "Name the region and account, or write * to say that any will do.",
        ),
    ),
    (
        statement(Resource="arn:aws:ec2::123456789012:subnet/*"),
        Finding(
            "empty-scope",
            "Statement[0].Resource",
            "'arn:aws:ec2::123456789012:subnet/*' has no region; for EC2 that means any.",
            "Name the region, or write * to say that any will do.",
        ),
    ),
    (
        statement(Resource="arn:aws:ec2:us-east-1::subnet/*"),
        Finding(
            "empty-scope",
            "Statement[0].Resource",
            "'arn:aws:ec2:us-east-1::subnet/*' has no account; for EC2 that means any.",
            "Name the account, or write * to say that any will do.",
        ),
    ),
    (
        statement(
            Condition={
                "StringEquals": {DURATION: "9999", "aws:username": "x"},
                "NumericLessThanEquals": {DURATION: ["1", "86400", "${aws:username}", "0"]},
            },
        ),
        Finding(
            "duration-out-of-range",
            CONDITION + f"NumericLessThanEquals.{DURATION}[3]",
            "0 seconds: a tunnel lasts from 1 to 86400.",
            "Use a number from 1 to 86400.",
        ),
    ),
    (
        statement(
            Condition={
                "StringEquals": {"aws:username": "10.0.1.7/24"},
                "NotIpAddress": {"aws:SourceIp": ["10.0.0.1", "10.0.1.${aws:username}/24", "10.0.1.7/24"]},
            }
        ),
        Finding(
            "host-bits",
            CONDITION + "NotIpAddress.aws:SourceIp[2]",
            "'10.0.1.7/24' has host bits set; it means 10.0.1.0/24.",
            "Write 10.0.1.0/24 for the range, or 10.0.1.7 for the one address.",
        ),
    ),
    (
        statement(NotAction="*"),
        Finding(
            "allow-not-action",
            "Statement[0].NotAction",
            "Allow with NotAction allows every other action of every service.",
            "List the actions to allow in Action, or keep NotAction for a Deny.",
        ),
    ),
    (
        statement(Action=TUNNEL, NotResource="*"),
        Finding(
            "allow-not-resource",
            "Statement[0].NotResource",
            "Allow with NotResource allows the actions on every other resource.",
            "List the resources to allow in Resource, or keep NotResource for a Deny.",
        ),
    ),
    (
        statement(
            Condition={
                "ForAllValues:StringEquals": {"aws:TagKeys": "env"},
                "Bool": {"aws:TagKeys": "false"},
                "Null": {"aws:username": "false", "aws:TagKeys": [True, False]},
            }
        ),
        Finding(
            "for-all-values-unguarded",
            CONDITION + "ForAllValues:StringEquals.aws:TagKeys",
            "A request without aws:TagKeys meets ForAllValues:StringEquals too.",
            'Add "Null": {"aws:TagKeys": "false"} to the conditions.',
        ),
    ),
    (
        statement(Action="*", Resource=[SUBNET, "*"]),
        Finding(
            "wide-grant",
            "Statement[0]",
            "Every action on every resource is allowed.",
            "Name the actions and resources that are needed.",
        ),
    ),
    (
        statement(Action="hatchway:*Fleet", Resource=[ENDPOINT, "*"]),
        Finding(
            "wide-grant",
            "Statement[0].Action",
            "Who may apply a fleet file may do anything: it sets everybody's policies, and the guardrails.",
            "Allow hatchway:ApplyFleet to administrators alone, and name the other actions of hatchway.",
        ),
    ),
    (
        statement(Action=["hatchway:*"], Resource=[ENDPOINT, "*"]),
        Finding(
            "wide-grant",
            "Statement[0].Action",
            "Who may apply a fleet file may do anything: it sets everybody's policies, and the guardrails.",
            "Allow hatchway:ApplyFleet to administrators alone, and name the other actions of hatchway.",
        ),
    ),
    *(
        (
            statement(Action=action, Resource=[ENDPOINT, everything]),
            Finding(
                "wide-grant",
                "Statement[0].Resource[1]",
                "OpenTunnel through every endpoint, to any port of any address that it reaches, is allowed.",
                f"{ANY_ADDRESS}ec2-instance-connect:privateIpAddress.",
            ),
        )
        for action in (TUNNEL, "ec2-instance-connect:*")
        for everything in (
            "*",
            "arn:aws:ec2:*:*:*",
            "arn:*:*:us-east-1:*:instance-connect-endpoint*",
            "arn:aws:ec?:*:123456789012:instance-connect-endpoint/*",
        )
    ),
]


@pytest.mark.parametrize(("made", "finding"), TOLD, ids=range(len(TOLD)))
def test_a_finding_says_where_what_and_what_to_do(made: dict[str, Any], finding: Finding) -> None:
    assert lint(parse_policy({"Version": "2012-10-17", "Statement": made})) == (finding,)


@pytest.mark.parametrize(
    "made",
    [
        statement(Resource="arn:aws:ec2:us-east-1:123456789012:"),
        statement(Resource="arn:aws:iam::123456789012:role/a"),
        statement(Condition={"StringEquals": {"aws:username": "urn:aws:x:region:account-id:y"}}),
        statement(Condition={"NumericEquals": {DURATION: ["1", "86400"]}}),
        statement(Condition={"StringEquals": {DURATION: "86401"}}),
        statement(Effect="Deny", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": "env"}}),
        statement(Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": "env"}}),
        statement(Action="*", Resource="*", Condition={"StringEquals": {"aws:username": "x"}, **PORT}),
        statement(Action="iam:*", Resource="*"),
        statement(Action="hatchway:List*", Resource="*"),
        statement(Action="hatchway:*", Resource="arn:aws:hatchway:us-east-1:123456789012:tunnel/*"),
        statement(Action=TUNNEL, Resource="arn:aws:s3:::*"),
        statement(Action=TUNNEL, Resource="arn:aws:x:ec2:y:z:*"),
        statement(Action=TUNNEL, Resource="arn:aws:ec2${x}:*:*:*"),
        statement(Action=TUNNEL, Resource="arn:aws:ec2:*:*:instance-connect-endpoint/eice-1*"),
        statement(Effect="Deny", Action=TUNNEL, Resource="*"),
        statement(Effect="Deny", Action="hatchway:*", Resource="*"),
        statement(Effect="Deny", NotAction="iam:*", Resource="*"),
        statement(Action="hatchway:DescribeHosts", Resource="*"),
        statement(Action="hatchway:*", Resource=ENDPOINT),
    ],
)
def test_of_what_its_author_may_well_mean_nothing_is_said(made: dict[str, Any]) -> None:
    assert lint(parse_policy({"Version": "2012-10-17", "Statement": made})) == ()


ANYONE = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ["123456789012", "*"]}}


def test_a_trust_policy_open_to_anyone_is_found() -> None:
    (found,) = lint(parse_policy({"Version": "2012-10-17", "Statement": ANYONE}, kind=PolicyKind.TRUST))
    assert found == Finding(
        "wide-grant",
        "Statement[0].Principal",
        "Anyone at all may assume the role.",
        "Name the accounts, users, roles or services that may.",
    )


@pytest.mark.parametrize(
    "made",
    [
        ANYONE | {"Condition": {"StringEquals": {"sts:ExternalId": "x"}}},
        ANYONE | {"Effect": "Deny"},
        ANYONE | {"Principal": {"AWS": "123456789012"}},
    ],
)
def test_a_trust_policy_with_some_limit_is_not(made: dict[str, Any]) -> None:
    assert lint(parse_policy({"Version": "2012-10-17", "Statement": made}, kind=PolicyKind.TRUST)) == ()
