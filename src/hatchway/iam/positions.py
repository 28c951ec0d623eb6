"""Where in its text each part of a policy document stands.

    spans(text)["Statement[1].Condition.IpAddress.aws:SourceIp"].start.line

The places are those that errors and findings name (`Statement[1].Action[0]`); a document whose Statement is
one object has it at `Statement[0]`, as elsewhere.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]:,]|[^\s{}\[\]:,"]++')


class Position(NamedTuple):
    """A character's line and column, both counted from 1."""

    line: int
    column: int


class Span(NamedTuple):
    """From the first character of a value to the one after its last."""

    start: Position
    end: Position


def spans(document: str) -> dict[str, Span]:
    """The place of every value inside the document, in the order in which the values begin.

    `document` is JSON text that `parse_policy` takes; of any other text the answer is of no use, but there
    is one, in a time that is linear in its length.
    """
    found: dict[str, Span] = {}
    lines = _LineCounter(document)
    waiting: list[_Container] = []
    for token in _TOKEN.finditer(document):
        text = token[0]
        container = waiting[-1] if waiting else None
        if text in "}]":
            if container is not None:
                waiting.pop()
                found[container.place] = Span(container.start, lines.position(token.end()))
        elif text == ",":
            if container is not None:
                container.next()
        elif text == ":":
            if container is not None:
                container.at_value = True
        elif container is not None and not container.at_value:
            container.key = _key(text)
        else:
            place = "" if container is None else container.place_within()
            start = lines.position(token.start())
            if text in "{[":
                if text == "{" and place == "Statement":
                    place = "Statement[0]"
                found[place] = Span(start, start)
                waiting.append(_Container(place, start, is_list=text == "["))
            else:
                found[place] = Span(start, lines.position(token.end()))
    found.pop("", None)
    return found


def _key(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text


class _Container:
    """An object or list that is being read: where it stands, and which of its values comes next."""

    __slots__ = ("at_value", "index", "is_list", "key", "place", "start")

    def __init__(self, place: str, start: Position, *, is_list: bool) -> None:
        self.place = place
        self.start = start
        self.is_list = is_list
        self.index = 0
        self.key = ""
        self.at_value = is_list

    def next(self) -> None:
        self.index += 1
        self.at_value = self.is_list

    def place_within(self) -> str:
        if self.is_list:
            return f"{self.place}[{self.index}]"
        return f"{self.place}.{self.key}" if self.place else self.key


class _LineCounter:
    """Positions of offsets that are asked for in rising order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line = 1
        self._line_start = 0
        self._seen = 0

    def position(self, offset: int) -> Position:
        newlines = self._text.count("\n", self._seen, offset)
        if newlines:
            self._line += newlines
            self._line_start = self._text.rindex("\n", self._seen, offset) + 1
        self._seen = offset
        return Position(self._line, offset - self._line_start + 1)
