"""An operation needs all its checks; a resource that it touches besides is judged by its own keys."""

from typing import Any

import pytest
from tests.access.people import ACCOUNT, ARNS, caller, document, policy

from hatchway.access.authorization import (
    ANY_RESOURCE,
    AccessDenied,
    Check,
    Guard,
    Trust,
    authorize,
    resource_keys,
)
from hatchway.access.principal import Caller, Issuer, Principal, PrincipalType
from hatchway.iam import Effect, Layer, LayerOutcome, Outcome, PolicySet

VPC, GROUP = ARNS.vpc("vpc-1"), ARNS.security_group("sg-1")
ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY: dict[str, Any] = {**ALLOW, "Effect": "Deny"}
OF_PROD = {"Condition": {"StringEquals": {"aws:ResourceTag/env": "prod"}}}


def test_an_operation_is_allowed_when_each_of_its_checks_is() -> None:
    done = authorize(caller(ALLOW), [Check("ec2:DescribeVpcs"), Check("ec2:CreateTags", (VPC,))], {})

    assert [decision.action for decision in done.decisions] == ["ec2:DescribeVpcs", "ec2:CreateTags"]
    assert done.refusal is None
    assert [check["outcome"] for check in done.to_json()["checks"]] == ["allowed", "allowed"]


def test_the_first_check_that_refuses_is_the_last_that_is_made() -> None:
    alice = caller({**ALLOW, "Action": "ec2:DescribeVpcs"})
    checks = [Check("ec2:DescribeVpcs"), Check("ec2:CreateTags", (VPC,)), Check("ec2:DeleteTags", (VPC,))]

    with pytest.raises(AccessDenied) as denied:
        authorize(alice, checks, {})

    error = denied.value
    assert [decision.action for decision in error.authorization.decisions] == [
        "ec2:DescribeVpcs",
        "ec2:CreateTags",
    ]
    assert error.authorization.refusal is error.refusal
    assert error.principal == alice.principal
    assert str(error) == (
        f"User: {ARNS.user('alice')} is not authorized to perform: ec2:CreateTags on resource: {VPC} "
        "because no identity-based policy allows the ec2:CreateTags action"
    )


def test_an_operation_without_checks_is_refused_by_none() -> None:
    assert authorize(caller(), [], {}).refusal is None


def outcome(check: Check | Guard, *statements: dict[str, Any], **context: str) -> Outcome:
    try:
        return authorize(caller(*statements), [check], context).decisions[-1].outcome
    except AccessDenied as denied:
        return denied.refusal.outcome


def test_an_allow_on_any_of_the_resources_will_do_and_a_deny_on_none_of_them_nor_of_the_others() -> None:
    check = Check("ec2:X", (VPC, ARNS.subnet("subnet-1")), deny_also=(GROUP,))

    assert outcome(check, {**ALLOW, "Resource": VPC}) is Outcome.ALLOWED
    assert outcome(check, {**ALLOW, "Resource": GROUP}) is Outcome.IMPLICIT_DENY
    assert outcome(check, ALLOW, {**DENY, "Resource": GROUP}) is Outcome.EXPLICIT_DENY


def test_a_check_has_the_requests_keys_and_its_own_which_come_first() -> None:
    check = Check("ec2:X", (VPC,), context={"aws:ResourceTag/env": "prod"})

    assert outcome(check, {**ALLOW, **OF_PROD}) is Outcome.ALLOWED
    assert outcome(check, {**ALLOW, **OF_PROD}, **{"aws:ResourceTag/env": "dev"}) is Outcome.ALLOWED
    assert outcome(Check("ec2:X"), {**ALLOW, **OF_PROD}, **{"aws:ResourceTag/env": "prod"}) is Outcome.ALLOWED
    assert outcome(Check("ec2:X"), {**ALLOW, **OF_PROD}) is Outcome.IMPLICIT_DENY


