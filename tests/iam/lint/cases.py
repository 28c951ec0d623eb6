"""Statements, the findings (code and place) that each deserves, and the facts of services that this takes."""

from typing import Any

from hatchway.iam import parse_policy
from hatchway.iam.lint import ActionFacts, ResourceTypeFacts, ServiceFacts, lint

SUBNET = "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-a"
ENDPOINT = "arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/eice-1"
TUNNEL = "ec2-instance-connect:OpenTunnel"

SUBNETS = ResourceTypeFacts("subnet", "arn:${Partition}:ec2:${Region}:${Account}:subnet/${SubnetId}")
ROLES = ResourceTypeFacts("role", "arn:${Partition}:iam::${Account}:role/${RoleName}")
ENDPOINTS = ResourceTypeFacts(
    "instance-connect-endpoint",
    "arn:${Partition}:ec2:${Region}:${Account}:instance-connect-endpoint/${EndpointId}",
)
TAG = "aws:resourcetag/${tagkey}"
SERVICES = {
    "ec2": ServiceFacts(
        "ec2",
        {
            "createtags": ActionFacts(
                "ec2:CreateTags", (SUBNETS, ENDPOINTS), frozenset({TAG, "ec2:createaction"})
            ),
            "describesubnets": ActionFacts("ec2:DescribeSubnets", (), frozenset({"ec2:region"})),
        },
        {"ec2:createaction": "String", "ec2:region": "String", "aws:tagkeys": "ArrayOfString", TAG: "String"},
    ),
    "iam": ServiceFacts(
        "iam",
        {"createservicelinkedrole": ActionFacts("iam:CreateServiceLinkedRole", (ROLES,), frozenset())},
        {"iam:awsservicename": "String"},
    ),
    "ec2-instance-connect": ServiceFacts(
        "ec2-instance-connect",
        {
            "opentunnel": ActionFacts(
                TUNNEL,
                (ENDPOINTS,),
                frozenset(
                    {
                        "ec2-instance-connect:remoteport",
                        "ec2-instance-connect:privateipaddress",
                        "ec2-instance-connect:maxtunnelduration",
                    }
                ),
            )
        },
        {
            "ec2-instance-connect:remoteport": "Numeric",
            "ec2-instance-connect:privateipaddress": "IPAddress",
            "ec2-instance-connect:maxtunnelduration": "Numeric",
        },
    ),
}


class KnownServices:
    """Facts about a few actions."""

    def service(self, prefix: str) -> ServiceFacts | None:
        return SERVICES.get(prefix)


FACTS = KnownServices()


