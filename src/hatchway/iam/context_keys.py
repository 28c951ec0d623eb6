"""The condition keys that a policy asks about: those of its conditions, and those of its variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hatchway.iam.documents import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from hatchway.iam.documents import Policy, Statement
    from hatchway.iam.evaluator import PolicySet
    from hatchway.iam.request import Request

_VARIABLE = re.compile(r"\$\{([^*?$}',][^}',]*+)")


def context_keys(policy: Policy) -> tuple[str, ...]:
    """Each key once, as it is first written, in the order of the document."""
    return _each_once(key for statement in policy.statements for key in statement_keys(policy, statement))


def statement_keys(policy: Policy, statement: Statement) -> tuple[str, ...]:
    """The same of one statement of the policy, whose version says whether variables count."""
    return _each_once(_keys(statement, variables=policy.version == VERSIONS[0]))


def action_keys(action: str, policies: PolicySet) -> tuple[str, ...]:
    """The keys that the statements on an action ask about."""
    return _each_once(
        key
        for _, policy, statement in policies.index.view(action).candidates
        for key in statement_keys(policy, statement)
    )


def reads_any(action: str, policies: PolicySet, keys: Set[str]) -> bool:
    """Whether what the statements on an action come to may depend on one of these keys, in lower case."""
    return any(
        not keys.isdisjoint(_read_by(statement)) for _, _, statement in policies.index.view(action).candidates
    )


def _read_by(statement: Statement) -> Iterable[str]:
    """The keys that the compiled statement looks up, in lower case."""
    if statement.resource is not None:
        yield from (variable.key for variable in statement.resource.variables)
    for condition in statement.conditions:
        yield condition.folded_key
        yield from (variable.key for variable in condition.variables)


def missing_keys(request: Request, policies: PolicySet) -> tuple[str, ...]:
    """The keys that the statements on the request's action ask about and the request has no value for."""
    return tuple(key for key in action_keys(request.action, policies) if key.lower() not in request.keys)


def _keys(statement: Statement, *, variables: bool) -> Iterable[str]:
    if statement.resource is not None and variables:
        yield from _variables(statement.resource.patterns)
    for condition in statement.conditions:
        yield condition.key
        if variables:
            yield from _variables(condition.values)


def _variables(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        for variable in _VARIABLE.finditer(text):
            yield variable[1].strip()


def _each_once(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys that differ in case alone are one key."""
    found: dict[str, str] = {}
    for key in keys:
        found.setdefault(key.lower(), key)
    return tuple(found.values())
