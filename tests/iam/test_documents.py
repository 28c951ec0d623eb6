"""Policy documents: what is accepted, what is refused, and that a refusal names the place."""

import json
from types import MappingProxyType
from typing import Any

import pytest

from hatchway.iam import MalformedPolicy, Policy, PolicyKind, parse_policy
from hatchway.iam.documents import Effect
from hatchway.iam.elements import PrincipalKind
from hatchway.iam.patterns import read_arn

GOOD: dict[str, Any] = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
TRUSTING: dict[str, Any] = {
    "Effect": "Allow",
    "Action": "sts:AssumeRole",
    "Principal": {"AWS": "123456789012"},
}


def without(statement: dict[str, Any], element: str) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != element}


def with_condition(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [GOOD, GOOD | {"Condition": {operator: {key: value}}}]}


MALFORMED: dict[str, tuple[Any, str]] = {
    "a list": ([GOOD], "document: is not an object"),
    "a text": ("hello", "document: is not an object"),
    "no statement": ({"Version": "2012-10-17"}, "document: has no Statement"),
    "an empty list of statements": ({"Statement": []}, "Statement: is empty"),
    "an element without a name": ({"": 1, "Statement": GOOD}, "document: has an element without a name"),
    "an element whose name would break the line": (
        {"Statement": GOOD | {"a\nb\ud800": 1}},
        "Statement[0].a\\nb\\ud800: is not an element of the policy language here",
    ),
    "a statement that is a text": ({"Statement": ["x"]}, "Statement[0]: is not an object"),
    "a list of lists": ({"Statement": [[GOOD]]}, "Statement[0]: is not an object"),
    "an unknown version": (
        {"Version": "2012-10-18", "Statement": GOOD},
        "Version: '2012-10-18' is neither 2012-10-17 nor 2008-10-17",
    ),
    "a version that is a list": (
        {"Version": ["2012-10-17"], "Statement": GOOD},
        "Version: is neither 2012-10-17 nor 2008-10-17",
    ),
    "an unknown element of the document": (
        {"Statement": GOOD, "Statements": []},
        "Statements: is not an element of the policy language here",
    ),
    "an unknown element of a statement": (
        {"Statement": [GOOD, GOOD | {"Resources": "*"}]},
        "Statement[1].Resources: is not an element of the policy language here",
    ),
    "an unknown element of another script": (
        {"Statement": GOOD | {"Ärger": 1}},
        "Statement[0].Ärger: is not an element of the policy language here",
    ),
    "a control in a text": (
        {"Statement": GOOD | {"Sid": "a\nb"}},
        "Statement[0].Sid: has the character U+000A",
    ),
    "a control in a condition key": (
        with_condition("Bool", "a\nb", "true"),
        "Statement[1].Condition.Bool: has the character U+000A",
    ),
    "a sid used twice behind a statement without one": (
        {"Statement": [GOOD, GOOD | {"Sid": "A"}, GOOD | {"Sid": "A"}]},
        "Statement[2].Sid: 'A' is used more than once",
    ),
    "an element in another case": (
        {"Statement": without(GOOD, "Action") | {"action": "ec2:*"}},
        "Statement[0].action: is not an element of the policy language here",
    ),
    "a principal in an identity policy": (
        {"Statement": GOOD | {"Principal": "*"}},
        "Statement[0].Principal: is not an element of the policy language here",
    ),
    "no effect": ({"Statement": without(GOOD, "Effect")}, "Statement[0]: has no Effect"),
    "an unknown effect": (
        {"Statement": GOOD | {"Effect": "allow"}},
        "Statement[0].Effect: 'allow' is neither Allow nor Deny",
    ),
    "an effect that is an object": (
        {"Statement": GOOD | {"Effect": {}}},
        "Statement[0].Effect: is neither Allow nor Deny",
    ),
    "no action": (
        {"Statement": without(GOOD, "Action")},
        "Statement[0]: has neither Action nor NotAction",
    ),
    "both actions": (
        {"Statement": GOOD | {"NotAction": "ec2:*"}},
        "Statement[0]: has both Action and NotAction",
    ),
    "an empty list of actions": ({"Statement": GOOD | {"Action": []}}, "Statement[0].Action: is empty"),
    "an action without a service": (
        {"Statement": GOOD | {"Action": ["ec2:*", "DescribeInstances"]}},
        "Statement[0].Action[1]: 'DescribeInstances' is not '*' or service:action",
    ),
    "an action with a variable": (
        {"Statement": GOOD | {"Action": "ec2:${aws:username}"}},
        "Statement[0].Action: 'ec2:${aws:username}' is not '*' or service:action",
    ),
    "an action that is a number": ({"Statement": GOOD | {"Action": 5}}, "Statement[0].Action: is not a text"),
    "an action that is null": ({"Statement": GOOD | {"Action": None}}, "Statement[0].Action: is not a text"),
    "an action that is a list in a list": (
        {"Statement": GOOD | {"Action": [["ec2:*"]]}},
        "Statement[0].Action[0]: is not a text",
    ),
    "no resource": (
        {"Statement": without(GOOD, "Resource")},
        "Statement[0]: has neither Resource nor NotResource",
    ),
    "both resources": (
        {"Statement": GOOD | {"NotResource": "*"}},
        "Statement[0]: has both Resource and NotResource",
    ),
    "a resource that is no ARN": (
        {"Statement": GOOD | {"Resource": ["*", "subnet-1"]}},
        "Statement[0].Resource[1]: 'subnet-1' is not '*' or an ARN",
    ),
    "an incomplete ARN with an empty segment": (
        {"Statement": GOOD | {"Resource": ["*", "arn:aws:s3::"]}},
        "Statement[0].Resource[1]: 'arn:aws:s3::' is not '*' or an ARN",
    ),
    "an incomplete ARN with a colon at its end": (
        {"Statement": without(GOOD, "Resource") | {"NotResource": "arn:aws:ec2:"}},
        "Statement[0].NotResource: 'arn:aws:ec2:' is not '*' or an ARN",
    ),
    "an ARN of an empty region and no resource": (
        {"Statement": GOOD | {"Resource": "arn:aws:iam::123456789012"}},
        "Statement[0].Resource: 'arn:aws:iam::123456789012' is not '*' or an ARN",
    ),
    "an ARN of nothing": (
        {"Statement": GOOD | {"Resource": "arn"}},
        "Statement[0].Resource: 'arn' is not '*' or an ARN",
    ),
    "an incomplete ARN in a condition": (
        {"Statement": GOOD | {"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam"}}}},
        "Statement[0].Condition.ArnLike.aws:PrincipalArn: 'arn:aws:iam' is not an ARN",
    ),
    "two asterisks": (
        {"Statement": GOOD | {"Resource": "**"}},
        "Statement[0].Resource: '**' is not '*' or an ARN",
    ),
    "a wildcard for the word arn": (
        {"Statement": GOOD | {"Resource": "*:aws:ec2:::subnet/*"}},
        "Statement[0].Resource: '*:aws:ec2:::subnet/*' is not '*' or an ARN",
    ),
    "a variable that is not closed": (
        {"Version": "2012-10-17", "Statement": GOOD | {"Resource": "arn:aws:s3:::${aws:username"}},
        "Statement[0].Resource: '${aws:username' is not a policy variable",
    ),
    "a variable without a name": (
        {"Version": "2012-10-17", "Statement": GOOD | {"Resource": "arn:aws:s3:::${ }"}},
        "Statement[0].Resource: '${ }' is not a policy variable",
    ),
    "a default without quotes": (
        with_condition("StringEquals", "aws:username", ["a", "${aws:username, bob}"]),
        "Statement[1].Condition.StringEquals.aws:username[1]: "
        "'${aws:username, bob}' is not a policy variable",
    ),
    "a sid twice": (
        {"Statement": [GOOD | {"Sid": "A"}, GOOD | {"Sid": "B"}, GOOD | {"Sid": "A"}]},
        "Statement[2].Sid: 'A' is used more than once",
    ),
    "a sid that is a number": ({"Statement": GOOD | {"Sid": 1}}, "Statement[0].Sid: is not a text"),
    "a condition that is a list": (
        {"Statement": GOOD | {"Condition": []}},
        "Statement[0].Condition: is not an object",
    ),
    "an operator with a text": (
        {"Statement": GOOD | {"Condition": {"Bool": "aws:SecureTransport"}}},
        "Statement[0].Condition.Bool: is not an object",
    ),
    "an unknown operator": (
        with_condition("StringEqual", "aws:username", "a"),
        "Statement[1].Condition.StringEqual: is not a condition operator",
    ),
    "an unknown operator without keys": (
        {"Statement": GOOD | {"Condition": {"NumericLess": {}}}},
        "Statement[0].Condition.NumericLess: is not a condition operator",
    ),
    "an operator in another case": (
        with_condition("stringequals", "aws:username", "a"),
        "Statement[1].Condition.stringequals: is not a condition operator",
    ),
    "an unknown prefix": (
        with_condition("ForSomeValues:StringEquals", "aws:TagKeys", "a"),
        "Statement[1].Condition.ForSomeValues:StringEquals: is not a condition operator",
    ),
    "Null with IfExists": (
        with_condition("NullIfExists", "aws:TagKeys", "true"),
        "Statement[1].Condition.NullIfExists: is not a condition operator",
    ),
    "an empty condition key": (
        with_condition("StringEquals", "", "a"),
        "Statement[1].Condition.StringEquals: has an empty condition key",
    ),
    "no values": (
        with_condition("StringEquals", "aws:username", []),
        "Statement[1].Condition.StringEquals.aws:username: is empty",
    ),
    "a value that is an object": (
        with_condition("StringEquals", "aws:username", {"a": "b"}),
        "Statement[1].Condition.StringEquals.aws:username: is not a text",
    ),
    "a value that is null": (
        with_condition("StringEquals", "aws:username", ["a", None]),
        "Statement[1].Condition.StringEquals.aws:username[1]: is not a text",
    ),
    "no number": (
        with_condition("NumericEquals", "ec2-instance-connect:remotePort", "ssh"),
        "Statement[1].Condition.NumericEquals.ec2-instance-connect:remotePort: 'ssh' is not a number",
    ),
    "no address": (
        with_condition("IpAddress", "aws:SourceIp", "10.0.0.0/33"),
        "Statement[1].Condition.IpAddress.aws:SourceIp: '10.0.0.0/33' is not an IP address or CIDR range",
    ),
    "a netmask": (
        with_condition("NotIpAddress", "aws:SourceIp", ["::1", "10.0.0.0/255.0.0.0"]),
        "Statement[1].Condition.NotIpAddress.aws:SourceIp[1]: '10.0.0.0/255.0.0.0' is not an IP address or "
        "CIDR range",
    ),
    "no date": (
        with_condition("DateLessThan", "aws:CurrentTime", "2026-02-30T00:00:00Z"),
        "Statement[1].Condition.DateLessThan.aws:CurrentTime: '2026-02-30T00:00:00Z' is not a date with an "
        "offset or Z, or epoch seconds",
    ),
    "a date without an offset": (
        with_condition("DateLessThan", "aws:CurrentTime", "2026-02-20T00:00:00"),
        "Statement[1].Condition.DateLessThan.aws:CurrentTime: '2026-02-20T00:00:00' is not a date with an "
        "offset or Z, or epoch seconds",
    ),
    "no boolean": (
        with_condition("Bool", "aws:SecureTransport", "yes"),
        "Statement[1].Condition.Bool.aws:SecureTransport: 'yes' is not true or false",
    ),
    "no boolean for Null": (
        with_condition("Null", "aws:username", ["true", "1"]),
        "Statement[1].Condition.Null.aws:username[1]: '1' is not true or false",
    ),
    "no base64": (
        with_condition("BinaryEquals", "x:Key", "YQ="),
        "Statement[1].Condition.BinaryEquals.x:Key: 'YQ=' is not base64",
    ),
    "no ARN in a condition": (
        with_condition("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*"),
        "Statement[1].Condition.ArnLike.aws:PrincipalArn: 'arn:aws:iam::*' is not an ARN",
    ),
    "no ARN in a condition, with a variable": (
        with_condition("ArnLike", "aws:PrincipalArn", "user/${aws:username}"),
        "Statement[1].Condition.ArnLike.aws:PrincipalArn: 'user/${aws:username}' is not an ARN",
    ),
}