def statement(**elements: Any) -> dict[str, Any]:
    made = {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": SUBNET} | elements
    for element in ("Action", "Resource"):
        if f"Not{element}" in elements:
            del made[element]
    return made


def findings(*statements: dict[str, Any]) -> list[tuple[str, str]]:
    policy = parse_policy({"Version": "2012-10-17", "Statement": list(statements)})
    return [(finding.code, finding.place) for finding in lint(policy, FACTS)]


CONDITION = "Statement[0].Condition."
PORT = {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}
ADDRESS = {"IpAddress": {"ec2-instance-connect:privateIpAddress": "10.0.1.0/31"}}

Cases = list[tuple[dict[str, Any], list[tuple[str, str]]]]

OF_RULES: Cases = [
    (statement(Action="*", Resource="arn:aws:ec2:*:*:*"), []),
    (statement(), []),
    (statement(Sid="GoodSid1"), []),
    (statement(Sid="not-so-good"), [("sid-characters", "Statement[0].Sid")]),
    (
        statement(Resource="arn:aws:ec2:region:account-id:subnet/*"),
        [("placeholder", "Statement[0].Resource")],
    ),
    (
        statement(Resource=[SUBNET, "arn:aws:ec2:<REGION>:123456789012:subnet/*"]),
        [("placeholder", "Statement[0].Resource[1]")],
    ),
    (statement(Resource=["arn:aws:ec2", SUBNET]), [("incomplete-arn", "Statement[0].Resource[0]")]),
    (statement(Resource="arn:aws:ec2:us-east-1:*"), [("incomplete-arn", "Statement[0].Resource")]),
    (
        statement(Resource="arn:aws:iam"),
        [("incomplete-arn", "Statement[0].Resource"), ("resource-never-matches", "Statement[0].Action")],
    ),
    (statement(Resource="arn:aws:ec2:::subnet/*"), [("empty-scope", "Statement[0].Resource")]),
    (
        statement(Resource="arn:aws:ec2:us-east-1::subnet/*"),
        [("empty-scope", "Statement[0].Resource")],
    ),
    (
        statement(Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "10.0.1.7/24"]}}),
        [("host-bits", CONDITION + "IpAddress.aws:SourceIp[1]")],
    ),
    (statement(Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.1", "2001:DB8::/32", "::1"]}}), []),
    (
        statement(
            Action=TUNNEL,
            Resource=ENDPOINT,
            Condition={"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": ["1", 86401]}},
        ),
        [
            (
                "duration-out-of-range",
                CONDITION + "NumericLessThanEquals.ec2-instance-connect:maxTunnelDuration[1]",
            )
        ],
    ),
    # what Allow should not say
    (statement(NotAction="ec2:*", Resource=SUBNET), [("allow-not-action", "Statement[0].NotAction")]),
    (statement(NotAction="ec2:*", Effect="Deny"), []),
    (statement(NotResource=SUBNET), [("allow-not-resource", "Statement[0].NotResource")]),
    (statement(NotResource=SUBNET, Effect="Deny"), []),
    (
        statement(Condition={"ForAllValues:StringEquals": {"aws:ResourceTag/env": "dev"}}),
        [("for-all-values-unguarded", CONDITION + "ForAllValues:StringEquals.aws:ResourceTag/env")],
    ),
    (
        statement(
            Condition={
                "ForAllValues:StringEquals": {"aws:ResourceTag/env": "dev"},
                "Null": {"AWS:ResourceTag/env": False},
            }
        ),
        [],
    ),
    # grants that are too wide
    (statement(Action="*", Resource="*"), [("wide-grant", "Statement[0]")]),
    (statement(Action="*", Resource="*", Effect="Deny"), []),
    (statement(Action=TUNNEL, Resource="*"), [("wide-grant", "Statement[0].Resource")]),
    (
        statement(Action="ec2-instance-connect:*", Resource="arn:aws:ec2:*:*:instance-connect-endpoint/*"),
        [("wide-grant", "Statement[0].Resource")],
    ),
    (statement(Action=TUNNEL, Resource=ENDPOINT), []),
    (statement(Action=TUNNEL, Resource="*", Condition=PORT), []),
    (statement(Action=TUNNEL, Resource="*", Condition=ADDRESS), []),
]

