"""Lint: what it finds in a policy, and what it leaves alone."""

import json
from random import Random
from typing import Any

import pytest
from tests.iam import generated

from hatchway.iam import PolicyKind, parse_policy
from hatchway.iam.lint import (
    KINDS,
    ActionFacts,
    Finding,
    Home,
    ResourceTypeFacts,
    ServiceFacts,
    Severity,
    lint,
    lint_document,
)
from hatchway.iam.lint.globs import covers, may_meet
from hatchway.iam.lint.render import LintedFile, has_errors, to_json, to_sarif, to_text
from hatchway.iam.patterns import glob, tokenise

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


def found(*statements: dict[str, Any]) -> list[tuple[str, str]]:
    policy = parse_policy({"Version": "2012-10-17", "Statement": list(statements)})
    return [(finding.code, finding.place) for finding in lint(policy, FACTS)]


CONDITION = "Statement[0].Condition."
PORT = {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}
ADDRESS = {"IpAddress": {"ec2-instance-connect:privateIpAddress": "10.0.1.0/31"}}

CASES: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    (statement(), []),
    (statement(Sid="GoodSid1"), []),
    (statement(Sid="not-so-good"), [("sid-characters", "Statement[0].Sid")]),
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
    # keys that no request carries, or all with one value
    (
        statement(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        [("absent-condition-key", CONDITION + "StringEquals.aws:PrincipalOrgID")],
    ),
    (
        statement(Condition={"StringNotEqualsIfExists": {"AWS:sourcevpce": "vpce-1"}}),
        [("absent-condition-key", CONDITION + "StringNotEqualsIfExists.AWS:sourcevpce")],
    ),
    (
        statement(Condition={"Null": {"aws:TokenIssueTime": "true"}}),
        [("absent-condition-key", CONDITION + "Null.aws:TokenIssueTime")],
    ),
    (
        statement(
            Action=TUNNEL,
            Resource=[ENDPOINT, "arn:aws:ec2:*:*:instance-connect-endpoint/${aws:SourceIdentity}"],
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
    # operators and values
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
    (
        statement(Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "10.0.1.7/24"]}}),
        [("host-bits", CONDITION + "IpAddress.aws:SourceIp[1]")],
    ),
    (statement(Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.1", "2001:DB8::/32", "::1"]}}), []),
    (
        statement(
            Action=TUNNEL,
            Resource=ENDPOINT,
            Condition={"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": ["1", 3601]}},
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


@pytest.mark.parametrize(("made", "expected"), CASES, ids=range(len(CASES)))
def test_a_statement_has_the_findings_that_it_deserves(
    made: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert found(made) == expected


OVERLAPS: list[tuple[list[dict[str, Any]], list[tuple[str, str]]]] = [
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
]


@pytest.mark.parametrize(("statements", "expected"), OVERLAPS, ids=range(len(OVERLAPS)))
def test_a_statement_that_adds_nothing_is_found_once(
    statements: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    assert found(*statements) == expected


def test_statements_of_a_policy_beyond_all_quotas_are_not_compared() -> None:
    assert found(*[statement(Resource=SUBNET)] * 400) == [
        ("duplicate-statement", f"Statement[{index}]") for index in range(1, 400)
    ]
    assert found(*[statement(Resource=SUBNET)] * 600) == []


def test_without_facts_the_checks_that_need_them_are_left_out() -> None:
    policy = parse_policy(
        {"Statement": [statement(Action="ec3:Nonsense"), statement(Action="*", Resource="*")]}
    )
    assert {finding.code for finding in lint(policy)} == {"wide-grant", "duplicate-statement"}


def test_a_trust_policy_open_to_anyone_is_found() -> None:
    opened = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ["123456789012", "*"]}}
    conditioned = opened | {"Condition": {"StringEquals": {"sts:ExternalId": "x"}}}
    for made, codes in ((opened, ["wide-grant"]), (conditioned, [])):
        policy = parse_policy({"Version": "2012-10-17", "Statement": made}, kind=PolicyKind.TRUST)
        assert [finding.code for finding in lint(policy)] == codes


def test_a_document_that_is_no_policy_is_a_finding() -> None:
    (finding,) = lint_document('{"Statement": {"Effect": "Allow"}}', FACTS)
    assert (finding.code, finding.place, finding.severity) == (
        "malformed-policy",
        "Statement[0]",
        Severity.ERROR,
    )
    assert "has neither Action nor NotAction" in finding.message
    assert lint_document(b"\xff")[0].code == "malformed-policy"


def test_a_misspelt_name_comes_with_the_right_one() -> None:
    made = statement(Action="ec2:CreateTag", Condition={"StringEquals": {"aws:SourceIPs": "x"}})
    policy = parse_policy({"Version": "2012-10-17", "Statement": made})
    fixes = {finding.code: finding.fix for finding in lint(policy, FACTS)}
    assert "ec2:CreateTags" in fixes["unknown-action"]
    assert "aws:sourceip" in fixes["unknown-condition-key"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            statement(Effect="Deny", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
            "No request carries aws:PrincipalOrgID here (accounts belong to no organization), so that the "
            "statement never denies anything.",
        ),
        (
            statement(Effect="Deny", Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}),
            "No request carries aws:MultiFactorAuthPresent here (all credentials are long-term access keys), "
            "so that this condition is always met.",
        ),
        (
            statement(Condition={"Bool": {"aws:PrincipalIsAWSService": "true"}}),
            "Every request carries aws:PrincipalIsAWSService with the value false, so that the statement "
            "never allows anything.",
        ),
    ],
)
def test_a_key_that_no_request_carries_is_told_with_what_comes_of_it(
    made: dict[str, Any], message: str
) -> None:
    assert [finding.message for finding in lint(parse_policy({"Statement": made}))] == [message]


HERE = Home("123456789012", "us-east-1")
ELSEWHERE = ENDPOINT.replace("123456789012", "999999999999")
ABROAD = ENDPOINT.replace("us-east-1", "eu-west-1")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([ELSEWHERE], [("nothing-here", "Statement[0]")]),
        ([ELSEWHERE, ABROAD], [("nothing-here", "Statement[0]")]),
        ([ELSEWHERE, ENDPOINT], [("other-account", "Statement[0].Resource[0]")]),
        ([ENDPOINT, ABROAD], [("other-account", "Statement[0].Resource[1]")]),
        (["*", ELSEWHERE], [("other-account", "Statement[0].Resource[1]")]),
        ([ENDPOINT, "arn:aws:ec2:*:*:subnet/*", "arn:aws:iam::aws:policy/X", "arn:aws:s3:::bucket"], []),
        (["arn:aws:ec2:us-east-1:99999999999?:subnet/subnet-a", "arn:aws:ec2:${aws:x}:*:subnet/*"], []),
    ],
)
def test_arns_of_elsewhere_are_found_where_it_is_known_what_is_here(
    resources: list[str], expected: list[tuple[str, str]]
) -> None:
    made = parse_policy({"Version": "2012-10-17", "Statement": [statement(Action="*", Resource=resources)]})
    codes = {"nothing-here", "other-account"}
    assert [(f.code, f.place) for f in lint(made, home=HERE) if f.code in codes] == expected
    assert not codes & {finding.code for finding in lint(made)}


