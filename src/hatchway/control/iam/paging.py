"""Pages of List operations: `MaxItems`, `Marker`, `IsTruncated` (AWS: IAM API Reference, "ListUsers")."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, func

from hatchway.control.operations import Call
from hatchway.control.page_tokens import InvalidToken, make_token, read_token
from hatchway.protocol import ServiceError
from hatchway.store import Rows

Item = TypeVar("Item")
Find = Callable[[str, int], Sequence[Any]]
_DEFAULT_SIZE: Final = 100
MOST_CHARACTERS: Final = 1 << 22
"""Of documents on one page: they are in memory several times over while it is made."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """`marker` is None on the last page."""

    items: Sequence[Item]
    marker: str | None

    def result(self) -> dict[str, Any]:
        """The members that every answer with pages has."""
        return {"IsTruncated": self.marker is not None, "Marker": self.marker}


def page_of(call: Call, items: Sequence[Item], key: Callable[[Item], str]) -> Page[Item]:
    """The page that a call asks for, in the order of `key`, which tells the items apart.

    Raises:
        ServiceError: the marker is none of ours.
    """
    after, size = _asked(call)
    rest = sorted((item for item in items if key(item) > after), key=key)
    page = rest[:size]
    return Page(page, _marker(call, key(page[-1])) if len(rest) > size else None)


def page_of_rows(call: Call, rows: Rows[Any], column: Column[str], *conditions: Any) -> Page[Any]:
    """The same of the rows that meet SQL conditions; their `column` tells them apart.

    Of many rows only the page is read. The order is the database's own, as are the places where pages begin.

    Raises:
        ServiceError: the marker is none of ours.
    """
    after, size = _asked(call)
    found = rows.find(column > after, *conditions, limit=size + 1, order=(column,))
    page = found[:size]
    return Page(page, _marker(call, getattr(page[-1], column.name)) if len(found) > size else None)


def page_of_sections(
    call: Call,
    sections: Mapping[str, Find],
    characters: Callable[[Sequence[tuple[str, Any]]], Iterable[int]] | None = None,
) -> Page[tuple[str, Any]]:
    """A page of things of several kinds: all of the first section, then all of the next, each by name.

    A section is what finds its things: so many whose names come after one. On the page each is with the name
    of its section.

    `characters` gives those of the documents that each thing is told with: with more than `MOST_CHARACTERS`
    of them a page has fewer things than it could, and at least one. (AWS: "IAM might return fewer than the
    MaxItems number of results, even when there are more results available".)

    Raises:
        ServiceError: the marker is none of ours.
    """
    asked, size = _asked(call)
    begun, _, after = asked.partition(":")
    if begun not in {"", *sections}:
        raise _invalid_marker()
    found: list[tuple[str, Any]] = []
    waiting = begun != ""
    for section, find in sections.items():
        waiting = waiting and section != begun
        if waiting or len(found) > size:
            continue
        things = find(after if section == begun else "", size + 1 - len(found))
        found += [(section, thing) for thing in things]
    page = found[:size]
    if characters is not None:
        together = accumulate(characters(page))
        page = page[: max(1, sum(1 for sum_ in together if sum_ <= MOST_CHARACTERS))]
    more = len(found) > len(page)
    return Page(page, _marker(call, f"{page[-1][0]}:{page[-1][1].name}") if more else None)


def path_begins(call: Call, columns: Any) -> ColumnElement[bool]:
    """The condition that a path begins as the call's `PathPrefix` says."""
    prefix = call.parameters.get("PathPrefix") or "/"
    return func.substr(columns.path, 1, len(prefix)) == prefix


def _asked(call: Call) -> tuple[str, int]:
    """After which key the page begins, and how long it is."""
    after = _position(call.operation_name, call.parameters.get("Marker"))
    return after, call.parameters.get("MaxItems") or _DEFAULT_SIZE


def _marker(call: Call, key: str) -> str:
    """With the operation before the token: versions without that refuse it, and do not begin elsewhere."""
    return f"{call.operation_name}.{make_token(key)}"


def _position(operation: str, marker: str | None) -> str:
    if marker is None:
        return ""
    # One of a version before names no operation.
    given, named, token = marker.rpartition(".")
    try:
        if named and given != operation:
            raise InvalidToken
        return read_token(token)
    except InvalidToken:
        raise _invalid_marker() from None


def _invalid_marker() -> ServiceError:
    return ServiceError("ValidationError", "Invalid Marker: use one that this operation gave.")