OF_SERVICES: Cases = [
    (statement(NotResource=SUBNET, Effect="Deny"), []),
    (statement(NotAction="iam:CreateServiceLinkedRole", Effect="Deny"), []),
    (statement(Action="ec?:CreateTags", Condition={"StringEquals": {"x:nothing": "y"}}), []),
    # actions
    (statement(Action="ec2:CreateTag"), [("unknown-action", "Statement[0].Action")]),
    (statement(Action=["ec2:CreateTags", "ec3:*"]), [("unknown-action", "Statement[0].Action[1]")]),
    (statement(Action="EC2:createtags"), []),
    (statement(Action="ec2:Create*"), []),
    (statement(Action="ec2:Delete*"), [("unknown-action", "Statement[0].Action")]),
    (statement(Action="ec?:CreateTags"), []),
    # resources
    (
        statement(Action="iam:CreateServiceLinkedRole"),
        [("resource-never-matches", "Statement[0].Action")],
    ),
    (statement(Action="iam:CreateServiceLinkedRole", Resource="arn:aws:iam::*:role/aws-service-role/*"), []),
    (statement(Action="iam:CreateServiceLinkedRole", Resource="arn:aws:*:*:*:*"), []),
    (statement(Action="iam:CreateServiceLinkedRole", Resource="*"), []),
    (statement(Action="iam:CreateServiceLinkedRole", Resource="arn:aws:iam::*:${aws:username}"), []),
    (statement(Action="ec2:*"), []),
    (
        statement(Action=["ec2:DescribeSubnets"]),
        [("resource-must-be-asterisk", "Statement[0].Action[0]")],
    ),
    (statement(Action="ec2:Describe*"), [("resource-must-be-asterisk", "Statement[0].Action")]),
    (statement(Action="ec2:DescribeSubnets", Resource="*"), []),
    # condition keys
    (statement(Condition={"StringEquals": {"aws:ResourceTag/env": "dev"}}), []),
    (statement(Condition={"StringEquals": {"aws:PrincipalTag/team": "x"}}), []),
    (
        statement(Condition={"StringEquals": {"ec2:CreatAction": "x"}}),
        [("unknown-condition-key", CONDITION + "StringEquals.ec2:CreatAction")],
    ),
    (
        statement(Condition={"StringEquals": {"ec2:Region": "us-east-1"}}),
        [("inapplicable-condition-key", CONDITION + "StringEquals.ec2:Region")],
    ),
    (
        statement(Action="ec2:*", Condition={"StringEquals": {"ec2:Region": "us-east-1"}}),
        [],
    ),
    (
        statement(
            Action=["ec2:CreateTags", "iam:CreateServiceLinkedRole"],
            Resource="*",
            Condition={"StringEquals": {"ec2:CreateAction": "x"}},
        ),
        [("inapplicable-condition-key", CONDITION + "StringEquals.ec2:CreateAction")],
    ),
    (
        statement(Condition={"StringEquals": {"aws:SourceIp": "10.0.0.1"}}),
        [("operator-type-mismatch", CONDITION + "StringEquals.aws:SourceIp")],
    ),
    (statement(Condition={"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*"}}), []),
    (statement(Condition={"NumericLessThan": {"aws:CurrentTime": "1767225600"}}), []),
    (statement(Condition={"Null": {"aws:SourceIp": "false"}}), []),
    (statement(Condition={"BoolIfExists": {"aws:SecureTransport": "true"}}), []),
    (
        statement(Condition={"StringEquals": {"aws:TagKeys": "env"}}),
        [
            ("set-operator-missing", CONDITION + "StringEquals.aws:TagKeys"),
            ("inapplicable-condition-key", CONDITION + "StringEquals.aws:TagKeys"),
        ],
    ),
]

OF_PRESENCE: Cases = [
    (statement(Action=TUNNEL, Resource=ENDPOINT, Condition=PORT), []),
    (
        statement(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        [("absent-condition-key", CONDITION + "StringEquals.aws:PrincipalOrgID")],
    ),
    (
        statement(Condition={"StringNotEqualsIfExists": {"AWS:sourcevpce": "vpce-1"}}),
        [("absent-condition-key", CONDITION + "StringNotEqualsIfExists.AWS:sourcevpce")],
    ),
    (
        statement(Condition={"Null": {"aws:FederatedProvider": "true"}}),
        [("absent-condition-key", CONDITION + "Null.aws:FederatedProvider")],
    ),
    (
        statement(
            Action=TUNNEL,
            Resource=[ENDPOINT, "arn:aws:ec2:*:*:instance-connect-endpoint/${aws:AssumedRoot}"],
        ),
        [("absent-condition-key", "Statement[0].Resource[1]")],
    ),
    (
        statement(Condition={"StringEquals": {"aws:PrincipalTag/a": ["x", "${aws:PrincipalOrgID}"]}}),
        [("absent-condition-key", CONDITION + "StringEquals.aws:PrincipalTag/a[1]")],
    ),
    (
        statement(Condition={"StringEquals": {"aws:PrincipalTag/a": "${aws:PrincipalOrgID, 'none'}"}}),
        [],
    ),
    (
        statement(Condition={"Bool": {"aws:ViaAWSService": "true"}}),
        [("unmeetable-condition", CONDITION + "Bool.aws:ViaAWSService")],
    ),
    (
        statement(Effect="Deny", Condition={"Null": {"aws:PrincipalIsAWSService": "true"}}),
        [("unmeetable-condition", CONDITION + "Null.aws:PrincipalIsAWSService")],
    ),
    (
        statement(Condition={"Null": {"aws:SourceIp": True}}),
        [("unmeetable-condition", CONDITION + "Null.aws:SourceIp")],
    ),
    (statement(Condition={"Null": {"aws:username": "true"}}), []),
    (
        statement(
            Effect="Deny",
            Condition={
                "NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"},
                "Bool": {"aws:ViaAWSService": "false"},
            },
        ),
        [],
    ),
]

