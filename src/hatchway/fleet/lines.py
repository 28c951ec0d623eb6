"""On which line of its text a place of the fleet file is.

Readers know places (`vpcs.office.cidr`), not lines: values need not come from a text. Only messages to the
author of a file need lines, so the text is read once more for those.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import yaml

from hatchway.fleet.fields import at
from hatchway.fleet.text import YAML_LOADER

_IN_THE_TEXT: Final = re.compile(r"line ([0-9]+) column [0-9]+")
_LAST_PART: Final = re.compile(r"[.\[ ][^.\[ ]*$")


def lines_of(content: bytes) -> Mapping[str, int]:
    """The line, from 1, of each place in a file's text, as far as that is YAML or JSON."""
    found: dict[str, int] = {}
    # What is wrong with the text itself, `text` says.
    with suppress(UnicodeDecodeError, yaml.YAMLError):
        found.update(_places(content.decode("utf-8-sig")))
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


class _Open:
    """A mapping or list that has begun: its place, its next index or the key whose value comes next."""

    __slots__ = ("index", "is_list", "key", "place")

    def __init__(self, place: str, *, is_list: bool) -> None:
        self.place = place
        self.is_list = is_list
        self.index = 0
        self.key: str | None = None


# PyYAML's stubs do not know that an event that was read from a text has its place.
def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _places(text: str) -> Iterator[tuple[str, int]]:
    """Each key's and each list item's place, and its line."""
    open_: list[_Open] = []
    loader = YAML_LOADER(text)
    while loader.check_event():
        event = loader.get_event()
        if isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
        elif isinstance(event, yaml.NodeEvent):
            place = ""
            if open_:
                around = open_[-1]
                if around.is_list:
                    place = f"{around.place}[{around.index}]"
                    around.index += 1
                elif around.key is None:
                    if not isinstance(event, yaml.ScalarEvent):
                        return  # a key that is no text, which `text` refuses
                    around.key = event.value
                    yield at(around.place, around.key), _line(event)
                    continue
                else:
                    place, around.key = at(around.place, around.key), None
                if around.is_list:
                    yield place, _line(event)
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append(_Open(place, is_list=isinstance(event, yaml.SequenceStartEvent)))