def test_a_trust_policy_for_another_account_is_found() -> None:
    trusted = ["arn:aws:iam::999999999999:user/eve", "888888888888", "arn:aws:iam::123456789012:user/alice"]
    made = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": trusted}}
    found = lint(parse_policy({"Statement": made}, kind=PolicyKind.TRUST), home=HERE)
    assert [finding.message.partition(" is of ")[2].partition(":")[0] for finding in found] == [
        "account 999999999999",
        "account 888888888888",
    ]


def test_every_kind_of_finding_has_a_case() -> None:
    tried = {code for _, expected in [*CASES, *OVERLAPS] for code, _ in expected}
    tried |= {"malformed-policy", "nothing-here", "other-account"}
    assert tried == set(KINDS)


def test_lint_reads_every_policy_that_can_be_parsed() -> None:
    for seed in range(300):
        rng = Random(seed)
        for finding in lint(parse_policy(generated.document(rng)), FACTS):
            assert finding.code in KINDS
        lint(parse_policy(generated.trust_document(rng), kind=PolicyKind.TRUST), FACTS)


def test_two_globs_meet_when_some_text_matches_both() -> None:
    texts = ["", "a", "b", "aa", "ab", "ba", "bb", "aab", "aba", "abb", "abab", "bbaa"]
    patterns = ["", "a", "*", "?", "a*", "*a", "?b", "a*b", "*ab*", "??", "*?b", "b*a*"]
    for one in patterns:
        for other in patterns:
            left, right = (tokenise(p, wildcards=True, variables=False) for p in (one, other))
            both = [text for text in texts if glob(left)(text) and glob(right)(text)]
            assert may_meet(left, right) or not both, (one, other, both)
            if len(one) + len(other) <= 4:  # then the texts above are enough to meet in
                assert may_meet(left, right) is bool(both), (one, other)