@pytest.mark.parametrize(("document", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_document_is_refused_with_the_place(document: Any, message: str) -> None:
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(json.dumps(document))
    assert str(refusal.value) == message
    assert f"{refusal.value.place}: {refusal.value.problem}" == message


@pytest.mark.parametrize(
    ("document", "message"),
    [pair for pair in MALFORMED.values() if isinstance(pair[0], dict)],
    ids=[name for name, pair in MALFORMED.items() if isinstance(pair[0], dict)],
)
def test_a_mapping_is_checked_like_its_text(document: Any, message: str) -> None:
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(document)
    assert str(refusal.value) == message


MALFORMED_TRUST: dict[str, tuple[dict[str, Any], str]] = {
    "a resource": (
        TRUSTING | {"Resource": "*"},
        "Statement[0].Resource: is not an element of the policy language here",
    ),
    "no principal": (
        without(TRUSTING, "Principal"),
        "Statement[0]: has no Principal",
    ),
    "a complement of principals": (
        without(TRUSTING, "Principal") | {"NotPrincipal": "*"},
        "Statement[0].NotPrincipal: is not an element of the policy language here",
    ),
    "both principals": (
        TRUSTING | {"NotPrincipal": "*"},
        "Statement[0].NotPrincipal: is not an element of the policy language here",
    ),
    "another service's action": (
        TRUSTING | {"Action": ["sts:AssumeRole", "ec2:DescribeInstances"]},
        "Statement[0].Action[1]: 'ec2:DescribeInstances' is not an action of sts, as all in a trust policy "
        "are",
    ),
    "all actions": (
        TRUSTING | {"Action": "*"},
        "Statement[0].Action: '*' is not an action of sts, as all in a trust policy are",
    ),
    "a service of a wildcard": (
        without(TRUSTING, "Action") | {"NotAction": "st?:AssumeRole"},
        "Statement[0].NotAction: 'st?:AssumeRole' is not an action of sts, as all in a trust policy are",
    ),
    "a text": (TRUSTING | {"Principal": "123456789012"}, "Statement[0].Principal: is not an object"),
    "an empty object": (TRUSTING | {"Principal": {}}, "Statement[0].Principal: is empty"),
    "an empty list": (TRUSTING | {"Principal": {"AWS": []}}, "Statement[0].Principal.AWS: is empty"),
    "an unknown kind": (
        TRUSTING | {"Principal": {"aws": "*"}},
        "Statement[0].Principal.aws: is not an element of the policy language here",
    ),
    "a user without an account": (
        TRUSTING | {"Principal": {"AWS": ["*", "alice"]}},
        "Statement[0].Principal.AWS[1]: 'alice' is not '*', an account or the ARN of a user, role or session",
    ),
    "a wildcard in a name": (
        TRUSTING | {"Principal": {"AWS": "arn:aws:iam::123456789012:user/*"}},
        "Statement[0].Principal.AWS: 'arn:aws:iam::123456789012:user/*' is not '*', an account or the ARN "
        "of a user, role or session",
    ),
    "a group": (
        TRUSTING | {"Principal": {"AWS": "arn:aws:iam::123456789012:group/admins"}},
        "Statement[0].Principal.AWS: 'arn:aws:iam::123456789012:group/admins' is not '*', an account or the "
        "ARN of a user, role or session",
    ),
    "a name longer than an ARN": (
        TRUSTING | {"Principal": {"AWS": "arn:aws:sts::123456789012:assumed-role" + "/a" * 1100}},
        "Statement[0].Principal.AWS: 'arn:aws:sts::123456789012:assumed-role"
        + "/a" * 21
        + "…' is not '*', an "
        "account or the ARN of a user, role or session",
    ),
    "a service by half its name": (
        TRUSTING | {"Principal": {"Service": "ec2"}},
        "Statement[0].Principal.Service: 'ec2' is not the name of a service",
    ),
}


@pytest.mark.parametrize(("statement", "message"), MALFORMED_TRUST.values(), ids=MALFORMED_TRUST.keys())
def test_a_malformed_trust_policy_is_refused_with_the_place(statement: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy({"Statement": statement}, kind=PolicyKind.TRUST)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("escape", "shown"),
    [("\\u0000", "U+0000"), ("\\ud800", "U+D800"), ("\\n", "U+000A"), ("\\u007f", "U+007F")],
)
@pytest.mark.parametrize("element", ["Sid", "Condition"])
def test_characters_that_no_log_or_store_carries_safely_are_refused(
    escape: str, shown: str, element: str
) -> None:
    value = f'"{escape}"' if element == "Sid" else f'{{"StringEquals": {{"aws:username": "{escape}"}}}}'
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(
            f'{{"Statement": {{"Effect": "Allow", "Action": "*", "Resource": "*", "{element}": {value}}}}}'
        )
    assert refusal.value.problem == f"has the character {shown}"


def test_text_of_other_scripts_is_welcome() -> None:
    values = ["Zoë", "名前", "🔑", "non\u00a0breaking"]
    policy = parse_policy(json.dumps(with_condition("StringEquals", "aws:PrincipalTag/名", values)))
    assert policy.statements[1].conditions[0].values == tuple(values)


@pytest.mark.parametrize("number", ["1" * 5_000, "1e999999999", "-" + "9" * 100_000, "0." + "1" * 100_000])
def test_a_huge_number_is_refused(number: str) -> None:
    text = json.dumps(with_condition("NumericLessThan", "aws:MultiFactorAuthAge", "@")).replace('"@"', number)
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(text)
    assert refusal.value.place == "Statement[1].Condition.NumericLessThan.aws:MultiFactorAuthAge"
    assert refusal.value.problem.endswith("is not a number")
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**5000], ids=["nan", "inf", "huge"])
def test_a_number_of_a_mapping_that_json_has_not_is_refused(value: float) -> None:
    with pytest.raises(
        MalformedPolicy, match=r"aws:MultiFactorAuthAge: is (not a finite|too long a) number$"
    ):
        parse_policy(with_condition("NumericLessThan", "aws:MultiFactorAuthAge", value))


