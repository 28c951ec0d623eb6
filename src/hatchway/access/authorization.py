"""Checks of a caller's permissions (authorization.md, section 5: an operation needs all its checks)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from hatchway.access.principal import Caller, Principal
from hatchway.iam import AmbiguousContext, Decision, Layer, Outcome, Request, evaluate

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


def authorize(caller: Caller, checks: Sequence[Check], context: Context) -> Authorization:
    """The decisions, all of them allowing.

    Of tags whose keys differ in case alone no policy can say which one it means: not even its Deny. So a
    request about something that has such tags is refused, whoever makes it.

    Raises:
        AccessDenied: a check refuses.
    """
    decisions: list[Decision] = []
    for check in checks:
        try:
            request = Request(
                action=check.action,
                resource=check.resources,
                deny_also=check.deny_also,
                context={**context, **check.context} if check.context else context,
            )
            decision = evaluate(request, caller.policies)
        except AmbiguousContext as ambiguity:
            decision = Decision(
                Outcome.IMPLICIT_DENY,
                Layer.IDENTITY,
                check.action,
                check.resources,
                check.deny_also,
                ambiguous_keys=ambiguity.keys,
            )
        decisions.append(decision)
        if decision.outcome is not Outcome.ALLOWED:
            raise AccessDenied(caller.principal, Authorization(tuple(decisions)), decision)
    return Authorization(tuple(decisions))
