"""The checks that need to know the services: their actions, resource types and condition keys."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from hatchway.iam.global_keys import GLOBAL_KEYS, global_key
from hatchway.iam.lint.facts import is_named, template_tokens
from hatchway.iam.lint.findings import Finding
from hatchway.iam.lint.globs import arns_may_meet
from hatchway.iam.operators import FOR_ALL, FOR_ANY, NULL
from hatchway.iam.patterns import glob, tokenise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatchway.iam.conditions import Condition
    from hatchway.iam.lint.facts import ActionFacts, Facts, ServiceFacts
    from hatchway.iam.lint.source import Linted

_FITTING = {
    "String": ("String",),
    "Numeric": ("Numeric",),
    "Date": ("Date", "Numeric"),
    "Bool": ("Bool",),
    "Binary": ("Binary",),
    "IPAddress": ("IpAddress", "NotIpAddress"),
    "ARN": ("Arn", "String"),
}
"""What operators for a type of key begin with. Texts may be compared with ARNs, as AWS's examples do."""


def check(linted: Linted, facts: Facts) -> Iterable[Finding]:
    """Everything about one statement that the facts can tell."""
    expanded = [(place, pattern, expand(pattern, facts)) for place, pattern in linted.actions()]
    for place, pattern, actions in expanded:
        if actions is not None and not actions:
            yield _unknown_action(place, pattern, facts)
    if linted.statement.resource is not None and not linted.statement.resource.negated:
        for place, pattern, actions in expanded:
            if actions and not linted.statement.action.negated:
                yield from _resources(linted, place, pattern, actions)
    groups = [(pattern, actions) for _, pattern, actions in expanded if actions]
    for condition in linted.statement.conditions:
        yield from _condition(linted, condition, groups, facts)


def expand(pattern: str, facts: Facts) -> tuple[ActionFacts, ...] | None:
    """The actions that a pattern names: empty when there are none, None when of any service."""
    prefix, _, name = pattern.lower().partition(":")
    if "*" in prefix or "?" in prefix:
        return None
    service = facts.service(prefix)
    if service is None:
        return ()
    matches = glob(tokenise(name, wildcards=True, variables=False))
    return tuple(action for key, action in service.actions.items() if matches(key))


def _unknown_action(place: str, pattern: str, facts: Facts) -> Finding:
    prefix, _, name = pattern.partition(":")
    service = facts.service(prefix.lower())
    if service is None:
        return Finding(
            "unknown-action",
            place,
            f"'{pattern}' is of no service that is known: there is none with the prefix '{prefix}'.",
            "Correct the prefix before the colon.",
        )
    near = get_close_matches(name.lower(), service.actions, n=1)
    hint = f"Perhaps {service.actions[near[0]].name} is meant." if near else "Correct the name."
    return Finding("unknown-action", place, f"No action of {service.prefix} is '{pattern}'.", hint)


def _resources(linted: Linted, place: str, pattern: str, actions: Sequence[ActionFacts]) -> Iterable[Finding]:
    patterns = [(text, linted.tokens(text)) for _, text in linted.resources()]
    if any(text == "*" for text, _ in patterns):
        return
    named = ", ".join(text for text, _ in patterns)
    if not any(action.resource_types for action in actions):
        yield Finding(
            "resource-must-be-asterisk",
            place,
            f"{pattern} has no resource-level support, so {named} never matches.",
            'Put it into a statement of its own with "Resource": "*".',
        )
        return
    kinds = {kind.name: kind.arn for action in actions for kind in action.resource_types}
    if not any(
        arns_may_meet(tokens, template_tokens(arn)) for _, tokens in patterns for arn in kinds.values()
    ):
        yield Finding(
            "resource-never-matches",
            place,
            f"{pattern} is about {_listed(sorted(kinds))}, which {named} is not.",
            f"Name a resource such as {next(iter(kinds.values()))}.",
        )


def _listed(names: Sequence[str], limit: int = 4) -> str:
    return ", ".join(names) if len(names) <= limit else f"{', '.join(names[:limit])} and others"


Groups = list[tuple[str, "tuple[ActionFacts, ...]"]]


def _condition(linted: Linted, condition: Condition, groups: Groups, facts: Facts) -> Iterable[Finding]:
    place, key = linted.condition_place(condition), condition.folded_key
    services = _services(linted, key, facts)
    kind = _type_of(key, services)
    if kind is None:
        if services:
            known = [name for service in services for name in service.condition_keys]
            known += [row.name.lower() for row in GLOBAL_KEYS]
            near = get_close_matches(key, known, n=1)
            hint = f"Perhaps {near[0]} is meant." if near else "Correct the key."
            yield Finding("unknown-condition-key", place, f"No request has the key '{condition.key}'.", hint)
        return
    yield from _operator(condition, kind, place)
    everywhere = global_key(key)
    if linted.statement.action.negated or (everywhere is not None and not everywhere.by_action):
        return
    without = [
        pattern
        for pattern, actions in groups
        if not any(is_named(key, action.condition_keys) for action in actions)
    ]
    if without:
        yield Finding(
            "inapplicable-condition-key",
            place,
            f"Requests for {_listed(without)} do not have {condition.key}.",
            "Move the action into a statement without this condition.",
        )


def _services(linted: Linted, key: str, facts: Facts) -> list[ServiceFacts]:
    """The services of the statement's actions, and that of the key."""
    prefixes = {pattern.lower().partition(":")[0] for pattern in linted.statement.action.patterns}
    found = map(facts.service, sorted({*prefixes, key.partition(":")[0]}))
    return [service for service in found if service is not None]


def _type_of(key: str, services: Iterable[ServiceFacts]) -> str | None:
    for keys in (service.condition_keys for service in services):
        name = is_named(key, keys)
        if name is not None:
            return keys[name]
    everywhere = global_key(key)
    return None if everywhere is None else everywhere.type


def _operator(condition: Condition, kind: str, place: str) -> Iterable[Finding]:
    if condition.operator == NULL:
        return
    base = condition.operator.removeprefix(FOR_ALL).removeprefix(FOR_ANY)
    single = kind.removeprefix("ArrayOf")
    if not base.startswith(_FITTING.get(single, ("",))):
        fitting = " or ".join(f"{start}…" for start in _FITTING[single])
        yield Finding(
            "operator-type-mismatch",
            place,
            f"{condition.key} is of type {single}, which {condition.operator} does not compare.",
            f"Use {fitting}.",
        )
    if single != kind and base == condition.operator:
        yield Finding(
            "set-operator-missing",
            place,
            f"{condition.key} has several values, which {condition.operator} never matches.",
            f"Use {FOR_ANY}{base}, or {FOR_ALL}{base} with a Null condition beside it.",
        )