def test_keys_of_a_mapping_must_be_texts() -> None:
    with pytest.raises(MalformedPolicy, match=r"^Statement\[0\]: has an element without a name$"):
        parse_policy({"Statement": GOOD | {5: "x"}})
    with pytest.raises(MalformedPolicy, match=r"^Statement\[0\]\.Condition: is not a text$"):
        parse_policy({"Statement": GOOD | {"Condition": {5: {}}}})


def test_one_statement_and_single_texts_read_like_lists_of_one() -> None:
    single = parse_policy({"Statement": GOOD})
    listed = parse_policy(
        {"Statement": [GOOD | {"Action": [GOOD["Action"]], "Resource": [GOOD["Resource"]]}]}
    )
    assert single.statements == listed.statements


def test_numbers_and_booleans_stand_for_their_texts() -> None:
    def values(policy: Policy) -> tuple[str, ...]:
        return policy.statements[1].conditions[0].values

    document = with_condition("StringEquals", "x:y", [22, 2.5, True, False, "22"])
    assert values(parse_policy(document)) == ("22", "2.5", "true", "false", "22")
    text = json.dumps(document).replace("2.5", "2.50e0")
    assert values(parse_policy(text)) == ("22", "2.50e0", "true", "false", "22")


def test_a_policy_keeps_its_name_version_text_and_sids() -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": [GOOD | {"Sid": "A"}, GOOD, GOOD | {"Sid": ""}]})
    policy = parse_policy(text, name="find")
    assert (policy.name, policy.version, policy.document) == ("find", "2012-10-17", text)
    assert [(s.sid, s.index) for s in policy.statements] == [("A", 0), (None, 1), (None, 2)]
    assert parse_policy(text.encode()).document == text
    unnamed = parse_policy({"Statement": GOOD})
    assert (unnamed.name, unnamed.version) == ("", "2008-10-17")


