"""Role trust policies: may this principal assume this role?

A trust policy that names the caller itself suffices; one that names its account only lets the account's own
policies decide ("Policy evaluation logic"; "How to use trust policies with IAM roles").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchway.iam.decision import AppliedStatement, Decision, Layer, LayerOutcome, NearMiss, Outcome
from hatchway.iam.documents import Effect, Policy, PolicyKind
from hatchway.iam.elements import Named, Principal
from hatchway.iam.explanation import explain_statement, identify, layer_outcome
from hatchway.iam.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping


def evaluate_trust(
    policy: Policy,
    principal: Principal,
    context: Mapping[str, str | tuple[str, ...]] | None = None,
    *,
    role_arn: str = "*",
    action: str = "sts:AssumeRole",
) -> Decision:
    """What a role's trust policy says to `principal`; `Decision.named` tells how closely it named the caller.

    `role_arn` is only reported. Raises ValueError when `policy` is no trust policy.
    """
    if policy.kind is not PolicyKind.TRUST:
        raise ValueError(f"'{policy.name}' is not a trust policy")
    request = Request(action, role_arn, context or {})
    folded = action.lower()
    applied: list[AppliedStatement] = []
    missed: list[NearMiss] = []
    closest = Named.NOT
    for statement in policy.statements:
        if not statement.action.matches(folded) or statement.principal is None:
            continue
        identity = identify(Layer.TRUST, policy, statement)
        named = statement.principal.names_caller(principal)
        if not named:
            names = tuple(name for _, name in statement.principal.names)
            missed.append(NearMiss(*identity, "Principal", (principal.arn,), names))
            continue
        reason = explain_statement(identity, statement, request.targets, request.keys)
        if isinstance(reason, NearMiss):
            missed.append(reason)
            continue
        applied.append(reason)
        if statement.effect is Effect.ALLOW:
            closest = max(closest, named)
    outcome = layer_outcome(Layer.TRUST, applied, must_allow=True)
    return Decision(
        outcome,
        None if outcome is Outcome.ALLOWED else Layer.TRUST,
        request.action,
        request.resources,
        layers=(LayerOutcome(Layer.TRUST, outcome),),
        applied=tuple(applied),
        near_misses=tuple(missed),
        named=closest,
    )


def decide_assume_role(trust: Decision, own: Decision) -> Decision:
    """Which of two answers stands: the trust policy's, or that of the caller's own policies on the same call.

    Both must allow, except that a trust policy which names the caller itself needs no Allow of its own
    policies beside it; their Denies and the account's guardrails bind all the same. One which names the role
    whose session the caller is needs none of the role's, but the role's boundary and the session's policies
    must allow ("Policy evaluation logic", on resource-based policies).

    The caller's own refusal goes before the trust policy's: whoever may not assume a role learns nothing of
    how it is trusted.
    """
    if own.allowed:
        return trust
    unneeded = {
        Named.PRINCIPAL: (Layer.BOUNDARY, Layer.SESSION, Layer.IDENTITY),
        Named.ROLE: (Layer.IDENTITY,),
    }.get(trust.named or Named.NOT, ())
    alone = trust.allowed and own.outcome is Outcome.IMPLICIT_DENY and own.layer in unneeded
    return trust if alone else own
