"""Filters of Describe operations, in Python and in SQLite, beside a matcher that fills a table; the work is
bounded."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import StaticPool, and_, create_engine, insert, select, true

from fuzz.draws import Draws, noise
from hatchway.control.ec2.filters import read_filters
from hatchway.domain.network import Vpc
from hatchway.domain.text import text_problem
from hatchway.protocol import ServiceError
from hatchway.store.tables import metadata, tag_index, vpcs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hatchway.control.ec2.filters import Filters
    from hatchway.control.ec2.work_budget import WorkBudget

_FIELDS: Mapping[str, Callable[[Vpc], Sequence[str]]] = {
    "vpc-id": lambda vpc: [vpc.id],
    "cidr": lambda vpc: vpc.cidrs,
}
_FREE_OF_CHARGE = cast("WorkBudget", SimpleNamespace(spend=lambda: None))
"""Of how much a call may cost, `WorkBudget` keeps account; here it is what one noun costs that matters."""
_ENGINE = create_engine("sqlite://", poolclass=StaticPool)
metadata.create_all(_ENGINE, [vpcs, tag_index])
_LETTERS = "*?\\ab\n"


def one_input(data: bytes) -> None:
    draws = Draws(data)
    text = _text(draws, 40)
    vpc = Vpc(
        id=text, name="x", cidrs=(_text(draws, 6), _text(draws, 6)), tags={_text(draws, 4): _text(draws, 8)}
    )
    names = ("vpc-id", "cidr", "tag:a", "tag-key", "tag-value", "tag:", "Tag:a")
    filters: list[dict[str, Any]] = [
        {
            "Name": draws.one_of(names) if not draws.chance(8) else _text(draws, 8),
            "Values": [_text(draws, 24) for _ in range(draws.below(4))],
        }
        for _ in range(1 + draws.below(2))
    ]
    try:
        filters_ = read_filters(filters, _FIELDS, vpcs)
    except ServiceError as refusal:
        assert refusal.code in ("InvalidParameterValue", "FilterLimitExceeded")
        assert len(refusal.message) < 500
        return
    texts = [*vpc.tags, *vpc.tags.values()]
    texts += [text for one in filters for text in (one["Name"], *one["Values"])]
    if any(map(text_problem, texts)):
        # Such a text comes into no store, nor past the check of a call's parameters.
        return
    holds = filters_.hold(vpc, _FREE_OF_CHARGE) and _holds_in_store(filters_, vpc)
    assert holds is all(_obvious(one, vpc) for one in filters), filters


def _holds_in_store(filters: Filters[Vpc], vpc: Vpc) -> bool:
    """Whether the conditions that are left to the store hold for a VPC with this one's tags."""
    if not filters.conditions:
        return True
    row = {"name": "x", "cidrs": (), "separate_network": False, "revision": 1, "tags": {}}
    entries = [
        {"resource_id": "vpc-1", "resource_type": "vpc", "tag_key": key, "tag_value": value}
        for key, value in vpc.tags.items()
    ]
    with _ENGINE.connect() as connection:
        # Undone at the end.
        connection.execute(insert(vpcs), {"id": "vpc-1", **row})
        if entries:
            connection.execute(insert(tag_index), entries)
        query = select(vpcs.c.id).where(and_(true(), *(one.holds for one in filters.conditions)))
        return connection.execute(query).first() is not None


def _text(draws: Draws, most: int) -> str:
    if draws.chance(3):
        return draws.text(most)
    return "".join(draws.one_of(_LETTERS) for _ in range(draws.below(most)))


def _obvious(one: Mapping[str, Any], vpc: Vpc) -> bool:
    name = one["Name"]
    if name in _FIELDS:
        fields = list(_FIELDS[name](vpc))
    elif name == "tag-key":
        fields = list(vpc.tags)
    elif name == "tag-value":
        fields = list(vpc.tags.values())
    else:
        fields = [value for key, value in vpc.tags.items() if f"tag:{key}" == name]
    return any(_matches(pattern, field) for pattern in one["Values"] for field in fields)


def _matches(pattern: str, text: str) -> bool:
    """By a table of which beginnings of both match."""
    row = [True] + [False] * len(text)
    rest = list(pattern)
    while rest:
        token = rest.pop(0)
        literal = token == "\\"
        if literal and rest:
            token = rest.pop(0)
        if token == "*" and not literal:
            for at in range(len(text)):
                row[at + 1] = row[at + 1] or row[at]
        else:
            any_one = token == "?" and not literal
            row = [False] + [row[at] and (any_one or text[at] == token) for at in range(len(text))]
    return row[-1]


def seeds() -> list[bytes]:
    return noise(60, 100)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    """A tag's value has 256 characters at most, so what grows is the pattern."""
    vpc = Vpc(id="a" * 255, name="x", cidrs=(), tags={})
    patterns = {
        "stars": "*" * size,
        "stars between": "a*" * size + "b",
        "a long literal": "a" * size,
        "questions": "?" * size,
        "escapes": "\\*" * size,
    }

    def work(pattern: str) -> None:
        try:
            filters_ = read_filters([{"Name": "vpc-id", "Values": [pattern] * 20}], _FIELDS, vpcs)
        except ServiceError:
            return
        filters_.hold(vpc, _FREE_OF_CHARGE)

    return {what: partial(work, pattern) for what, pattern in patterns.items()}