def test_the_text_kept_of_a_mapping_reads_back_the_same() -> None:
    document = with_condition("NumericEquals", "ec2-instance-connect:remotePort", (22, 3389))
    policy = parse_policy(document)
    assert parse_policy(policy.document).statements == policy.statements
    assert parse_policy({"Statement": (MappingProxyType(GOOD),)}).document == json.dumps(
        {"Statement": [GOOD]}
    )


def test_an_id_is_for_trust_policies_only() -> None:
    assert parse_policy({"Id": "x", "Statement": TRUSTING}, kind=PolicyKind.TRUST).statements
    with pytest.raises(MalformedPolicy, match=r"^Id: is not an element"):
        parse_policy({"Id": "x", "Statement": GOOD})
    with pytest.raises(MalformedPolicy, match=r"^Id: is not a text$"):
        parse_policy({"Id": 5, "Statement": TRUSTING}, kind=PolicyKind.TRUST)


@pytest.mark.parametrize("arn", ["arn:aws:ec2", "arn:aws", "arn:aws:ec2:us-east-1:*"])
def test_a_session_policy_has_whole_arns_only(arn: str) -> None:
    document = {"Statement": GOOD | {"Resource": arn}}
    parse_policy(document)
    with pytest.raises(MalformedPolicy) as refusal:
        parse_policy(document, kind=PolicyKind.SESSION)
    assert str(refusal.value) == f"Statement[0].Resource: '{arn}' is not '*' or an ARN"
    whole = {"Statement": GOOD | {"Resource": ["*", "arn:aws:iam::123456789012:user/x"]}}
    assert parse_policy(whole, kind=PolicyKind.SESSION).kind is PolicyKind.SESSION


