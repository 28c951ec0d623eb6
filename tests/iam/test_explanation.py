"""Decisions as data: what decided, what came near, and AWS's sentence."""

import json
from random import Random
from typing import Any

import pytest
from tests.iam import generated

from hatchway.iam import (
    AppliedStatement,
    Decision,
    Effect,
    Layer,
    LayerOutcome,
    NearMiss,
    Outcome,
    PolicyKind,
    PolicySet,
    Request,
    evaluate,
    parse_policy,
)
from hatchway.iam.explanation import explain_statement, identify

ALICE = "arn:aws:iam::123456789012:user/alice"
ENDPOINT = "arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/eice-1"
TUNNEL = "ec2-instance-connect:OpenTunnel"


def statement(**elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": TUNNEL, "Resource": "*"} | elements


def misses(
    made: dict[str, Any], context: dict[str, str | tuple[str, ...]] | None = None, resource: Any = ENDPOINT
) -> list[str]:
    policy = parse_policy({"Version": "2012-10-17", "Statement": made})
    return [miss.why for miss in evaluate(Request(TUNNEL, resource, context or {}), [policy]).near_misses]


PORT = {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}


@pytest.mark.parametrize(
    ("made", "context", "why"),
    [
        (
            statement(Condition=PORT),
            {"ec2-instance-connect:remotePort": "3389"},
            "Condition NumericEquals ec2-instance-connect:remotePort: request 3389, policy 22",
        ),
        (
            statement(Condition=PORT),
            {},
            "Condition NumericEquals ec2-instance-connect:remotePort: request has no value, policy 22",
        ),
        (
            statement(Condition=PORT),
            {"ec2-instance-connect:remotePort": "ssh"},
            "Condition NumericEquals ec2-instance-connect:remotePort: request ssh, policy 22 "
            "('ssh' is not a number)",
        ),
        (
            statement(Condition={"StringEquals": {"aws:TagKeys": ["a", "b"]}}),
            {"aws:TagKeys": ("a", "b")},
            "Condition StringEquals aws:TagKeys: request a, b, policy a, b "
            "(a key with several values needs ForAllValues or ForAnyValue)",
        ),
        (
            statement(Condition={"StringEquals": {"x:Owner": "${aws:username}"}}),
            {"x:Owner": "alice"},
            "Condition StringEquals x:Owner: request alice, policy ${aws:username} "
            "(the request has no value for ${aws:username})",
        ),
        (
            statement(Condition={"Null": {"aws:TokenIssueTime": "true"}}),
            {"aws:TokenIssueTime": "2026-01-01T00:00:00Z"},
            "Condition Null aws:TokenIssueTime: request 2026-01-01T00:00:00Z, policy true "
            "(true: the key must be absent; false: it must be present)",
        ),
        (
            statement(Condition={"Bool": {"aws:SecureTransport": "true"}} | PORT),
            {"aws:SecureTransport": "true", "ec2-instance-connect:remotePort": "23"},
            "Condition NumericEquals ec2-instance-connect:remotePort: request 23, policy 22",
        ),
        (
            statement(Resource="arn:aws:ec2:*:*:instance-connect-endpoint/eice-2", Condition=PORT),
            {},
            f"Resource: request {ENDPOINT}, policy arn:aws:ec2:*:*:instance-connect-endpoint/eice-2",
        ),
    ],
)
def test_a_near_miss_tells_the_first_element_that_failed(
    made: dict[str, Any], context: dict[str, str | tuple[str, ...]], why: str
) -> None:
    assert misses(made, context) == [why]


def test_a_near_miss_tells_why_an_arn_does_not_do_for_a_describe() -> None:
    assert misses(statement(Resource=ENDPOINT), resource="*") == [
        f"Resource: request *, policy {ENDPOINT} (the action has no resource-level support: only * matches)"
    ]


def test_a_deny_that_applies_for_want_of_a_value_says_so() -> None:
    by_tag = {"StringNotEquals": {"aws:ResourceTag/Team": ["${aws:PrincipalTag/Team}", "all"]}}
    named = {k: v for k, v in statement(Effect="Deny").items() if k != "Resource"}
    denies = {
        "Condition StringNotEquals aws:ResourceTag/Team: the request has no value for "
        "${aws:principaltag/team}": statement(Effect="Deny", Condition=by_tag),
        "NotResource: the request has no value for ${aws:principaltag/eice}": named
        | {"NotResource": "arn:aws:ec2:*:*:instance-connect-endpoint/${aws:PrincipalTag/eice}"},
    }
    for note, made in denies.items():
        policy = parse_policy({"Version": "2012-10-17", "Statement": made})
        decision = evaluate(Request(TUNNEL, ENDPOINT, {"aws:ResourceTag/Team": "red"}), [policy])
        assert [applied.note for applied in decision.deciding] == [note]
        assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


def test_a_near_miss_blames_no_variable_that_is_not_to_blame() -> None:
    by_tag = {"StringNotEquals": {"aws:ResourceTag/Team": ["${aws:PrincipalTag/Team}", "all"]}}
    assert misses(statement(Effect="Deny", Condition=by_tag), {"aws:ResourceTag/Team": "all"}) == [
        "Condition StringNotEquals aws:ResourceTag/Team: request all, policy ${aws:PrincipalTag/Team}, all"
    ]


def test_a_near_miss_tells_not_resource_and_the_missing_variable() -> None:
    made = {k: v for k, v in statement().items() if k != "Resource"}
    assert misses(made | {"NotResource": "*"}) == [f"NotResource: request {ENDPOINT}, policy *"]
    pattern = "arn:aws:ec2:*:*:instance-connect-endpoint/${aws:PrincipalTag/eice}"
    assert misses(statement(Resource=pattern)) == [
        f"Resource: request {ENDPOINT}, policy {pattern} "
        "(the request has no value for ${aws:principaltag/eice})"
    ]


SUBNET = "arn:aws:ec2:us-east-1:123456789012:subnet/a"
BY_TAG = "arn:aws:ec2:*:*:instance-connect-endpoint/${aws:PrincipalTag/eice}"
NO_TAG = "the request has no value for ${aws:principaltag/eice}"


def not_resource(pattern: Any, **elements: Any) -> dict[str, Any]:
    made = statement(NotResource=pattern, **elements)
    return {name: value for name, value in made.items() if name != "Resource"}


@pytest.mark.parametrize(
    ("made", "resource", "why"),
    [
        (
            statement(Effect="Deny", Resource=BY_TAG),
            ENDPOINT,
            f"Resource: request {ENDPOINT}, policy {BY_TAG} ({NO_TAG})",
        ),
        (not_resource(BY_TAG), ENDPOINT, f"NotResource: request {ENDPOINT}, policy {BY_TAG} ({NO_TAG})"),
        (
            not_resource([ENDPOINT, BY_TAG], Effect="Deny"),
            ENDPOINT,
            f"NotResource: request {ENDPOINT}, policy {ENDPOINT}, {BY_TAG}",
        ),
        (not_resource("*"), "*", "NotResource: request *, policy *"),
        (statement(Resource=BY_TAG), "*", f"Resource: request *, policy {BY_TAG} ({NO_TAG})"),
        (
            statement(Resource="arn:aws:ec2:*:*:vpc/*"),
            (SUBNET, ENDPOINT),
            f"Resource: request {SUBNET}, {ENDPOINT}, policy arn:aws:ec2:*:*:vpc/*",
        ),
        (
            statement(Condition={"ForAnyValue:NumericEquals": {"x:n": "3"}}),
            ENDPOINT,
            "Condition ForAnyValue:NumericEquals x:n: request 1, b, c, policy 3 ('b' is not a number)",
        ),
        (
            statement(Condition={"ForAnyValue:StringEquals": {"x:n": "3"}}),
            ENDPOINT,
            "Condition ForAnyValue:StringEquals x:n: request 1, b, c, policy 3",
        ),
        (
            statement(Condition={"StringEquals": {"x:one": "${x:one}${x:two}${x:three}"}}),
            ENDPOINT,
            "Condition StringEquals x:one: request 1, policy ${x:one}${x:two}${x:three} "
            "(the request has no value for ${x:two})",
        ),
    ],
)
def test_a_near_miss_notes_what_the_values_alone_do_not_show(
    made: dict[str, Any], resource: str | tuple[str, ...], why: str
) -> None:
    assert misses(made, {"x:n": ("1", "b", "c"), "x:one": "1"}, resource) == [why]


def test_a_statement_applies_to_the_first_of_the_resources_that_it_is_about() -> None:
    policy = parse_policy({"Statement": [statement(Resource=ENDPOINT), statement()]})
    decision = evaluate(Request(TUNNEL, (SUBNET, ENDPOINT)), [policy])
    assert [applied.resource for applied in decision.applied] == [ENDPOINT, SUBNET]


def test_an_allow_is_not_about_a_resource_that_only_a_deny_counts_on() -> None:
    policy = parse_policy(
        {"Statement": [statement(Resource=ENDPOINT), statement(Effect="Deny", Resource=SUBNET)]}
    )
    decision = evaluate(Request(TUNNEL, SUBNET, deny_also=(ENDPOINT,)), [policy])
    assert [applied.index for applied in decision.applied] == [1]
    (missed,) = decision.near_misses
    assert (missed.request, missed.expected, missed.note) == ((SUBNET,), (ENDPOINT,), "")


@pytest.mark.parametrize(
    ("condition", "note"),
    [
        ({"StringEqualsIfExists": {"x:none": "${x:two}"}}, ""),
        ({"StringNotEquals": {"x:none": "${x:one}"}}, ""),
        (
            {"StringNotEquals": {"x:none": "${x:one}"}, "StringNotLike": {"x:one": "${x:two}"}},
            "Condition StringNotLike x:one: the request has no value for ${x:two}",
        ),
        ({"Null": {"x:none": "true"}, "StringEquals": {"x:one": "${x:one}"}}, ""),
    ],
)
def test_what_applied_is_noted_only_where_a_variable_without_a_value_made_it_apply(
    condition: dict[str, dict[str, str]], note: str
) -> None:
    policy = parse_policy({"Version": "2012-10-17", "Statement": statement(Condition=condition)})
    (applied,) = evaluate(Request(TUNNEL, ENDPOINT, {"x:one": "1"}), [policy]).applied
    assert applied.note == note


def test_a_complement_whose_variable_has_a_value_is_not_noted() -> None:
    policy = parse_policy({"Version": "2012-10-17", "Statement": not_resource(BY_TAG)})
    (applied,) = evaluate(Request(TUNNEL, ENDPOINT, {"aws:PrincipalTag/eice": "x"}), [policy]).applied
    assert applied.note == ""


@pytest.mark.parametrize("text", ["${aws:username}", "${", "${}"])
def test_before_version_2012_a_near_miss_speaks_of_no_variables(text: str) -> None:
    made = statement(Resource=f"arn:aws:s3:::{text}", Condition={"StringEquals": {"x:Owner": text}})
    policy = parse_policy({"Version": "2008-10-17", "Statement": [made, made | {"Resource": "*"}]})
    whys = [miss.why for miss in evaluate(Request(TUNNEL, ENDPOINT), [policy]).near_misses]
    assert whys == [
        f"Resource: request {ENDPOINT}, policy arn:aws:s3:::{text}",
        f"Condition StringEquals x:Owner: request has no value, policy {text}",
    ]


def test_a_decision_names_the_statements_that_decided_and_the_near_misses_apart() -> None:
    first = parse_policy(
        {"Statement": [statement(Sid="Ports", Condition=PORT), statement(Sid="Other", Action="ec2:*")]},
        name="p",
    )
    second = parse_policy({"Statement": [statement(Effect="Deny", Sid="No"), statement(Sid="Yes")]}, name="q")
    decision = evaluate(Request(TUNNEL, ENDPOINT), PolicySet((first,), boundary=second))

    assert [(s.policy, s.layer, s.sid, s.index, s.effect, s.resource) for s in decision.deciding] == [
        ("q", Layer.BOUNDARY, "No", 0, Effect.DENY, ENDPOINT)
    ]
    assert [(s.policy, s.sid) for s in decision.applied] == [("q", "No"), ("q", "Yes")]
    assert [(m.policy, m.layer, m.sid, m.index) for m in decision.near_misses] == [
        ("p", Layer.IDENTITY, "Ports", 0)
    ]
    assert [(said.layer, said.outcome) for said in decision.layers] == [
        (Layer.BOUNDARY, Outcome.EXPLICIT_DENY),
        (Layer.IDENTITY, Outcome.IMPLICIT_DENY),
    ]


def test_an_implicit_deny_has_no_deciding_statement() -> None:
    allow = parse_policy({"Statement": statement()}, name="p")
    decision = evaluate(Request(TUNNEL), PolicySet((allow,), session=()))
    assert (decision.outcome, decision.layer) == (Outcome.IMPLICIT_DENY, Layer.SESSION)
    assert decision.deciding == ()
    assert [s.policy for s in decision.applied] == ["p"]


def test_any_deny_comes_first_and_then_the_first_layer_that_does_not_allow() -> None:
    none, allow = (
        parse_policy({"Statement": statement(Action="x:y")}),
        parse_policy({"Statement": statement()}),
    )
    deny = parse_policy({"Statement": statement(Effect="Deny")})
    denied = evaluate(Request(TUNNEL), PolicySet((allow, deny), boundary=none))
    assert (denied.outcome, denied.layer) == (Outcome.EXPLICIT_DENY, Layer.IDENTITY)
    refused = evaluate(Request(TUNNEL), PolicySet((none,), boundary=none, guardrails=(allow,)))
    assert (refused.outcome, refused.layer) == (Outcome.IMPLICIT_DENY, Layer.BOUNDARY)


def test_the_root_user_is_allowed_without_a_policy_that_allows() -> None:
    decision = evaluate(Request(TUNNEL, ENDPOINT, {"k": "v"}, deny_also=(SUBNET,)), PolicySet(is_root=True))
    assert decision == Decision(
        Outcome.ALLOWED,
        None,
        TUNNEL,
        (ENDPOINT,),
        (SUBNET,),
        (LayerOutcome(Layer.IDENTITY, Outcome.ALLOWED),),
    )


ALLOW_ALL = parse_policy({"Statement": statement()})
DENY_ENDPOINT = parse_policy({"Statement": statement(Effect="Deny", Resource=ENDPOINT)})
NONE = parse_policy({"Statement": statement(Action="iam:CreateUser")})
OPENING = f"User: {ALICE} is not authorized to perform: {TUNNEL} on resource: {ENDPOINT} "


@pytest.mark.parametrize(
    ("policies", "ending"),
    [
        (PolicySet(), f"because no identity-based policy allows the {TUNNEL} action"),
        (PolicySet((ALLOW_ALL, DENY_ENDPOINT)), "with an explicit deny in an identity-based policy"),
        (
            PolicySet((ALLOW_ALL,), boundary=NONE),
            f"because no permissions boundary allows the {TUNNEL} action",
        ),
        (PolicySet((ALLOW_ALL,), boundary=DENY_ENDPOINT), "with an explicit deny in a permissions boundary"),
        (
            PolicySet((ALLOW_ALL,), session=(NONE,)),
            f"because no session policy allows the {TUNNEL} action",
        ),
        (PolicySet((ALLOW_ALL,), session=(DENY_ENDPOINT,)), "with an explicit deny in a session policy"),
        (
            PolicySet((ALLOW_ALL,), guardrails=(NONE,)),
            f"because no service control policy allows the {TUNNEL} action",
        ),
        (
            PolicySet((ALLOW_ALL,), guardrails=(ALLOW_ALL, DENY_ENDPOINT)),
            "with an explicit deny in a service control policy",
        ),
    ],
)
def test_a_refusal_reads_as_aws_words_it(policies: PolicySet, ending: str) -> None:
    assert evaluate(Request(TUNNEL, ENDPOINT), policies).sentence(ALICE) == OPENING + ending


def test_a_refusal_names_the_resource_that_was_denied() -> None:
    request = Request(TUNNEL, "arn:aws:ec2:us-east-1:123456789012:subnet/a", deny_also=(ENDPOINT,))
    sentence = evaluate(request, [ALLOW_ALL, DENY_ENDPOINT]).sentence(ALICE)
    assert sentence == OPENING + "with an explicit deny in an identity-based policy"


def test_a_decision_survives_json() -> None:
    seen: set[Outcome] = set()
    for seed in range(200):
        rng = Random(seed)
        policies = [parse_policy(generated.document(rng), name=f"p{n}") for n in range(2)]
        decision = evaluate(Request(**generated.request(rng)), policies)
        content = json.loads(json.dumps(decision.to_json()))
        assert Decision.from_json(content) == decision
        assert [s["sid"] for s in content["deciding"]] == [s.sid for s in decision.deciding]
        assert [m["why"] for m in content["nearMisses"]] == [m.why for m in decision.near_misses]
        seen.add(decision.outcome)
    assert seen == set(Outcome)


def test_a_statement_of_a_trust_policy_has_no_resource_to_fail_on() -> None:
    trusting = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}
    condition = {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    policy = parse_policy({"Statement": trusting | condition}, name="p", kind=PolicyKind.TRUST)
    (made,) = policy.statements
    identity = identify(Layer.TRUST, policy, made)
    assert identity == ("p", Layer.TRUST, None, 0, Effect.ALLOW)
    targets = Request("sts:AssumeRole", ENDPOINT).targets
    applied = explain_statement(identity, made, targets, {"aws:securetransport": "true"})
    assert applied == AppliedStatement(*identity, ENDPOINT)
    missed = explain_statement(identity, made, targets, {})
    assert missed == NearMiss(*identity, "Condition Bool aws:SecureTransport", (), ("true",))
