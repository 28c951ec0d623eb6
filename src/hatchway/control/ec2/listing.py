"""What every Describe operation does: one permission for all, ids, filters, pages.

What is listed by another permission is a `Listing` too, and its operation asks for that itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic

from sqlalchemy import Column

from hatchway.access.authorization import Check
from hatchway.control.ec2 import work_budget
from hatchway.control.ec2.documented_filters import DOCUMENTED
from hatchway.control.ec2.filters import Field, Filters, Noun, read_filters
from hatchway.control.ec2.paging import next_token, page_size, position_of
from hatchway.control.ec2.resource_ids import ResourceId
from hatchway.control.ec2.sql_filters import few_first
from hatchway.control.ec2.work_budget import WorkBudget
from hatchway.control.operations import Call
from hatchway.domain.network import Tags
from hatchway.protocol import ServiceError
from hatchway.store import Rows, TookTooLong, Transaction

_AT_ONCE: Final = 200
"""Rows that are read together when each must be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Noun]):
    """How one kind of resource is described.

    `ids` is the parameter that has them, empty for an operation without one. `fields` gives the filters
    besides those of tags that something can match. `least_page` is the smallest `MaxResults`;
    `ids_exclude_pages` says whether AWS refuses both together.
    """

    action: str
    ids: str
    kind: ResourceId
    rows: Callable[[Transaction], Rows[Noun]]
    id_column: Column[str]
    fields: Callable[[Call], Mapping[str, Field[Noun]]]
    least_page: int = 5
    ids_exclude_pages: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Noun]):
    """`next_token` is None on the last page."""

    nouns: Sequence[Noun]
    next_token: str | None


def describe(call: Call, listing: Listing[Noun], *also: Any) -> Page[Noun]:
    """The page that a call asks for, if the caller may have it; `also` are SQL conditions besides.

    Raises:
        AccessDenied: the caller lacks the permission.
        ServiceError: as `page_of` does.
    """
    call.authorize(Check(f"ec2:{listing.action}"))
    return page_of(call, listing, *also)


def page_of(call: Call, listing: Listing[Noun], *also: Any) -> Page[Noun]:
    """The page that a call asks for, whose permission has been asked for.

    Raises:
        ServiceError: a parameter is wrong, nothing has one of the ids, or the filters take too long.
    """
    parameters = call.parameters
    ids = tuple(dict.fromkeys(parameters.get(listing.ids) or ()))
    listing.kind.check(*ids)
    if ids and listing.ids_exclude_pages and parameters.get("MaxResults") is not None:
        raise ServiceError(
            "InvalidParameterCombination",
            f"The parameter {listing.ids} cannot be used with the parameter MaxResults",
        )
    size = page_size(parameters, listing.least_page)
    after = position_of(parameters, listing.action)
    fields: dict[str, Field[Noun]] = dict.fromkeys(DOCUMENTED[listing.action], _nothing)
    fields.update(listing.fields(call))
    filters: Filters[Noun] = read_filters(parameters.get("Filters") or (), fields, listing.id_column.table)

    rows = listing.rows(call.tx)
    with WorkBudget() as budget, limited(call.tx, filters, budget):
        if ids:
            with_these = listing.id_column.in_(ids)
            missing = set(ids) - {found for (found,) in rows.values(listing.id_column, where=[with_these])}
            if missing:
                raise listing.kind.missing(missing)
            conditions: list[Any] = [with_these, *(condition.holds for condition in filters.conditions)]
        else:
            conditions = few_first(rows, listing.id_column, filters.conditions)
        where = [*also, *conditions]
        chosen = _choose(rows, listing.id_column, where, filters, budget, after=after, most=size + 1)
    page = chosen[:size]
    token = next_token(listing.action, page[-1].id) if len(chosen) > size else None
    return Page(page, token)


@contextmanager
def limited(tx: Transaction, filters: Filters[Any], budget: WorkBudget) -> Iterator[None]:
    """Within, what the store computes for filters is of the call's budget too.

    Raises:
        ServiceError: it has taken too much, or too many others want a turn.
    """
    if not filters.conditions:
        yield
        return
    if filters.costly:
        budget.take_turn()
    try:
        with tx.time_limit(work_budget.MOST, budget.spend):
            yield
    except TookTooLong:
        raise work_budget.too_costly() from None


def _choose(
    rows: Rows[Noun],
    id_column: Column[str],
    conditions: Sequence[Any],
    filters: Filters[Noun],
    budget: WorkBudget,
    *,
    after: str,
    most: int,
) -> list[Noun]:
    """The first nouns after an id for which conditions and filters hold. Few are in memory at a time."""
    chosen: list[Noun] = []
    while True:
        limit = _AT_ONCE if filters.tests else most
        some = rows.find(*conditions, id_column > after, limit=limit)
        for noun in some:
            budget.spend()
            if filters.hold(noun, budget):
                chosen.append(noun)
                if len(chosen) == most:
                    return chosen
        if len(some) < limit:
            return chosen
        after = some[-1].id


def _nothing(_noun: Any) -> Iterable[str]:
    return ()


def tag_results(tags: Tags) -> list[dict[str, Any]]:
    """Tags as EC2 gives them, by key."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