def test_a_trust_policy_may_name_any_action_of_sts() -> None:
    for actions in ("sts:AssumeRole", "STS:*", ["sts:TagSession", "sts:Assume*"]):
        parse_policy({"Statement": TRUSTING | {"Action": actions}}, kind=PolicyKind.TRUST)


def test_anyone_may_be_trusted_by_an_asterisk() -> None:
    policy = parse_policy({"Statement": TRUSTING | {"Principal": "*"}}, kind=PolicyKind.TRUST)
    (statement,) = policy.statements
    assert statement.principal is not None
    assert statement.principal.names == ((None, "*"),)
    assert statement.resource is None


def test_a_statement_applies_when_its_resource_matches_and_all_conditions_hold() -> None:
    condition = {"StringEquals": {"x:a": "1", "x:b": "2"}}
    narrow = {"Resource": "arn:aws:s3:::a", "Condition": condition}
    keys = {"x:a": "1", "x:b": "2"}
    for elements, resource, context, expected in (
        (narrow, "arn:aws:s3:::a", keys, True),
        (narrow, "arn:aws:s3:::b", keys, False),
        (narrow, "arn:aws:s3:::a", {"x:a": "1"}, False),
        (narrow, "arn:aws:s3:::a", {"x:b": "2"}, False),
        ({"Resource": "*"}, "*", {}, True),
        ({"Resource": ["arn:aws:s3:::a", "*"]}, "no ARN", {}, True),
    ):
        (statement,) = parse_policy({"Statement": GOOD | elements}).statements
        assert statement.applies(read_arn(resource), context) is expected
    (trusting,) = parse_policy({"Statement": TRUSTING}, kind=PolicyKind.TRUST).statements
    assert trusting.applies(read_arn("*"), {})


