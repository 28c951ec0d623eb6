"""Statements of one policy that add nothing: said by another already, or taken back by a Deny."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from hatchway.iam.documents import Effect
from hatchway.iam.lint.findings import Finding
from hatchway.iam.lint.globs import covers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatchway.iam.documents import Statement
    from hatchway.iam.lint.source import Linted


MAX_PATTERNS = 1000
"""Every pattern is held against every other, so that a policy far beyond AWS's quotas is not compared."""


def overlaps(statements: Sequence[Linted]) -> Iterable[Finding]:
    """At most one finding for each statement that another makes needless."""
    if sum(len([*each.actions(), *each.resources()]) for each in statements) > MAX_PATTERNS:
        return
    found: set[int] = set()
    # Of two that say the same, the later one is the duplicate: it is the first to be the narrow one.
    for broad, narrow in permutations(statements, 2):
        index = narrow.statement.index
        if index in found or broad.statement.index in found or not _covers(broad, narrow):
            continue
        if broad.statement.effect is narrow.statement.effect:
            found.add(index)
            yield Finding(
                "duplicate-statement",
                narrow.place,
                f"All that it says, {_name(broad.statement)} says too.",
                "Remove it.",
            )
        elif broad.statement.effect is Effect.DENY:
            found.add(index)
            yield Finding(
                "unreachable-statement",
                narrow.place,
                f"All that it allows, {_name(broad.statement)} denies.",
                "Remove it, or narrow the Deny.",
            )


def _name(statement: Statement) -> str:
    place = f"Statement[{statement.index}]"
    return f"{place} ({statement.sid})" if statement.sid else place


def _covers(broad: Linted, narrow: Linted) -> bool:
    """Whether `broad` applies to every request that `narrow` applies to; a no may be too careful."""
    one, other = broad.statement, narrow.statement
    if one.principal != other.principal or not _same_or_fewer_conditions(one, other):
        return False
    if one.action.negated or other.action.negated:
        same_actions = one.action == other.action
    else:
        same_actions = _all_covered(
            [p.lower() for p in one.action.patterns], [p.lower() for p in other.action.patterns], arn=False
        )
    if not same_actions:
        return False
    if one.resource is None or other.resource is None:
        return one.resource is other.resource
    if one.resource.negated or other.resource.negated:
        return one.resource == other.resource
    return _all_covered(one.resource.patterns, other.resource.patterns, arn=True)


def _same_or_fewer_conditions(one: Statement, other: Statement) -> bool:
    asked = {(c.operator, c.folded_key, frozenset(c.values)) for c in other.conditions}
    return {(c.operator, c.folded_key, frozenset(c.values)) for c in one.conditions} <= asked


def _all_covered(broad: Sequence[str], narrow: Sequence[str], *, arn: bool) -> bool:
    return all(
        any(
            one == each or ("${" not in one and "${" not in each and covers(one, each, arn=arn))
            for one in broad
        )
        for each in narrow
    )
