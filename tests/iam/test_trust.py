"""Trust policies: who may assume a role, and how closely the policy names them."""

from typing import Any

import pytest

from hatchway.iam import (
    Decision,
    Layer,
    LayerOutcome,
    Named,
    Outcome,
    Policy,
    PolicyKind,
    PolicySet,
    Principal,
    PrincipalKind,
    Request,
    decide_assume_role,
    evaluate,
    evaluate_trust,
    parse_policy,
)

ACCOUNT = "123456789012"
ALICE = Principal(f"arn:aws:iam::{ACCOUNT}:user/alice", ACCOUNT)
BOB = Principal(f"arn:aws:iam::{ACCOUNT}:user/bob", ACCOUNT)
SESSION = Principal(
    f"arn:aws:sts::{ACCOUNT}:assumed-role/on-call/bob",
    ACCOUNT,
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/ops/on-call",
)
STRANGER = Principal("arn:aws:iam::210987654321:user/alice", "210987654321")
LAMBDA = Principal("lambda.amazonaws.com", kind=PrincipalKind.SERVICE)
ROLE = f"arn:aws:iam::{ACCOUNT}:role/target"


def trust(*statements: dict[str, Any]) -> Policy:
    defaults = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    return parse_policy(
        {"Version": "2012-10-17", "Statement": [defaults | each for each in statements]},
        name="trust",
        kind=PolicyKind.TRUST,
    )


@pytest.mark.parametrize(
    ("principal", "caller", "named"),
    [
        ("*", ALICE, Named.ANYONE),
        ({"AWS": "*"}, ALICE, Named.ANYONE),
        ({"AWS": "*"}, LAMBDA, Named.NOT),
        ({"AWS": ACCOUNT}, ALICE, Named.ACCOUNT),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, ALICE, Named.ACCOUNT),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, SESSION, Named.ACCOUNT),
        ({"AWS": ACCOUNT}, STRANGER, Named.NOT),
        ({"AWS": ALICE.arn}, ALICE, Named.PRINCIPAL),
        ({"AWS": ALICE.arn}, BOB, Named.NOT),
        ({"AWS": [BOB.arn, ACCOUNT, ALICE.arn]}, ALICE, Named.PRINCIPAL),
        ({"AWS": SESSION.arn}, SESSION, Named.PRINCIPAL),
        ({"AWS": SESSION.role_arn}, SESSION, Named.ROLE),
        ({"Service": "lambda.amazonaws.com"}, LAMBDA, Named.PRINCIPAL),
        ({"Service": ["ec2.amazonaws.com"], "AWS": "*"}, LAMBDA, Named.NOT),
        ({"Service": "lambda.amazonaws.com"}, ALICE, Named.NOT),
    ],
)
def test_a_trust_policy_names_its_callers(principal: Any, caller: Principal, named: Named) -> None:
    decision = evaluate_trust(trust({"Principal": principal}), caller, role_arn=ROLE)
    assert decision.named is named
    assert decision.allowed is bool(named)


def test_the_closest_name_of_the_statements_that_allow_counts() -> None:
    condition = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
    policy = trust({"Principal": {"AWS": ACCOUNT}}, {"Principal": {"AWS": ALICE.arn}} | condition)
    assert evaluate_trust(policy, ALICE).named is Named.ACCOUNT
    assert evaluate_trust(policy, ALICE, {"aws:MultiFactorAuthPresent": "true"}).named is Named.PRINCIPAL


def test_a_deny_in_a_trust_policy_wins() -> None:
    policy = trust(
        {"Principal": {"AWS": ACCOUNT}}, {"Effect": "Deny", "Principal": {"AWS": BOB.arn}, "Sid": "NotBob"}
    )
    assert evaluate_trust(policy, ALICE).allowed
    decision = evaluate_trust(policy, BOB)
    assert (decision.outcome, decision.layer) == (Outcome.EXPLICIT_DENY, Layer.TRUST)
    assert [statement.sid for statement in decision.deciding] == ["NotBob"]


def test_other_actions_are_not_trusted() -> None:
    policy = trust({"Principal": {"AWS": ALICE.arn}})
    assert evaluate_trust(policy, ALICE, action="STS:assumerole").allowed
    assert not evaluate_trust(policy, ALICE, action="sts:TagSession").allowed


def test_a_refusal_by_trust_tells_whom_the_policy_names() -> None:
    decision = evaluate_trust(trust({"Principal": {"AWS": ALICE.arn}}), BOB, role_arn=ROLE)
    assert [miss.why for miss in decision.near_misses] == [
        f"Principal: request {BOB.arn}, policy {ALICE.arn}"
    ]
    assert decision.sentence(BOB.arn) == (
        f"User: {BOB.arn} is not authorized to perform: sts:AssumeRole on resource: {ROLE} "
        "because no role trust policy allows the sts:AssumeRole action"
    )
    assert Decision.from_json(decision.to_json()) == decision


def test_a_refused_condition_of_a_trust_policy_is_told() -> None:
    policy = trust({"Principal": "*", "Condition": {"StringEquals": {"sts:ExternalId": "${aws:username}"}}})
    decision = evaluate_trust(policy, ALICE, {"sts:ExternalId": "x", "aws:username": "alice"})
    assert [miss.why for miss in decision.near_misses] == [
        "Condition StringEquals sts:ExternalId: request x, policy ${aws:username}"
    ]
    assert evaluate_trust(policy, ALICE, {"sts:ExternalId": "alice", "aws:username": "alice"}).allowed