def test_a_pattern_that_covers_another_matches_all_that_it_does() -> None:
    texts = ["a:", "a:b", "a:bb", "a:ab", "ab:b", "b:a", "a:b*", "a:?", "a:bab"]
    patterns = ["*", "a:*", "a:b*", "a:?", "*:b", "a:b", "?:*", "a:*b", "a:b?", "a*:*"]
    covered = 0
    for broad in patterns:
        for narrow in patterns:
            if covers(broad, narrow, arn=False):
                covered += broad != narrow
                one, other = (glob(tokenise(p, wildcards=True, variables=False)) for p in (broad, narrow))
                assert all(one(text) for text in texts if other(text)), (broad, narrow)
    assert covered > 10


DOCUMENT = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": "arn:aws:ec2:::subnet/*"},
    {"Effect": "Allow", "Action": ["ec2:CreateTags", "ec2:Nothing"],
     "Resource": "*"}
  ]
}
"""


@pytest.fixture
def files() -> list[LintedFile]:
    broken = '{"Statement": [,]}'
    return [
        LintedFile("tags.json", DOCUMENT, lint_document(DOCUMENT, FACTS)),
        LintedFile("broken.json", broken, lint_document(broken)),
    ]


def test_text_names_file_line_and_column(files: list[LintedFile]) -> None:
    assert to_text(files).splitlines()[::2] == [
        "tags.json:4:65: warning: Statement[0].Resource: 'arn:aws:ec2:::subnet/*' has no region and account; "
        "for EC2 that means any. [empty-scope]",
        "tags.json:4:5: warning: Statement[0]: All that it says, Statement[1] says too. "
        "[duplicate-statement]",
        "tags.json:5:54: error: Statement[1].Action[1]: No action of ec2 is 'ec2:Nothing'. [unknown-action]",
        "broken.json:1:16: error: line 1 column 16: is not JSON: expecting value. [malformed-policy]",
    ]
    assert to_text([]) == ""


def test_json_carries_every_field(files: list[LintedFile]) -> None:
    content = json.loads(to_json(files))
    assert [(each["file"], each["line"], each["column"], each["code"]) for each in content] == [
        ("tags.json", 4, 65, "empty-scope"),
        ("tags.json", 4, 5, "duplicate-statement"),
        ("tags.json", 5, 54, "unknown-action"),
        ("broken.json", 1, 16, "malformed-policy"),
    ]
    assert content[2]["severity"] == "error"
    assert content[2]["fix"]


def test_sarif_names_rules_levels_and_regions(files: list[LintedFile]) -> None:
    log = json.loads(to_sarif(files, "1.2.3"))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == set(KINDS)
    assert run["tool"]["driver"]["version"] == "1.2.3"
    third = run["results"][2]
    assert (third["ruleId"], third["level"]) == ("unknown-action", "error")
    (location,) = third["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "tags.json"},
        "region": {"startLine": 5, "startColumn": 54, "endLine": 5, "endColumn": 67},
    }
    assert location["logicalLocations"] == [{"fullyQualifiedName": "Statement[1].Action[1]"}]


def test_a_place_that_the_text_does_not_have_is_shown_at_what_encloses_it() -> None:
    findings = tuple(
        Finding("malformed-policy", place, "", "") for place in ("Statement[1].Sid.x[2]", "document")
    )
    located = json.loads(to_json([LintedFile("x", DOCUMENT, findings)]))
    assert [(each["line"], each["column"]) for each in located] == [(5, 5), (1, 1)]


def test_only_errors_count_as_errors(files: list[LintedFile]) -> None:
    assert has_errors(files)
    warning = Finding("empty-scope", "Statement[0]", "", "")
    assert not has_errors([LintedFile("x", "{}", (warning,))])
