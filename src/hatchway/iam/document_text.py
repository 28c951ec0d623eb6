"""The text of a policy document: JSON, within bounds, in which nothing has to be guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Never

from hatchway.iam.errors import MalformedPolicy
from hatchway.iam.patterns import shorten

MAX_DOCUMENT_CHARACTERS = 1_000_000
"""A bound on work, far above every quota of `hatchway.iam.sizes`."""

_LONGEST_PLACE = 1_000
"""Characters of a place in a message."""


def refuse(place: str, problem: str) -> Never:
    """
    Raises:
        MalformedPolicy: always.
    """
    raise MalformedPolicy(place, problem)


class JsonNumber(str):
    """A number as the document writes it: never rounded, and no text where a text is wanted."""

    __slots__ = ()


class _Repeated(NamedTuple):
    """Stands for a JSON object that has the same key twice."""

    key: str


def text_of(document: str | bytes) -> str:
    """A document's text, within bounds."""
    if isinstance(document, bytes):
        try:
            document = document.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            refuse("document", f"is not UTF-8 text (byte {error.start})")
    if len(document) > MAX_DOCUMENT_CHARACTERS:
        refuse("document", f"has more than {MAX_DOCUMENT_CHARACTERS} characters")
    return document


def load(text: str) -> Any:
    """What the text holds, numbers as they are written, and no key twice."""
    try:
        content = json.loads(
            text,
            parse_int=JsonNumber,
            parse_float=JsonNumber,
            parse_constant=lambda constant: refuse("document", f"has {constant}, which is not JSON"),
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        problem = error.msg[:1].lower() + error.msg[1:]
        refuse(f"line {error.lineno} column {error.colno}", f"is not JSON: {problem}")
    except RecursionError:
        refuse("document", "is nested too deeply")
    _refuse_repeated_keys(content)
    return content


def shown(key: str) -> str:
    """A key, before its characters are checked, as a message of one line may hold it."""
    return shorten(key if key.isprintable() else ascii(key)[1:-1])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Repeated:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            return _Repeated(key)
        content[key] = value
    return content


class _Place(NamedTuple):
    """Where a value stands: a step, and the place around it. Its text is made for the one that is refused: of
    each value it would be as long as the document is deep."""

    step: str | int
    around: _Place | None

    def text(self) -> str:
        steps = list[str]()
        place: _Place | None = self
        while place is not None:
            step = place.step
            steps.append(f"[{step}]" if isinstance(step, int) else f".{shown(step)}")
            place = place.around
        return "".join(reversed(steps)).removeprefix(".")


def _refuse_repeated_keys(content: Any) -> None:
    waiting: list[tuple[Any, _Place | None]] = [(content, None)]
    while waiting:
        value, place = waiting.pop()
        if place == _STATEMENT and not isinstance(value, list):
            place = _Place(0, place)
        if isinstance(value, _Repeated):
            where = "" if place is None else shorten(place.text(), _LONGEST_PLACE)
            refuse(where or "document", f"has the key '{shown(value.key)}' more than once")
        if isinstance(value, dict):
            waiting.extend((inner, _Place(key, place)) for key, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((inner, _Place(index, place)) for index, inner in enumerate(value))


_STATEMENT = _Place("Statement", None)


def plain(value: Any) -> Any:
    """A checked mapping as json.dumps takes it."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value
