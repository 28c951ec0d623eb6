"""On which line of its text a place of the fleet file is.

Readers know places (`vpcs.office.cidr`), not lines: values need not come from a text. Only messages to the
author of a file need lines, so the text is read once more for those.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Final

import yaml

from hatchway.fleet.fields import at
from hatchway.fleet.text import MAX_DEPTH, YAML_LOADER

_IN_THE_TEXT: Final = re.compile(r"line ([0-9]+) column [0-9]+")
_LAST_PART: Final = re.compile(r"[.\[ ][^.\[ ]*$")
_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s"\[\]{},:]+')
_MOST_CHARACTERS: Final = 256 * 1024 * 1024
"""Of all places together: those after have no line. Deep within long keys, each place is long."""


def lines_of(content: bytes) -> Mapping[str, int]:
    """The line, from 1, of each place in a file's text, as far as that is YAML or JSON."""
    found: dict[str, int] = {}
    left = _MOST_CHARACTERS
    # What is wrong with the text itself, `text` says.
    with suppress(UnicodeDecodeError, yaml.YAMLError):
        for place, line in _places(_nodes(content.decode("utf-8-sig"))):
            left -= len(place)
            if left < 0:
                break
            found[place] = line
    return found


def line_of(place: str, lines: Mapping[str, int]) -> int | None:
    """The line of a place, or of what it is in; None for the file as a whole."""
    if syntax := _IN_THE_TEXT.fullmatch(place):
        return int(syntax[1])
    while place not in lines:
        outer = _LAST_PART.sub("", place)
        if outer == place:
            return None
        place = outer
    return lines[place]


class _Begin(Enum):
    MAPPING = auto()
    LIST = auto()


_END: Final = object()
_Node = tuple[object, int]
"""A text, the beginning or `_END` of a mapping or list, or None for anything else; and its line."""


def _nodes(text: str) -> Iterator[_Node]:
    if text.lstrip()[:1] in ("{", "["):
        # As `text` has it, which tells what is wrong: JSON if it can be, for not all JSON is YAML too.
        with suppress(ValueError, RecursionError):
            json.loads(text)
            return _json_nodes(text)
    return _yaml_nodes(text)


def _json_nodes(text: str) -> Iterator[_Node]:
    line, counted = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        match token[0][0]:
            case "{":
                yield _Begin.MAPPING, line
            case "[":
                yield _Begin.LIST, line
            case "}" | "]":
                yield _END, line
            case '"':
                yield json.loads(token[0], strict=False), line
            case _:
                yield None, line


def _yaml_nodes(text: str) -> Iterator[_Node]:
    texts: dict[str, str] = {}
    loader = YAML_LOADER(text)
    while loader.check_event():
        # PyYAML's stubs do not know that an event that was read from a text has its place.
        event: Any = loader.get_event()
        line = int(event.start_mark.line) + 1
        if isinstance(event, yaml.CollectionEndEvent):
            yield _END, line
        elif isinstance(event, yaml.MappingStartEvent):
            yield _Begin.MAPPING, line
        elif isinstance(event, yaml.SequenceStartEvent):
            yield _Begin.LIST, line
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                texts[event.anchor] = event.value
            yield event.value, line
        elif isinstance(event, yaml.AliasEvent):
            yield texts.get(str(event.anchor)), line


class _Open:
    """A mapping or list that has begun: its place, its next index or the key whose value comes next."""

    __slots__ = ("index", "is_list", "key", "place")

    def __init__(self, place: str, *, is_list: bool) -> None:
        self.place = place
        self.is_list = is_list
        self.index = 0
        self.key: str | None = None


def _places(nodes: Iterable[_Node]) -> Iterator[tuple[str, int]]:
    """Each key's and each list item's place, and its line."""
    open_: list[_Open] = []
    for node, line in nodes:
        if node is _END:
            open_.pop()
            continue
        place = ""
        if open_:
            around = open_[-1]
            if around.is_list:
                place = f"{around.place}[{around.index}]"
                around.index += 1
                yield place, line
            elif around.key is None:
                if not isinstance(node, str):
                    return  # a key that is no text, which `text` refuses
                around.key = node
                yield at(around.place, around.key), line
                continue
            else:
                place, around.key = at(around.place, around.key), None
        if isinstance(node, _Begin):
            if len(open_) == MAX_DEPTH:
                return  # nested more deeply than `text` takes: places would grow without bound
            open_.append(_Open(place, is_list=node is _Begin.LIST))