def test_an_identity_policy_is_no_trust_policy() -> None:
    identity = parse_policy({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, name="admin")
    with pytest.raises(ValueError, match="'admin' is not a trust policy"):
        evaluate_trust(identity, ALICE)


ALLOW = parse_policy({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}})
DENY = parse_policy({"Statement": {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"}})
OTHER = parse_policy({"Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}})


@pytest.mark.parametrize(
    ("names", "own", "outcome", "layer"),
    [
        ({"AWS": ACCOUNT}, PolicySet((ALLOW,)), Outcome.ALLOWED, None),
        ({"AWS": ACCOUNT}, PolicySet(), Outcome.IMPLICIT_DENY, Layer.IDENTITY),
        ("*", PolicySet(), Outcome.IMPLICIT_DENY, Layer.IDENTITY),
        ({"AWS": ALICE.arn}, PolicySet(), Outcome.ALLOWED, None),
        ({"AWS": ALICE.arn}, PolicySet((DENY,)), Outcome.EXPLICIT_DENY, Layer.IDENTITY),
        ({"AWS": ALICE.arn}, PolicySet(guardrails=(OTHER,)), Outcome.IMPLICIT_DENY, Layer.GUARDRAIL),
        ({"AWS": BOB.arn}, PolicySet((ALLOW,)), Outcome.IMPLICIT_DENY, Layer.TRUST),
        ({"AWS": BOB.arn}, PolicySet((DENY,)), Outcome.EXPLICIT_DENY, Layer.IDENTITY),
        ({"AWS": BOB.arn}, PolicySet(), Outcome.IMPLICIT_DENY, Layer.IDENTITY),
        ({"AWS": ALICE.arn}, PolicySet(boundary=OTHER), Outcome.ALLOWED, None),
        ({"AWS": ACCOUNT}, PolicySet(is_root=True), Outcome.ALLOWED, None),
    ],
)
def test_a_role_is_assumed_when_it_trusts_the_caller_and_the_callers_policies_need_not_or_do_allow(
    names: Any, own: PolicySet, outcome: Outcome, layer: Layer | None
) -> None:
    trusting = evaluate_trust(trust({"Principal": names}), ALICE, role_arn=ROLE)
    decision = decide_assume_role(trusting, evaluate(Request("sts:AssumeRole", ROLE), own))
    assert (decision.outcome, decision.layer) == (outcome, layer)


@pytest.mark.parametrize(
    ("own", "outcome", "layer"),
    [
        (PolicySet((ALLOW,)), Outcome.ALLOWED, None),
        (PolicySet(), Outcome.ALLOWED, None),
        (PolicySet(session=(ALLOW,)), Outcome.ALLOWED, None),
        (PolicySet(session=(OTHER,)), Outcome.IMPLICIT_DENY, Layer.SESSION),
        (PolicySet((ALLOW,), session=()), Outcome.IMPLICIT_DENY, Layer.SESSION),
        (PolicySet((ALLOW,), boundary=OTHER), Outcome.IMPLICIT_DENY, Layer.BOUNDARY),
        (PolicySet(guardrails=(OTHER,)), Outcome.IMPLICIT_DENY, Layer.GUARDRAIL),
        (PolicySet((DENY,)), Outcome.EXPLICIT_DENY, Layer.IDENTITY),
    ],
)
def test_trust_in_a_role_frees_its_sessions_from_the_role_s_own_allow_but_not_from_what_bounds_them(
    own: PolicySet, outcome: Outcome, layer: Layer | None
) -> None:
    trusting = evaluate_trust(trust({"Principal": {"AWS": SESSION.role_arn}}), SESSION, role_arn=ROLE)
    decision = decide_assume_role(trusting, evaluate(Request("sts:AssumeRole", ROLE), own))
    assert (decision.outcome, decision.layer) == (outcome, layer)


def test_what_both_allow_is_told_as_the_trust_policy_tells_it() -> None:
    trusting = evaluate_trust(trust({"Principal": {"AWS": ACCOUNT}}), ALICE, role_arn=ROLE)
    own = evaluate(Request("sts:AssumeRole", ROLE), PolicySet((ALLOW,)))
    assert decide_assume_role(trusting, own) is trusting


def test_statements_that_do_not_apply_leave_the_others_to_be_read() -> None:
    condition = {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}
    policy = trust(
        {"Principal": "*", "Action": "sts:TagSession"},
        {"Principal": {"AWS": BOB.arn}},
        {"Principal": {"AWS": ALICE.arn}} | condition,
        {"Principal": {"AWS": ACCOUNT}},
    )
    decision = evaluate_trust(policy, ALICE)
    assert decision.layers == (LayerOutcome(Layer.TRUST, Outcome.ALLOWED),)
    assert (decision.action, decision.resources) == ("sts:AssumeRole", ("*",))
    assert [applied.index for applied in decision.applied] == [3]
    assert [missed.index for missed in decision.near_misses] == [1, 2]
