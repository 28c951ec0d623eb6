"""What every Describe operation does: one permission for all, ids, filters, pages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

from sqlalchemy import Column

from hatchway.access.authorization import Check
from hatchway.control.ec2.filters import Field, Noun, read_filters
from hatchway.control.ec2.paging import next_token, page_size, position_of
from hatchway.control.ec2.resource_ids import ResourceId
from hatchway.control.operations import Call
from hatchway.domain.network import Tags
from hatchway.protocol import ServiceError
from hatchway.store import Rows, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[Noun]):
    """How one kind of resource is described.

    `ids` is the parameter that has them. `fields` gives the filters besides those of tags. `least_page` is
    the smallest `MaxResults`; `ids_exclude_pages` says whether AWS refuses both together.
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


def describe(call: Call, listing: Listing[Noun], also: Callable[[Noun], bool] = lambda _: True) -> Page[Noun]:
    """The page that a call asks for, if the caller may have it; `also` is a filter besides those it has.

    Raises:
        AccessDenied: the caller lacks the permission.
        ServiceError: a parameter is wrong, or nothing has one of the ids.
    """
    call.authorize(Check(f"ec2:{listing.action}"))

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
    holds = read_filters(parameters.get("Filters") or (), listing.fields(call))

    rows = listing.rows(call.tx)
    if ids:
        found = rows.find(listing.id_column.in_(ids))
        missing = set(ids) - {noun.id for noun in found}
        if missing:
            raise listing.kind.missing(missing)
    else:
        found = rows.find()
    chosen = [noun for noun in found if noun.id > after and also(noun) and holds(noun)]
    page = chosen[:size]
    token = next_token(listing.action, page[-1].id) if len(chosen) > size else None
    return Page(page, token)


def tag_results(tags: Tags) -> list[dict[str, Any]]:
    """Tags as EC2 gives them, by key."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