def test_what_is_about_a_resource_is_about_one_of_the_account() -> None:
    assert resource_keys((VPC,), ACCOUNT) == {"aws:ResourceAccount": ACCOUNT}
    assert resource_keys(ANY_RESOURCE, ACCOUNT) == {}
    own = {**ALLOW, "Condition": {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}}
    assert outcome(Check("ec2:X", (VPC,)), own) is Outcome.ALLOWED
    assert outcome(Check("ec2:X"), own) is Outcome.IMPLICIT_DENY


@pytest.mark.parametrize(
    "check",
    [Check("ec2:X", (VPC,), (GROUP,)), Guard("ec2:X", VPC, {}, ARNS.unnamed, ())],
    ids=["check", "guard"],
)
def test_keys_that_differ_in_case_alone_are_refused_whatever_the_policies(check: Check | Guard) -> None:
    tags = {"aws:ResourceTag/env": "dev", "aws:ResourceTag/Env": "prod"}

    with pytest.raises(AccessDenied) as denied:
        authorize(caller(ALLOW), [check], tags)

    refusal = denied.value.refusal
    assert (refusal.outcome, refusal.layer) == (Outcome.IMPLICIT_DENY, Layer.IDENTITY)
    assert set(refusal.ambiguous_keys) == {"aws:ResourceTag/env", "aws:ResourceTag/Env"}
    assert (refusal.action, refusal.resources) == ("ec2:X", (VPC,))
    assert refusal.deny_also == ((GROUP,) if isinstance(check, Check) else ())


def guard(needs_allow: bool = False, whole: str = "dev", **context: str) -> Guard:
    """On a security group of production, of an operation on something that is `whole`."""
    own = {"aws:ResourceTag/env": "prod", **context}
    return Guard("ec2:X", GROUP, own, ARNS.unnamed, ({"aws:ResourceTag/env": whole},), needs_allow)


def test_a_guarded_resource_needs_an_allow_only_where_it_is_said() -> None:
    (decision,) = authorize(caller({**ALLOW, "Resource": VPC}), [guard()], {}).decisions
    assert (decision.outcome, decision.resources, decision.deny_also) == (Outcome.ALLOWED, (), (GROUP,))
    assert outcome(guard(needs_allow=True), {**ALLOW, "Resource": VPC}) is Outcome.IMPLICIT_DENY
    (decision,) = authorize(caller({**ALLOW, "Resource": GROUP}), [guard(needs_allow=True)], {}).decisions
    assert (decision.outcome, decision.resources, decision.deny_also) == (Outcome.ALLOWED, (GROUP,), ())


def test_a_deny_on_the_guarded_resource_counts() -> None:
    of_groups = {**DENY, "Resource": ARNS.security_group("*"), **OF_PROD}

    assert outcome(guard(), ALLOW, of_groups) is Outcome.EXPLICIT_DENY
    (decision,) = authorize(caller(ALLOW), [guard()], {}).decisions
    assert {statement.effect for statement in decision.applied} == {Effect.ALLOW}


def test_a_deny_on_everything_counts_when_it_means_the_operation_as_a_whole() -> None:
    of_everything = {**DENY, **OF_PROD}

    assert outcome(guard(whole="dev"), ALLOW, of_everything) is Outcome.ALLOWED
    assert outcome(guard(whole="prod"), ALLOW, of_everything) is Outcome.EXPLICIT_DENY
    assert outcome(guard(whole="dev"), ALLOW, {**DENY, "Condition": {}}) is Outcome.EXPLICIT_DENY


def test_of_a_deny_that_does_not_count_the_decision_says_nothing() -> None:
    (decision,) = authorize(caller(ALLOW, {**DENY, **OF_PROD}), [guard(whole="dev")], {}).decisions

    assert [statement.effect for statement in decision.applied] == [Effect.ALLOW]
    assert (decision.layer, decision.layers) == (None, (LayerOutcome(Layer.IDENTITY, Outcome.ALLOWED),))


