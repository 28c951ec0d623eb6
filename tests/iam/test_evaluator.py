"""The decision procedure: layers, effects, several resources."""

from typing import Any

import pytest

from hatchway.iam import (
    AmbiguousContext,
    Layer,
    Outcome,
    Policy,
    PolicyKind,
    PolicySet,
    Request,
    decide,
    evaluate,
    parse_policy,
)
from hatchway.iam.evaluator import MAX_REMEMBERED_ACTIONS

A = "arn:aws:ec2:us-east-1:123456789012:subnet/a"
B = "arn:aws:ec2:us-east-1:123456789012:subnet/b"
C = "arn:aws:ec2:us-east-1:123456789012:security-group/c"


def policy(
    effect: str = "Allow", action: str = "ec2:CreateTags", resource: Any = "*", name: str = ""
) -> Policy:
    return parse_policy({"Statement": {"Effect": effect, "Action": action, "Resource": resource}}, name=name)


ALLOW, DENY, OTHER = policy(), policy("Deny"), policy(action="iam:CreateUser")


def answer(policies: PolicySet, request: Request | None = None) -> tuple[Outcome, Layer | None]:
    request = request or Request("ec2:CreateTags", A)
    decision = evaluate(request, policies)
    assert decide(request, policies) is decision.outcome
    return decision.outcome, decision.layer


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (PolicySet(), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        (PolicySet((ALLOW,)), (Outcome.ALLOWED, None)),
        (PolicySet((OTHER,)), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        (PolicySet((ALLOW, DENY)), (Outcome.EXPLICIT_DENY, Layer.IDENTITY)),
        (PolicySet((DENY, ALLOW)), (Outcome.EXPLICIT_DENY, Layer.IDENTITY)),
        (PolicySet((OTHER, ALLOW)), (Outcome.ALLOWED, None)),
        # boundary
        (PolicySet((ALLOW,), boundary=ALLOW), (Outcome.ALLOWED, None)),
        (PolicySet((ALLOW,), boundary=OTHER), (Outcome.IMPLICIT_DENY, Layer.BOUNDARY)),
        (PolicySet((ALLOW,), boundary=DENY), (Outcome.EXPLICIT_DENY, Layer.BOUNDARY)),
        (PolicySet((), boundary=ALLOW), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        # session policies
        (PolicySet((ALLOW,), session=(ALLOW,)), (Outcome.ALLOWED, None)),
        (PolicySet((ALLOW,), session=(OTHER, ALLOW)), (Outcome.ALLOWED, None)),
        (PolicySet((ALLOW,), session=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.SESSION)),
        (PolicySet((ALLOW,), session=()), (Outcome.IMPLICIT_DENY, Layer.SESSION)),
        (PolicySet((), session=(ALLOW,)), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        # guardrails
        (PolicySet((ALLOW,), guardrails=(ALLOW,)), (Outcome.ALLOWED, None)),
        (PolicySet((ALLOW,), guardrails=(OTHER, ALLOW)), (Outcome.ALLOWED, None)),
        (PolicySet((ALLOW,), guardrails=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.GUARDRAIL)),
        (PolicySet((ALLOW,), guardrails=(ALLOW, DENY)), (Outcome.EXPLICIT_DENY, Layer.GUARDRAIL)),
        (PolicySet((), guardrails=(ALLOW,)), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        # the root user
        (PolicySet(is_root=True), (Outcome.ALLOWED, None)),
        (PolicySet(is_root=True, guardrails=(ALLOW,)), (Outcome.ALLOWED, None)),
        (PolicySet(is_root=True, guardrails=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.GUARDRAIL)),
        (PolicySet(is_root=True, guardrails=(ALLOW, DENY)), (Outcome.EXPLICIT_DENY, Layer.GUARDRAIL)),
        # which layer is told: any Deny first, then the order in which layers are asked
        (PolicySet((DENY,), boundary=OTHER, guardrails=(OTHER,)), (Outcome.EXPLICIT_DENY, Layer.IDENTITY)),
        (
            PolicySet((OTHER,), boundary=OTHER, session=(OTHER,), guardrails=(OTHER,)),
            (Outcome.IMPLICIT_DENY, Layer.GUARDRAIL),
        ),
        (PolicySet((OTHER,), boundary=OTHER, session=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.BOUNDARY)),
        (PolicySet((OTHER,), session=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.SESSION)),
    ],
)
def test_every_layer_that_is_there_must_allow_and_none_deny(
    policies: PolicySet, expected: tuple[Outcome, Layer | None]
) -> None:
    assert answer(policies) == expected


def test_an_allow_on_one_of_the_resources_is_enough() -> None:
    for resource in (A, B):
        assert (
            answer(PolicySet((policy(resource=resource),)), Request("ec2:CreateTags", (A, B)))[0]
            is Outcome.ALLOWED
        )
    assert (
        answer(PolicySet((policy(resource=C),)), Request("ec2:CreateTags", (A, B)))[0]
        is Outcome.IMPLICIT_DENY
    )


def test_each_layer_may_allow_another_of_the_resources() -> None:
    policies = PolicySet((policy(resource=A),), boundary=policy(resource=B))
    assert answer(policies, Request("ec2:CreateTags", (A, B)))[0] is Outcome.ALLOWED


def test_a_deny_on_any_resource_refuses_and_deny_also_serves_denies_alone() -> None:
    request = Request("ec2:CreateTags", (A, B), deny_also=(C,))
    allow = policy(resource=[A, C])
    assert answer(PolicySet((allow,)), request)[0] is Outcome.ALLOWED
    for resource in (A, B, C):
        assert (
            answer(PolicySet((allow, policy("Deny", resource=resource))), request)[0] is Outcome.EXPLICIT_DENY
        )
    only_deny_also = PolicySet((policy(resource=C),))
    assert answer(only_deny_also, request)[0] is Outcome.IMPLICIT_DENY


@pytest.mark.parametrize(
    "pattern",
    [
        "arn:aws:ec2:::subnet/*",
        "arn:aws:ec2::123456789012:subnet/a",
        "arn:aws:ec2:us-*::subnet/a",
        "arn:aws:ec2:us-east-1::*",
        "arn:*:ec2:us-east-1:123456789012:subnet/a",
        "arn:aws:ec2:us-east-1:123456789012:subnet/?",
        A,
    ],
)
def test_a_statement_is_found_among_many_about_other_resources(pattern: str) -> None:
    others = [f"arn:aws:ec2:us-east-1:123456789012:subnet/{'x' * (n % 7)}{n}" for n in range(10, 60)]
    many = tuple(policy(resource=other) for other in others)
    assert answer(PolicySet(many))[0] is Outcome.IMPLICIT_DENY
    assert answer(PolicySet((*many, policy(resource=pattern))))[0] is Outcome.ALLOWED
    denying = PolicySet((ALLOW, policy("Deny", resource=[*others, pattern]), *many))
    assert answer(denying)[0] is Outcome.EXPLICIT_DENY


def test_a_request_without_resource_level_support_needs_the_asterisk() -> None:
    request = Request("ec2:CreateTags")
    assert answer(PolicySet((policy(),)), request)[0] is Outcome.ALLOWED
    assert answer(PolicySet((policy(resource="arn:aws:ec2:*:*:*"),)), request)[0] is Outcome.IMPLICIT_DENY


def test_a_request_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="needs a resource"):
        Request("ec2:CreateTags", ())
    with pytest.raises(AmbiguousContext, match="aws:username more than once") as caught:
        Request("ec2:CreateTags", context={"aws:username": "a", "x:Key": "c", "aws:UserName": "b"})
    assert caught.value.keys == ("aws:username", "aws:UserName")
    for value in (22, ["a"], None, ("a", 1)):
        with pytest.raises(TypeError, match="x:Key is neither"):
            Request("ec2:CreateTags", context={"x:Key": value})  # type: ignore[dict-item]


def test_a_trust_policy_is_no_policy_of_a_principal() -> None:
    trust = parse_policy(
        {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}},
        name="on-call",
        kind=PolicyKind.TRUST,
    )
    with pytest.raises(ValueError, match="'on-call' is a trust policy"):
        PolicySet((trust,))


def test_policies_alone_are_identity_policies() -> None:
    assert evaluate(Request("ec2:CreateTags"), [ALLOW]).allowed
    assert evaluate(Request("ec2:CreateTags"), iter([ALLOW, DENY])).layer is Layer.IDENTITY


def test_a_policy_set_remembers_no_more_actions_than_its_bound_and_answers_all() -> None:
    policies = PolicySet((policy(action="ec2:Create*"),))
    for number in range(MAX_REMEMBERED_ACTIONS + 10):
        assert decide(Request(f"ec2:Create{number}"), policies) is Outcome.ALLOWED
    assert decide(Request("ec2:Delete"), policies) is Outcome.IMPLICIT_DENY
    assert len(policies.index._views) <= MAX_REMEMBERED_ACTIONS
