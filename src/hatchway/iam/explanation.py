"""The same evaluation as `hatchway.iam.evaluator.decide`, with the reasons.

Every statement whose action matched is put to the same compiled tests as in enforcement; for one that does
not apply, the first element that failed is described.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchway.iam.decision import (
    AppliedStatement,
    Decision,
    Layer,
    LayerOutcome,
    NearMiss,
    Outcome,
)
from hatchway.iam.documents import Effect, Policy, Statement
from hatchway.iam.evaluator import PolicySet
from hatchway.iam.operators import NULL, OPERATORS
from hatchway.iam.patterns import value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatchway.iam.conditions import Condition
    from hatchway.iam.elements import ResourceElement
    from hatchway.iam.patterns import Arn, Keys, Variable
    from hatchway.iam.request import Request


def evaluate(request: Request, policies: PolicySet | Iterable[Policy]) -> Decision:
    """Decide a request and say why. Policies that are no PolicySet are identity policies."""
    if not isinstance(policies, PolicySet):
        policies = PolicySet(identity=tuple(policies))
    applied: list[AppliedStatement] = []
    missed: list[NearMiss] = []
    for layer, policy, statement in policies.index.view(request.action).candidates:
        reason = explain_statement(
            identify(layer, policy, statement), statement, targets_of(request, statement), request.keys
        )
        if isinstance(reason, AppliedStatement):
            applied.append(reason)
        else:
            missed.append(reason)
    required = policies.required
    outcomes = tuple(
        [
            LayerOutcome(layer, layer_outcome(layer, applied, must_allow=layer in required))
            for layer in policies.layers
        ]
    )
    outcome, layer_refusing = combine(outcomes)
    return Decision(
        outcome,
        layer_refusing,
        request.action,
        request.resources,
        request.deny_also,
        outcomes,
        tuple(applied),
        tuple(missed),
    )


def combine(said: Sequence[LayerOutcome]) -> tuple[Outcome, Layer | None]:
    """What the layers come to, and which refused: any Deny first, then the first not to allow."""
    for outcome in (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY):
        for each in said:
            if each.outcome is outcome:
                return outcome, each.layer
    return Outcome.ALLOWED, None


def layer_outcome(layer: Layer, applied: Iterable[AppliedStatement], *, must_allow: bool) -> Outcome:
    """What a layer says by itself, given the statements that applied."""
    effects = [statement.effect for statement in applied if statement.layer is layer]
    if Effect.DENY in effects:
        return Outcome.EXPLICIT_DENY
    return Outcome.ALLOWED if Effect.ALLOW in effects or not must_allow else Outcome.IMPLICIT_DENY


Identity = tuple[str, Layer, str | None, int, Effect]
"""The fields of a `StatementRef`."""


def identify(layer: Layer, policy: Policy, statement: Statement) -> Identity:
    """A statement as decisions name it."""
    return policy.name, layer, statement.sid, statement.index, statement.effect


def targets_of(request: Request, statement: Statement) -> tuple[Arn, ...]:
    """The resources that a statement of this effect looks at."""
    return request.targets if statement.effect is Effect.ALLOW else request.deny_targets


def explain_statement(
    identity: Identity, statement: Statement, targets: tuple[Arn, ...], keys: Keys
) -> AppliedStatement | NearMiss:
    """What a statement whose action (and principal) matched applies to, or what kept it from applying."""
    hit = targets[0]
    if statement.resource is not None:
        matches = statement.resource.matches
        for arn in targets:
            if matches(arn, keys):
                hit = arn
                break
        else:
            return NearMiss(
                *identity, *_describe_resource(statement.resource, statement.effect, targets, keys)
            )
    for condition in statement.conditions:
        if not condition.holds(keys):
            return NearMiss(*identity, *_describe_condition(condition, keys))
    note = _applied_note(statement, keys) if statement.has_variables else ""
    return AppliedStatement(*identity, hit.text, note)


Description = tuple[str, tuple[str, ...], tuple[str, ...], str]
"""Element, the request's values, the policy's values, a note."""


def _describe_resource(
    element: ResourceElement, effect: Effect, targets: tuple[Arn, ...], keys: Keys
) -> Description:
    name = "NotResource" if element.negated else "Resource"
    # A Deny's complement holds whatever has no value: something else kept it from applying.
    note = "" if element.negated and effect is Effect.DENY else _unresolved(element.variables, keys)
    if not note and not element.negated and targets[0].text == "*":
        note = "the action has no resource-level support: only * matches"
    return name, tuple(arn.text for arn in targets), element.patterns, note


def _applied_note(statement: Statement, keys: Keys) -> str:
    """The first variable without a value that a complement or a negated operator was met by, if any."""
    resource = statement.resource
    if resource is not None and resource.negated and (note := _unresolved(resource.variables, keys)):
        return f"NotResource: {note}"
    for condition in statement.conditions:
        if (
            condition.variables
            and _is_negated(condition)
            and (note := _unresolved(condition.variables, keys))
        ):
            return f"Condition {condition.operator} {condition.key}: {note}"
    return ""


def _is_negated(condition: Condition) -> bool:
    return OPERATORS[condition.operator].comparison.negated


def _describe_condition(condition: Condition, keys: Keys) -> Description:
    value = keys.get(condition.folded_key, ())
    had = (value,) if isinstance(value, str) else value
    return (
        f"Condition {condition.operator} {condition.key}",
        had,
        condition.values,
        _note(condition, had, keys),
    )


def _note(condition: Condition, had: tuple[str, ...], keys: Keys) -> str:
    """What the two lists of values do not show by themselves."""
    if condition.operator == NULL:
        return "true: the key must be absent; false: it must be present"
    # Under a negated operator what has no value is met: something else kept the condition from holding.
    if not _is_negated(condition) and (unresolved := _unresolved(condition.variables, keys)):
        return unresolved
    operator = OPERATORS[condition.operator]
    if isinstance(keys.get(condition.folded_key), tuple) and not operator.quantifier:
        return "a key with several values needs ForAllValues or ForAnyValue"
    read = operator.comparison.read_request
    unreadable = [value for value in had if read is not None and read(value) is None]
    return f"'{unreadable[0]}' is not {operator.comparison.reads}" if unreadable else ""


def _unresolved(variables: Iterable[Variable], keys: Keys) -> str:
    """A note on the first variable that the request leaves without a value, if any."""
    without = (variable.key for variable in variables if value_of(variable, keys) is None)
    return next((f"the request has no value for ${{{key}}}" for key in without), "")