OF_OVERLAPS: list[tuple[list[dict[str, Any]], list[tuple[str, str]]]] = [
    ([statement(), statement(Sid="Again")], [("duplicate-statement", "Statement[1]")]),
    ([statement(), statement(Resource=[SUBNET])], [("duplicate-statement", "Statement[1]")]),
    (
        [statement(), statement(Action="ec2:Create*", Resource="arn:aws:ec2:*:*:subnet/*")],
        [("duplicate-statement", "Statement[0]")],
    ),
    (
        [statement(), statement(Condition={"StringEquals": {"aws:ResourceTag/a": "b"}})],
        [("duplicate-statement", "Statement[1]")],
    ),
    ([statement(), statement(Resource=ENDPOINT)], []),
    (
        [statement(), statement(Effect="Deny", Action="ec2:*", Resource="*")],
        [("unreachable-statement", "Statement[0]")],
    ),
    (
        [
            statement(),
            statement(
                Effect="Deny",
                Action="ec2:*",
                Resource="*",
                Condition={"StringEquals": {"aws:ResourceTag/a": "b"}},
            ),
        ],
        [],
    ),
    (
        [
            statement(Effect="Deny", Condition={"StringEquals": {"aws:resourcetag/A": "b"}}),
            statement(Condition={"StringEquals": {"aws:ResourceTag/a": "b"}}),
        ],
        [("unreachable-statement", "Statement[1]")],
    ),
    ([statement(), statement(Effect="Deny", Resource=ENDPOINT)], []),
    ([statement(Action="ec2:*", Resource="*"), statement(Effect="Deny")], []),
    ([statement(Effect="Deny"), statement(Effect="Deny")], [("duplicate-statement", "Statement[1]")]),
    (
        [statement(Resource="*"), statement(), statement()],
        [("duplicate-statement", "Statement[1]"), ("duplicate-statement", "Statement[2]")],
    ),
    # complements are compared as they stand
    (
        [
            statement(NotAction="ec2:*", Effect="Deny"),
            statement(NotAction="ec2:*", Effect="Deny", Sid="Again"),
        ],
        [("duplicate-statement", "Statement[1]")],
    ),
    ([statement(NotAction="ec2:*", Effect="Deny"), statement(NotAction="iam:*", Effect="Deny")], []),
    ([statement(NotAction="ec2:*", Effect="Deny"), statement(Action="ec2:*", Effect="Deny")], []),
    (
        [statement(NotResource=SUBNET, Effect="Deny"), statement(NotResource=SUBNET, Effect="Deny")],
        [("duplicate-statement", "Statement[1]")],
    ),
    ([statement(NotResource=SUBNET, Effect="Deny"), statement(Effect="Deny", Resource=ENDPOINT)], []),
    ([statement(NotResource=SUBNET, Effect="Deny"), statement(Effect="Deny")], []),
    ([statement(Resource="*"), statement(Action="iam:CreateServiceLinkedRole", Resource="*")], []),
    # one is needless beside each of two others, and is told once
    (
        [statement(Resource="*"), statement(Action="ec2:*"), statement()],
        [("duplicate-statement", "Statement[2]")],
    ),
    (
        [statement(), statement(Effect="Deny", Action="ec2:*"), statement(Effect="Deny", Resource="*")],
        [("unreachable-statement", "Statement[0]")],
    ),
    # an ARN without all its segments is about all that begins so
    (
        [statement(Resource="arn:aws:ec2"), statement()],
        [("incomplete-arn", "Statement[0].Resource"), ("duplicate-statement", "Statement[1]")],
    ),
    # a variable is compared as it stands, colons in its name and all
    (
        [statement(Resource="arn:aws:${a::b}"), statement()],
        [("incomplete-arn", "Statement[0].Resource")],
    ),
    (
        [
            statement(Resource="arn:aws:ec2:*:*:subnet/${aws:username}"),
            statement(Resource="arn:aws:ec2:*:*:subnet/${aws:username}"),
        ],
        [("duplicate-statement", "Statement[1]")],
    ),
    (
        [
            statement(Resource="arn:aws:ec2:*:*:subnet/*"),
            statement(Resource="arn:aws:ec2:*:*:subnet/${aws:username}"),
        ],
        [],
    ),
]
