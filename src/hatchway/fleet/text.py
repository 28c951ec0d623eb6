"""From the text of a fleet file, YAML or JSON, to plain values: mappings, lists, texts, integers, booleans.

YAML as its version 1.2 core schema has it, minus floats: `2012-10-17`, `3.5` and `yes` are texts, which is
what policies and tags mean by them. The text is hostile until read: its size, depth and what aliases make of
it are bounded, no key may be there twice, and no tag makes an object.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import yaml

from hatchway.fleet.problems import BadFleet, Problem, quoted

MAX_BYTES: Final = 64 * 1024 * 1024
MAX_DEPTH: Final = 40
MAX_VALUES: Final = 10_000_000
"""Values of a file."""

_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_CONSTANTS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TEXT_TAGS: Final = ("!", "tag:yaml.org,2002:str")
YAML_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_text(content: bytes, *, any_tag: bool = False, most_values: int = MAX_VALUES) -> Any:
    """The value that a file's bytes hold; None for an empty file.

    Args:
        any_tag: reads past tags that have no meaning here: what has one is as if it had none.
        most_values: how many values the file may have, each use of an alias counted with all that it stands
            for.

    Raises:
        BadFleet: it is no YAML or JSON, or beyond what is allowed; the place is a line and a column.
    """
    if len(content) > MAX_BYTES:
        raise _bad("", f"the file has more than {MAX_BYTES // 1024**2} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad("", f"the file is not UTF-8 text (byte {error.start})") from None
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _read_json(text, most_values)
        except json.JSONDecodeError:
            pass  # A YAML document may begin like this too, and YAML's error then tells the place.
    return _read_yaml(text, any_tag=any_tag, most_values=most_values)


def _bad(place: str, message: str) -> BadFleet:
    return BadFleet([Problem(place, message)])


def _too_many(place: str, most_values: int) -> BadFleet:
    return _bad(place, f"the file has more than {most_values} values")


# --- JSON -------------------------------------------------------------------------------------------------


def _read_json(text: str, most_values: int) -> Any:
    try:
        content = json.loads(
            text,
            parse_int=_integer_or_text,
            parse_float=str,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise _bad("", "the file is nested too deeply") from None
    level, values = [content], len(content)
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        values += sum(map(len, level))
        if values > most_values:
            raise _too_many("", most_values)
        if not level:
            return content
    raise _bad("", "the file is nested too deeply")


def _integer_or_text(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _refuse_constant(constant: str) -> Any:
    raise _bad("", f"{constant} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise _bad("", f"the key {quoted(twice)} is there twice in one object")
    return content


# --- YAML -------------------------------------------------------------------------------------------------


def _read_yaml(text: str, *, any_tag: bool, most_values: int) -> Any:
    # Events rather than PyYAML's own construction: no recursion that deep nesting could exhaust, and aliases
    # are counted before they are followed.
    builder = _Builder(any_tag=any_tag, most_values=most_values)
    try:
        loader = YAML_LOADER(text)
        while loader.check_event():
            builder.take(loader.get_event())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(mark) if mark else ""
        if mark and text[mark.index : mark.index + 1] == "\t":
            raise _bad(
                place, "a tab is there, where YAML takes only spaces: replace it with spaces"
            ) from None
        raise _bad(place, error.problem or error.context or "is not YAML") from None
    except yaml.YAMLError as error:
        raise _bad("", f"the file is not YAML: {error}".split("\n", maxsplit=1)[0]) from None
    return builder.root


def _place(mark: Any) -> str:
    return f"line {mark.line + 1} column {mark.column + 1}"


_NO_KEY: Final = object()


class _Collection:
    """A mapping or list under construction."""

    __slots__ = ("anchor", "began_at", "key", "value")

    def __init__(self, value: dict[str, Any] | list[Any], anchor: str | None, began_at: int) -> None:
        self.value = value
        self.anchor = anchor
        self.began_at = began_at
        self.key: Any = _NO_KEY


class _Builder:
    """Makes values from YAML events."""

    def __init__(self, *, any_tag: bool, most_values: int) -> None:
        self.root: Any = None
        self._most_values = most_values
        self._any_tag = any_tag
        self._open: list[_Collection] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._count(1, event)
            value = _scalar(event, any_tag=self._any_tag)
            if event.anchor is not None:
                self._anchors[event.anchor] = (value, 1)
            self._add(value, event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            done = self._open.pop()
            if done.anchor is not None:
                self._anchors[done.anchor] = (done.value, self._values - done.began_at)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _bad(_place(event.start_mark), f"there is no anchor {quoted(event.anchor)} before this")
            value, size = self._anchors[event.anchor]
            self._count(size, event)
            self._add(value, event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _bad(_place(event.start_mark), "a second document begins: a fleet file is one document")

    def _begin(self, event: Any) -> None:
        if event.tag is not None and not self._any_tag:
            raise _bad(_place(event.start_mark), f"the tag {quoted(event.tag)} has no meaning here")
        if len(self._open) >= MAX_DEPTH:
            raise _bad(_place(event.start_mark), "the file is nested too deeply")
        began_at = self._values
        self._count(1, event)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._add(value, event)
        self._open.append(_Collection(value, event.anchor, began_at))

    def _count(self, size: int, event: Any) -> None:
        self._values += size
        if self._values > self._most_values:
            raise _too_many(_place(event.start_mark), self._most_values)

    def _add(self, value: Any, event: Any) -> None:
        if not self._open:
            self.root = value
            return
        parent = self._open[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is _NO_KEY:
            if not isinstance(value, str):
                hint = f": quote it, as in '{value}'" if isinstance(value, int) else ""
                raise _bad(_place(event.start_mark), f"the key {quoted(value)} is no text{hint}")
            if value in parent.value:
                raise _bad(_place(event.start_mark), f"the key {quoted(value)} is there twice")
            parent.key = value
        else:
            parent.value[parent.key] = value
            parent.key = _NO_KEY


def _scalar(event: Any, *, any_tag: bool) -> Any:
    text: str = event.value
    if event.tag is not None:
        if event.tag not in _TEXT_TAGS and not any_tag:
            raise _bad(_place(event.start_mark), f"the tag {quoted(event.tag)} has no meaning here")
        return text
    if not event.implicit[0]:  # quoted, or in a block
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _INTEGER.fullmatch(text) else text
