"""Checks of a caller's permissions: an operation needs all of its checks."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from hatchway.access.principal import Caller, Principal
from hatchway.access.stored_policies import TRUSTS_NOBODY, stored_trust_policy
from hatchway.iam import (
    AmbiguousContext,
    AppliedStatement,
    Decision,
    Effect,
    Layer,
    LayerOutcome,
    Outcome,
    Request,
    decide_assume_role,
    evaluate,
    evaluate_trust,
)
from hatchway.iam import (
    Principal as TrustedPrincipal,
)
from hatchway.iam.explanation import combine, layer_outcome

Context = Mapping[str, str | tuple[str, ...]]
ANY_RESOURCE = ("*",)


class Check(NamedTuple):
    """One permission: an Allow on any of `resources`, and a Deny on none of them nor of `deny_also`.

    `context` holds the condition keys of this check alone, besides those of the request.
    """

    action: str
    resources: tuple[str, ...] = ANY_RESOURCE
    deny_also: tuple[str, ...] = ()
    context: Context = MappingProxyType({})


class Guard(NamedTuple):
    """A resource that an operation touches beside the one that it is about, judged by its own keys.

    `context` is that resource's, its tags among it: nothing that the caller asks for stands in for what it
    lacks. A Deny that is about `unnamed` as well, which no Deny names, means the operation as a whole, as one
    on `*` does: it counts when it applies under one of `whole` too, where the operation's own keys complete
    the resource's. An Allow on it is needed only where `needs_allow` says so.
    """

    action: str
    resource: str
    context: Context
    unnamed: str
    whole: tuple[Context, ...]
    needs_allow: bool = False


class Trust(NamedTuple):
    """A permission of a role's trust policy as well as of the caller's own (`decide_assume_role` in `iam`).

    `trust_policy` is the document's text, None for a role that is not there: it trusts nobody.
    """

    action: str
    role_arn: str
    trust_policy: str | None
    context: Context = MappingProxyType({})


class Authorization(NamedTuple):
    """The decisions on an operation's checks, in order; evaluation stops at the first that refuses."""

    decisions: tuple[Decision, ...]

    @property
    def refusal(self) -> Decision | None:
        last = self.decisions[-1] if self.decisions else None
        return last if last is not None and last.outcome is not Outcome.ALLOWED else None

    def to_json(self) -> dict[str, Any]:
        """The whole of it, for the audit trail."""
        return {"checks": [decision.to_json() for decision in self.decisions]}


class AccessDenied(Exception):
    """The caller lacks a permission. The message is AWS's sentence, without any policy text."""

    def __init__(self, principal: Principal, authorization: Authorization, refusal: Decision) -> None:
        super().__init__(refusal.sentence(principal.arn))
        self.principal = principal
        self.authorization = authorization
        self.refusal = refusal


def authorize(caller: Caller, checks: Iterable[Check | Guard | Trust], context: Context) -> Authorization:
    """The decisions, all of them allowing.

    Of tags whose keys differ in case alone no policy can say which one it means: not even its Deny. So a
    request about something that has such tags is refused, whoever makes it.

    Raises:
        AccessDenied: a check refuses.
    """
    decisions: list[Decision] = []
    for check in checks:
        try:
            decision = _decision(caller, check, context)
        except AmbiguousContext as ambiguity:
            resources, deny_also = _targets(check)
            decision = Decision(
                Outcome.IMPLICIT_DENY,
                Layer.IDENTITY,
                check.action,
                resources,
                deny_also,
                ambiguous_keys=ambiguity.keys,
            )
        decisions.append(decision)
        if decision.outcome is not Outcome.ALLOWED:
            raise AccessDenied(caller.principal, Authorization(tuple(decisions)), decision)
    return Authorization(tuple(decisions))


def _targets(check: Check | Guard | Trust) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if isinstance(check, Check):
        return check.resources, check.deny_also
    return (check.role_arn if isinstance(check, Trust) else check.resource,), ()


def _decision(caller: Caller, check: Check | Guard | Trust, context: Context) -> Decision:
    if isinstance(check, Check):
        return _decide(
            caller, check.action, check.resources, _merged(context, check.context), check.deny_also
        )
    if isinstance(check, Guard):
        return _decide_guard(caller, check, context)
    return _decide_trust(caller, check, _merged(context, check.context))


def resource_keys(resources: tuple[str, ...], account: str) -> Context:
    """What a request about `resources` carries for being about some: all there are belong to the account."""
    return {} if resources == ANY_RESOURCE else {"aws:ResourceAccount": account}


def _merged(context: Context, own: Context) -> Context:
    return {**context, **own} if own else context


def _decide(
    caller: Caller,
    action: str,
    resources: tuple[str, ...],
    context: Context,
    deny_also: tuple[str, ...] = (),
) -> Decision:
    keys = _merged(context, resource_keys(resources, caller.principal.account))
    request = Request(action=action, resource=resources, deny_also=deny_also, context=keys)
    return evaluate(request, caller.policies)


def _decide_guard(caller: Caller, guard: Guard, context: Context) -> Decision:
    keys, target = _merged(context, guard.context), (guard.resource,)
    own = _decide(caller, guard.action, target, keys)
    uncounted: frozenset[_Place] = frozenset()
    if own.outcome is Outcome.EXPLICIT_DENY:
        uncounted = _denies(_decide(caller, guard.action, (guard.unnamed,), keys))
        for whole in guard.whole:
            uncounted -= _denies(_decide(caller, guard.action, target, _merged(context, whole)))
    applied = [
        said for said in own.applied if said.effect is not Effect.DENY or _place(said) not in uncounted
    ]
    required = caller.policies.required if guard.needs_allow else ()
    layers = tuple(
        LayerOutcome(layer, layer_outcome(layer, applied, must_allow=layer in required))
        for layer in caller.policies.layers
    )
    outcome, refusing = combine(layers)
    decision = own._replace(outcome=outcome, layer=refusing, layers=layers, applied=tuple(applied))
    if guard.needs_allow or outcome is not Outcome.ALLOWED:
        return decision
    return decision._replace(resources=(), deny_also=target)


def _decide_trust(caller: Caller, check: Trust, context: Context) -> Decision:
    target, principal = (check.role_arn,), caller.principal
    own = _decide(caller, check.action, target, context)
    policy = (
        TRUSTS_NOBODY
        if check.trust_policy is None
        else stored_trust_policy(check.trust_policy, f"trust policy of {check.role_arn}")
    )
    trust = evaluate_trust(
        policy,
        TrustedPrincipal(
            principal.arn,
            principal.account,
            role_arn=None if principal.issuer is None else principal.issuer.arn,
        ),
        _merged(context, resource_keys(target, principal.account)),
        role_arn=check.role_arn,
        action=check.action,
    )
    return decide_assume_role(trust, own)


_Place = tuple[Layer, str, int]
"""A statement's: its layer, its policy's name, its index."""


def _denies(decision: Decision) -> frozenset[_Place]:
    return frozenset(_place(said) for said in decision.applied if said.effect is Effect.DENY)


def _place(statement: AppliedStatement) -> _Place:
    return statement.layer, statement.policy, statement.index
