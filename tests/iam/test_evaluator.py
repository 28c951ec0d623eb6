"""The decision procedure: layers, effects, several resources."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hatchway.iam import (
    Layer,
    Outcome,
    Policy,
    PolicyKind,
    PolicySet,
    Request,
    decide,
    evaluate,
    evaluator,
    parse_policy,
)

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


given = partial(partial, PolicySet)
"""A PolicySet yet to be made: within a test, what goes wrong has the test's name."""


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (given(), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        (given((ALLOW,)), (Outcome.ALLOWED, None)),
        (given((OTHER,)), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        (given((ALLOW, DENY)), (Outcome.EXPLICIT_DENY, Layer.IDENTITY)),
        (given((DENY, ALLOW)), (Outcome.EXPLICIT_DENY, Layer.IDENTITY)),
        (given((OTHER, ALLOW)), (Outcome.ALLOWED, None)),
        # boundary
        (given((ALLOW,), boundary=ALLOW), (Outcome.ALLOWED, None)),
        (given((ALLOW,), boundary=OTHER), (Outcome.IMPLICIT_DENY, Layer.BOUNDARY)),
        (given((ALLOW,), boundary=DENY), (Outcome.EXPLICIT_DENY, Layer.BOUNDARY)),
        (given((), boundary=ALLOW), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        # session policies
        (given((ALLOW,), session=(ALLOW,)), (Outcome.ALLOWED, None)),
        (given((ALLOW,), session=(OTHER, ALLOW)), (Outcome.ALLOWED, None)),
        (given((ALLOW,), session=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.SESSION)),
        (given((ALLOW,), session=()), (Outcome.IMPLICIT_DENY, Layer.SESSION)),
        (given((), session=(ALLOW,)), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        # guardrails
        (given((ALLOW,), guardrails=(ALLOW,)), (Outcome.ALLOWED, None)),
        (given((ALLOW,), guardrails=(OTHER, ALLOW)), (Outcome.ALLOWED, None)),
        (given((ALLOW,), guardrails=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.GUARDRAIL)),
        (given((ALLOW,), guardrails=(ALLOW, DENY)), (Outcome.EXPLICIT_DENY, Layer.GUARDRAIL)),
        (given((), guardrails=(ALLOW,)), (Outcome.IMPLICIT_DENY, Layer.IDENTITY)),
        # the root user
        (given(is_root=True), (Outcome.ALLOWED, None)),
        (given((ALLOW,), is_root=True), (Outcome.ALLOWED, None)),
        (given((ALLOW, DENY), is_root=True), (Outcome.EXPLICIT_DENY, Layer.IDENTITY)),
        (given(is_root=True, guardrails=(ALLOW,)), (Outcome.ALLOWED, None)),
        (given(is_root=True, guardrails=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.GUARDRAIL)),
        (given(is_root=True, guardrails=(ALLOW, DENY)), (Outcome.EXPLICIT_DENY, Layer.GUARDRAIL)),
        # which layer is told: any Deny first, then the order in which layers are asked
        (given((DENY,), boundary=OTHER, guardrails=(OTHER,)), (Outcome.EXPLICIT_DENY, Layer.IDENTITY)),
        (
            given((OTHER,), boundary=OTHER, session=(OTHER,), guardrails=(OTHER,)),
            (Outcome.IMPLICIT_DENY, Layer.GUARDRAIL),
        ),
        (given((OTHER,), boundary=OTHER, session=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.BOUNDARY)),
        (given((OTHER,), session=(OTHER,)), (Outcome.IMPLICIT_DENY, Layer.SESSION)),
    ],
)
def test_every_layer_that_is_there_must_allow_and_none_deny(
    policies: Callable[[], PolicySet], expected: tuple[Outcome, Layer | None]
) -> None:
    assert answer(policies()) == expected


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


def test_a_policy_set_remembers_no_more_actions_than_its_bound_and_answers_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluator, "MAX_REMEMBERED_ACTIONS", 5)
    policies = PolicySet((policy(action="ec2:Create*"),))
    for number in range(20):
        assert decide(Request(f"ec2:Create{number}"), policies) is Outcome.ALLOWED
        assert len(policies.index._views) <= 5
    assert decide(Request("ec2:Delete"), policies) is Outcome.IMPLICIT_DENY
    assert policies.index.view("ec2:Delete") is policies.index.view("ec2:Delete")


def test_statements_whose_resources_begin_with_texts_of_one_length_are_told_apart() -> None:
    kinds = [f"arn:aws:ec2:us-east-1:123456789012:{kind}/*" for kind in ("aaa", "bbb", "ccc")]
    policies = PolicySet(tuple(policy(resource=kind) for kind in kinds))
    for kind in kinds:
        assert answer(policies, Request("ec2:CreateTags", kind.replace("*", "x")))[0] is Outcome.ALLOWED
    for other in ("arn:aws:ec2:us-east-1:123456789012:ddd/x", "arn:aws:ec2:us-east-1:123456789012:aaa"):
        assert answer(policies, Request("ec2:CreateTags", other))[0] is Outcome.IMPLICIT_DENY


@pytest.mark.parametrize(
    ("statement", "action", "expected"),
    [
        ({"Action": "*:CreateTags"}, "ec2:CreateTags", Outcome.ALLOWED),
        ({"Action": "ec?:CreateTags"}, "ec2:CreateTags", Outcome.ALLOWED),
        ({"Action": "ec?:CreateTags"}, "iam:CreateTags", Outcome.IMPLICIT_DENY),
        ({"Action": "*"}, "ec2:CreateTags", Outcome.ALLOWED),
        ({"Action": "ec2:*"}, "EC2:CREATETAGS", Outcome.ALLOWED),
        ({"Action": "ec2:*"}, "ec2:Create:Tags", Outcome.ALLOWED),
        ({"Action": "ec2:Create????"}, "ec2:CreateTags", Outcome.ALLOWED),
        ({"Action": ["iam:*", "EC2:createtags"]}, "ec2:CreateTags", Outcome.ALLOWED),
        ({"Action": ["iam:CreateUser", "EC2:createtags"]}, "ec2:CreateTags", Outcome.ALLOWED),
        ({"NotAction": "iam:CreateUser"}, "ec2:CreateTags", Outcome.ALLOWED),
        ({"NotAction": "ec2:CreateTags"}, "ec2:CreateTags", Outcome.IMPLICIT_DENY),
    ],
)
def test_a_statement_is_found_by_its_actions_however_they_are_written(
    statement: dict[str, Any], action: str, expected: Outcome
) -> None:
    policies = PolicySet((parse_policy({"Statement": {"Effect": "Allow", "Resource": "*"} | statement}),))
    assert answer(policies, Request(action, A))[0] is expected
    # and again, now that it is remembered
    assert answer(policies, Request(action, A))[0] is expected


def test_statements_for_an_action_come_in_the_order_of_layers_policies_and_statements() -> None:
    def many(name: str, *actions: str) -> Policy:
        statements = [{"Effect": "Allow", "Action": action, "Resource": "*"} for action in actions]
        return parse_policy({"Statement": statements}, name=name)

    policies = PolicySet(
        identity=(
            many("i", "ec2:Create*", "iam:*", "ec2:CreateTags"),
            many("j", "*", "ec2:createtags"),
        ),
        boundary=many("b", "*"),
        session=(many("s", "ec2:CreateTags"),),
        guardrails=(many("g", "ec2:*"),),
    )
    found = policies.index.view("ec2:CreateTags").candidates
    assert [(each.layer, each.policy.name, each.statement.index) for each in found] == [
        (Layer.GUARDRAIL, "g", 0),
        (Layer.BOUNDARY, "b", 0),
        (Layer.SESSION, "s", 0),
        (Layer.IDENTITY, "i", 0),
        (Layer.IDENTITY, "i", 2),
        (Layer.IDENTITY, "j", 0),
        (Layer.IDENTITY, "j", 1),
    ]


def test_statements_whose_resources_begin_with_texts_of_two_lengths_are_all_found() -> None:
    kinds = [f"arn:aws:ec2:us-east-1:123456789012:{kind}/*" for kind in ("a", "b", "c", "ddd", "eee", "fff")]
    policies = PolicySet(tuple(policy(resource=kind) for kind in kinds))
    for kind in kinds:
        assert answer(policies, Request("ec2:CreateTags", kind.replace("*", "x")))[0] is Outcome.ALLOWED
    other = Request("ec2:CreateTags", "arn:aws:ec2:us-east-1:123456789012:ggg/x")
    assert answer(policies, other)[0] is Outcome.IMPLICIT_DENY


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"x:Team": "red"}, Outcome.ALLOWED),
        ({"x:Team": "blue"}, Outcome.IMPLICIT_DENY),
        ({}, Outcome.IMPLICIT_DENY),
        ({"x:Team": "red", "x:Port": "3389"}, Outcome.EXPLICIT_DENY),
    ],
)
def test_conditions_are_asked_of_the_requests_keys(
    context: dict[str, str | tuple[str, ...]], expected: Outcome
) -> None:
    wide = {"Action": "ec2:CreateTags", "Resource": "*"}
    statements = [
        wide | {"Effect": "Allow", "Condition": {"StringEquals": {"x:Team": "red"}}},
        wide | {"Effect": "Deny", "Condition": {"NumericEquals": {"x:Port": "3389"}}},
    ]
    policies = PolicySet((parse_policy({"Statement": statements}),))
    assert answer(policies, Request("ec2:CreateTags", A, context))[0] is expected
