"""The checks of condition keys that no request carries, or that every request carries with one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchway.iam.global_keys import GlobalKey, Presence, global_key
from hatchway.iam.lint.findings import Finding
from hatchway.iam.operators import NULL
from hatchway.iam.patterns import tokenise, variables_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchway.iam.conditions import Condition
    from hatchway.iam.lint.source import Linted


def presence(linted: Linted) -> Iterable[Finding]:
    """Conditions on such keys, and variables of them."""
    for condition in linted.statement.conditions:
        known = global_key(condition.key)
        if known is None:
            continue
        if known.presence is Presence.NEVER:
            yield _absent(linted, condition, known)
        elif known.presence is Presence.ALWAYS:
            yield from _decided(linted, condition, known)
    yield from _variables(linted)


def _absent(linted: Linted, condition: Condition, known: GlobalKey) -> Finding:
    if condition.holds({}):
        consequence = "this condition is always met"
        fix = "Remove the condition, unless every request is meant."
    else:
        consequence = f"the statement never {_does(linted)} anything"
        fix = "Ask about a key that requests carry, or remove the statement."
    problem = f"No request carries {condition.key} here ({known.when}), so that {consequence}."
    return Finding("absent-condition-key", linted.condition_place(condition), problem, fix)


def _decided(linted: Linted, condition: Condition, known: GlobalKey) -> Iterable[Finding]:
    if known.constant is not None and not condition.variables:
        met = condition.holds({condition.folded_key: known.constant})
        carries = f"Every request carries {condition.key} with the value {known.constant}"
    elif condition.operator == NULL:
        met = condition.holds({condition.folded_key: "a value"})
        carries = f"Every request carries {condition.key}"
    else:
        return
    if not met:
        yield Finding(
            "unmeetable-condition",
            linted.condition_place(condition),
            f"{carries}, so that the statement never {_does(linted)} anything.",
            "Remove the statement, or the condition if the rest is meant.",
        )


def _does(linted: Linted) -> str:
    return "allows" if linted.allows else "denies"


def _variables(linted: Linted) -> Iterable[Finding]:
    if not linted.variables:
        return
    placed = [*linted.resources()]
    for condition in linted.statement.conditions:
        placed += linted.condition_values(condition)
    for place, text in placed:
        for variable in variables_of(tokenise(text, wildcards=True, variables=True)):
            known = global_key(variable.key)
            if known is not None and known.presence is Presence.NEVER and variable.default is None:
                yield Finding(
                    "absent-condition-key",
                    place,
                    f"No request carries {known.name} here ({known.when}): '{text}' equals nothing.",
                    "Use a variable that has a value, or give it a default.",
                )