def test_a_boundary_must_allow_a_guarded_resource_only_where_it_is_said() -> None:
    bounded = caller(ALLOW, boundary=policy({**ALLOW, "Resource": VPC}, name="boundary"))

    assert authorize(bounded, [guard()], {}).refusal is None
    with pytest.raises(AccessDenied) as denied:
        authorize(bounded, [guard(needs_allow=True)], {})
    assert denied.value.refusal.layer is Layer.BOUNDARY


ROLE = ARNS.role("on-call")


def trusting(name: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": name}, **more}
    return document(statement)


@pytest.mark.parametrize(
    ("trust", "statements", "outcome", "layer"),
    [
        (trusting(ACCOUNT), [ALLOW], Outcome.ALLOWED, None),
        (trusting(ACCOUNT), [], Outcome.IMPLICIT_DENY, Layer.IDENTITY),
        (trusting(ARNS.user("alice")), [], Outcome.ALLOWED, None),
        (trusting(ARNS.user("bob")), [ALLOW], Outcome.IMPLICIT_DENY, Layer.TRUST),
        (None, [ALLOW], Outcome.IMPLICIT_DENY, Layer.TRUST),
        (None, [], Outcome.IMPLICIT_DENY, Layer.IDENTITY),
        ("no policy", [ALLOW], Outcome.IMPLICIT_DENY, Layer.TRUST),
        (
            trusting(
                ACCOUNT, Condition={"StringEquals": {"aws:ResourceAccount": ACCOUNT, "sts:ExternalId": "x"}}
            ),
            [ALLOW],
            Outcome.ALLOWED,
            None,
        ),
    ],
)
def test_a_role_is_had_by_whom_it_trusts(
    trust: str | None, statements: list[dict[str, Any]], outcome: Outcome, layer: Layer | None
) -> None:
    check = Trust("sts:AssumeRole", ROLE, trust, {"sts:ExternalId": "x"})
    try:
        (decision,) = authorize(caller(*statements), [check], {}).decisions
    except AccessDenied as denied:
        decision = denied.refusal
    assert (decision.outcome, decision.layer, decision.resources) == (outcome, layer, (ROLE,))


def test_a_role_s_session_is_trusted_as_the_role() -> None:
    session = Principal(
        arn=ARNS.assumed_role("first", "work"),
        account=ACCOUNT,
        type=PrincipalType.ASSUMED_ROLE,
        user_id="AROAFIRST:work",
        user_name=None,
        access_key_id="ASIA1",
        issuer=Issuer(arn=ARNS.role("first"), id="AROAFIRST", name="first", max_session_duration=3600),
    )
    check = Trust("sts:AssumeRole", ROLE, trusting(ARNS.role("first")))
    (decision,) = authorize(Caller(session, PolicySet()), [check], {}).decisions
    assert decision.outcome is Outcome.ALLOWED


def test_of_tags_that_differ_in_case_alone_no_trust_policy_can_speak() -> None:
    check = Trust(
        "sts:AssumeRole", ROLE, trusting(ACCOUNT), {"iam:ResourceTag/a": "1", "iam:ResourceTag/A": "2"}
    )
    with pytest.raises(AccessDenied):
        authorize(caller(ALLOW), [check], {})


def test_a_trust_policy_is_asked_about_the_action_and_named_by_its_role() -> None:
    (decision,) = authorize(
        caller(), [Trust("sts:AssumeRole", ROLE, trusting(ARNS.user("alice")))], {}
    ).decisions
    assert {said.policy for said in decision.applied} == {f"trust policy of {ROLE}"}
    with pytest.raises(AccessDenied) as denied:
        authorize(caller(ALLOW), [Trust("sts:TagSession", ROLE, trusting(ACCOUNT))], {})
    assert denied.value.refusal.layer is Layer.TRUST
    tagging = trusting(ACCOUNT, Action="sts:TagSession")
    assert authorize(caller(ALLOW), [Trust("sts:TagSession", ROLE, tagging)], {}).refusal is None
