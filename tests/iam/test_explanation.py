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
