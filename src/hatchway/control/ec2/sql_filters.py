"""What the store itself can tell of a filter: conditions of SQL, and which of them to begin with.

A filter that few rows meet finds them by an index, however many others there are. What many meet is looked at
row by row in the order of ids, and a page is soon full. Which of both a filter is, the store is asked first.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    String,
    Table,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
)

from hatchway.control.ec2.wildcards import Values
from hatchway.store import Rows, matches
from hatchway.store.tables import RESOURCE_TYPES, security_group_uses, security_groups, subnets, tag_index

FEW: Final = 500
"""Rows that are cheap to gather before any of them is looked at."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What the store can tell of one filter.

    `holds` is whether a row meets it. `found` selects the ids of those that do, None without an index.
    `in_order` is the same as `holds`, of a column whose index then gives the rows in the order of ids.
    """

    holds: ColumnElement[bool]
    found: Select[Any] | None = None
    in_order: ColumnElement[bool] | None = None


StoredField = Callable[[Values], Condition]
"""A field of a noun as the store has it: the condition that it is what a filter asks for."""


def of_column(column: Column[Any]) -> StoredField:
    """What a column of the listed table holds, with an index; in that of a resource the id comes next."""
    # As text: of an enumeration's column one may ask for what it never holds.
    text = type_coerce(column, String)

    def condition(wanted: Values) -> Condition:
        # An index gives the rows of one value in the order of ids, and those of several not.
        exact = not wanted.patterns and len(wanted.literals) == 1
        indexed = _is_any(text, wanted)
        # What is computed is looked up in no index.
        holds = _is_any(text.concat(""), wanted)
        listed = column.table
        in_order = indexed if exact and listed is not tag_index else None
        return Condition(holds, select(_id_of(listed)).where(indexed), in_order)

    return condition


def of_constant(*texts: str) -> StoredField:
    """What is the same for every row."""
    return lambda wanted: Condition(true() if any(map(wanted.match, texts)) else false())


def of_expression(text: ColumnElement[str]) -> StoredField:
    """What is computed from columns of the listed table, without an index."""
    return lambda wanted: Condition(_is_any(text, wanted))


def of_id(column: Column[Any], prefix: str, stem: str = "") -> StoredField:
    """The id with a prefix, in the place of `stem` with which every id begins."""
    field = of_column(column)
    text = literal(prefix, String).concat(func.substr(column, len(stem) + 1))

    def condition(wanted: Values) -> Condition:
        if wanted.patterns:
            return of_expression(text)(wanted)
        named = (one.removeprefix(prefix) for one in wanted.literals if one.startswith(prefix))
        return field(Values(frozenset(stem + rest for rest in named), ()))

    return condition


def of_zone(subnet_id: Column[Any]) -> StoredField:
    """The availability zone of the subnet whose id a column holds."""

    def condition(wanted: Values) -> Condition:
        there = subnets.c.id == subnet_id, _is_any(subnets.c.availability_zone, wanted)
        return Condition(exists().where(*there), select(_id_of(subnet_id.table)).where(*there))

    return condition


def of_group_ids(listed: Table) -> StoredField:
    """The ids of the security groups that a row has."""
    return lambda wanted: _indexed(
        listed, security_group_uses, _is_any(security_group_uses.c.group_id, wanted)
    )


def of_group_names(listed: Table) -> StoredField:
    """The names of the security groups that a row has."""

    def condition(wanted: Values) -> Condition:
        of_group = security_groups.c.id == security_group_uses.c.group_id
        return _indexed(listed, security_group_uses, of_group, _is_any(security_groups.c.name, wanted))

    return condition


def of_tag(listed: Table, key: str) -> StoredField:
    """The value of the tag with this key."""
    return lambda wanted: _indexed(
        listed, tag_index, tag_index.c.tag_key == key, _is_any(tag_index.c.tag_value, wanted)
    )


def of_tag_keys(listed: Table) -> StoredField:
    return lambda wanted: _indexed(listed, tag_index, _is_any(tag_index.c.tag_key, wanted))


def of_tag_values(listed: Table) -> StoredField:
    return lambda wanted: _indexed(listed, tag_index, _is_any(tag_index.c.tag_value, wanted))


def translated(field: StoredField, texts: Callable[[], Iterable[tuple[str, str]]]) -> StoredField:
    """What has a text of its own for each value of another field: `texts` gives them all, text and value."""

    def condition(wanted: Values) -> Condition:
        return field(Values(frozenset(value for text, value in texts() if wanted.match(text)), ()))

    return condition


def few_first(rows: Rows[Any], id_column: Column[str], conditions: Sequence[Condition]) -> list[Any]:
    """SQL conditions that hold for the rows which meet all of `conditions`, the quickest way."""
    found = [condition.found for condition in conditions if condition.found is not None]
    counts = rows.counts(found, FEW + 1)
    holds = [condition.holds for condition in conditions]
    if counts and min(counts) <= FEW:
        return [id_column.in_(found[counts.index(min(counts))]), *holds]
    ordered = next((condition for condition in conditions if condition.in_order is not None), None)
    return [condition.in_order if condition is ordered else condition.holds for condition in conditions]


def _is_any(text: ColumnElement[str], wanted: Values) -> ColumnElement[bool]:
    """Whether a text is one of those that a filter asks for."""
    ways: list[ColumnElement[bool]] = [matches(text, pattern.characters) for pattern in wanted.patterns]
    match sorted(wanted.literals):
        case []:
            pass
        case [one]:
            ways.append(text == one)
        case several:
            ways.append(text.in_(several))
    return or_(false(), *ways)


def _indexed(listed: Table, index: Table, *entries: ColumnElement[bool]) -> Condition:
    """That a row has such an entry in an index table."""
    of_kind = index.c.resource_type == RESOURCE_TYPES[listed.name]
    of_row = index.c.resource_id == _id_of(listed)
    return Condition(
        exists().where(of_row, of_kind, *entries), select(index.c.resource_id).where(of_kind, *entries)
    )


def _id_of(listed: Any) -> Column[str]:
    column: Column[str] = listed.c.resource_id if listed is tag_index else listed.c.id
    return column