def test_a_statement_has_the_effect_the_action_and_the_principals_of_the_document() -> None:
    allowing, denying = parse_policy(
        {"Statement": [GOOD, without(GOOD, "Action") | {"Effect": "Deny", "NotAction": "s3:*"}]}
    ).statements
    assert (allowing.effect, denying.effect) == (Effect.ALLOW, Effect.DENY)
    assert (allowing.action.patterns, allowing.action.negated) == ((GOOD["Action"],), False)
    assert (denying.action.patterns, denying.action.negated) == (("s3:*",), True)
    (trusting,) = parse_policy({"Statement": TRUSTING}, kind=PolicyKind.TRUST).statements
    assert trusting.principal is not None
    assert trusting.principal.names == ((PrincipalKind.AWS, "123456789012"),)


def test_a_variable_in_a_resource_is_the_requests_and_without_value_it_grants_nothing() -> None:
    for element, effect, keys, expected in (
        ("Resource", "Allow", {"x:y": "a"}, True),
        ("Resource", "Allow", {"x:y": "b"}, False),
        ("NotResource", "Allow", {"x:y": "a"}, False),
        ("NotResource", "Allow", {"x:y": "b"}, True),
        ("NotResource", "Allow", {}, False),
        ("NotResource", "Deny", {}, True),
    ):
        elements = without(GOOD, "Resource") | {"Effect": effect, element: "arn:aws:s3:::${x:y}"}
        (statement,) = parse_policy({"Version": "2012-10-17", "Statement": elements}).statements
        assert statement.applies(read_arn("arn:aws:s3:::a"), keys) is expected


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, False),
        ({"Resource": ["*", "arn:aws:s3:::${aws:username}"]}, True),
        ({"Condition": {"StringEquals": {"x:a": "b", "x:c": "${aws:username}"}}}, True),
        ({"Condition": {"StringEquals": {"x:a": "b"}}}, False),
    ],
)
def test_a_statement_with_variables_is_known(elements: dict[str, Any], expected: bool) -> None:
    (statement,) = parse_policy({"Version": "2012-10-17", "Statement": GOOD | elements}).statements
    assert statement.has_variables is expected
