"""Readers of single values: names, ids, addresses, ranges, ports, tags."""

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, TypeVar

from hatchway.domain.network import ANY_PORT
from hatchway.domain.text import line_problem
from hatchway.fleet.fields import Reader, Schema, items_of, reader
from hatchway.fleet.policy_documents import Reading
from hatchway.fleet.problems import quoted, suggestion

Choice = TypeVar("Choice", bound=StrEnum)

MAX_TAGS: Final = 50
MAX_TAG_KEY: Final = 128
MAX_TAG_VALUE: Final = 256
_IDENTITY_TAG_PUNCTUATION: Final = frozenset("_.:/=+-@")


# What YAML reads as a number with a point is text here (`version: 1.5`); a whole number is not.
_TEXT: Final[Schema] = {"type": ["string", "number"], "not": {"type": "integer"}}


def text(pattern: re.Pattern[str], what: str) -> Reader[str]:
    """A reader of texts that match all of a pattern; `what` completes "is not …".

    JavaScript must understand the pattern too: it stands in the JSON Schema.
    """

    @reader({"type": "string", "pattern": f"^(?:{pattern.pattern})$"})
    def read(value: Any, place: str, reading: Reading) -> str | None:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        hint = ": quote it" if isinstance(value, int) and pattern.fullmatch(str(value)) else ""
        reading.add(place, f"{quoted(value)} is not {what}{hint}")
        return None

    return read


_account_id: Final = text(re.compile(r"[0-9]{12}"), "an account of 12 digits")


@reader({"type": ["string", "integer"], "pattern": "^[0-9]{12}$", "minimum": 10**11, "maximum": 10**12 - 1})
def account_id(value: Any, place: str, reading: Reading) -> str | None:
    """Twelve digits, also unquoted."""
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return _account_id(digits, place, reading)


@reader({"type": "boolean"})
def boolean(value: Any, place: str, reading: Reading) -> bool | None:
    if isinstance(value, bool):
        return value
    reading.add(place, f"{quoted(value)} is neither true nor false")
    return None


def integer(low: int, high: int, what: str) -> Reader[int]:
    """A reader of integers within bounds."""

    @reader({"type": "integer", "minimum": low, "maximum": high})
    def read(value: Any, place: str, reading: Reading) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        reading.add(place, f"{quoted(value)} is not {what} from {low} to {high}")
        return None

    return read


def choice(kind: type[Choice]) -> Reader[Choice]:
    """A reader of one word out of a few."""
    words = [str(word) for word in kind]

    @reader({"enum": words})
    def read(value: Any, place: str, reading: Reading) -> Choice | None:
        if value in words:
            return kind(value)
        near = suggestion(value, words) if isinstance(value, str) else ""
        reading.add(place, f"{quoted(value)} is not one of {', '.join(words)}{near}")
        return None

    return read


# --- addresses --------------------------------------------------------------------------------------------


@lru_cache(maxsize=65_536)
def _range_problem(text_: str) -> str | None:
    try:
        network = ipaddress.ip_network(text_, strict=False)
    except ValueError:
        return "is not an IPv4 or IPv6 range such as 10.0.0.0/16"
    if "%" in text_:
        return "names a zone: a range has none"
    if "/" not in text_:
        return f"has no prefix length: one address is {network}"
    if str(network) == text_:
        return None
    if ipaddress.ip_interface(text_).ip != network.network_address:
        return f"has bits set after its prefix: the range is {network}"
    return f"is not in the usual spelling: write {network}"


@reader({"type": "string", "pattern": "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"})
def cidr(value: Any, place: str, reading: Reading) -> str | None:
    """A range in its one spelling, without host bits."""
    problem = _range_problem(value) if isinstance(value, str) else "is not an IPv4 or IPv6 range"
    if problem is None:
        return str(value)
    reading.add(place, f"{quoted(value)} {problem}")
    return None


@reader({"anyOf": [cidr.schema, {"type": "array", "items": cidr.schema, "minItems": 1}]})
def cidrs(value: Any, place: str, reading: Reading) -> tuple[str, ...] | None:
    """One range or a list of them."""
    if not isinstance(value, list):
        one = cidr(value, place, reading)
        return None if one is None else (one,)
    if not value:
        reading.add(place, "is an empty list: at least one range is needed")
    found = [cidr(item, f"{place}[{index}]", reading) for index, item in enumerate(value)]
    return tuple(item for item in found if item is not None)


def _address(version: int) -> Reader[str]:
    @reader({"type": "string", "format": f"ipv{version}"})
    def read(value: Any, place: str, reading: Reading) -> str | None:
        try:
            address = ipaddress.ip_address(value if isinstance(value, str) else "")
        except ValueError:
            address = None
        if address is None or address.version != version or "%" in value:
            reading.add(place, f"{quoted(value)} is not an IPv{version} address")
            return None
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            reading.add(place, f"{quoted(value)} is an IPv4 address in disguise: write {address.ipv4_mapped}")
            return None
        return str(address)

    return read


ipv4_address: Final = _address(4)
ipv6_address: Final = _address(6)

_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@reader(
    {
        "anyOf": [
            {"type": "integer", "minimum": ANY_PORT[0], "maximum": ANY_PORT[1]},
            {"type": "string", "pattern": f"^(?:all|{_PORTS.pattern})$"},
        ]
    }
)
def ports(value: Any, place: str, reading: Reading) -> tuple[int, int] | None:
    """`22`, `8000-8010` or `all`."""
    if value == "all":
        return ANY_PORT
    match = _PORTS.fullmatch(str(value)) if isinstance(value, int | str) else None
    if match is None:
        reading.add(place, f"{quoted(value)} is no port (22), range of ports (8000-8010) or 'all'")
        return None
    low, high = int(match[1]), int(match[2] or match[1])
    if high > ANY_PORT[1]:
        reading.add(place, f"{quoted(value)}: ports end at {ANY_PORT[1]}")
    elif low > high:
        reading.add(place, f"{quoted(value)}: the first port is above the last")
    else:
        return low, high
    return None


# --- tags -------------------------------------------------------------------------------------------------


def _identity_tag_problem(text_: str) -> str | None:
    """The same for IAM, which takes fewer (AWS: "Tags for IAM resources")."""
    for character in text_:
        category = unicodedata.category(character)
        if character not in _IDENTITY_TAG_PUNCTUATION and category[0] not in "LN" and category != "Zs":
            return f"has the character {character!r}: letters, digits, spaces and _.:/=+-@ may be in a tag"
    return None


def _tags(character_problem: Callable[[str], str | None]) -> Reader[dict[str, str]]:
    """A reader of mappings of texts to texts within AWS's limits ("Tag naming limits and requirements").

    Keys that differ by case alone are refused, as IAM does, but not EC2: conditions do not distinguish them.
    """

    @reader(
        {
            "type": "object",
            "maxProperties": MAX_TAGS,
            "propertyNames": {"minLength": 1, "maxLength": MAX_TAG_KEY},
            "additionalProperties": {**_TEXT, "maxLength": MAX_TAG_VALUE},
        }
    )
    def read(value: Any, place: str, reading: Reading) -> dict[str, str] | None:
        before = len(reading)
        found: dict[str, str] = {}
        for key, item, inside in items_of(value, place, reading):
            if not 1 <= len(key) <= MAX_TAG_KEY:
                reading.add(inside, f"a tag's key has 1 to {MAX_TAG_KEY} characters, this one {len(key)}")
            elif key.lower().startswith("aws:"):
                reading.add(inside, "keys that begin with 'aws:' are not for use")
            elif problem := character_problem(key):
                reading.add(inside, f"the key {problem}")
            if not isinstance(item, str):
                hint = ": quote it" if isinstance(item, int) else ""
                reading.add(inside, f"{quoted(item)} is no text{hint}")
            elif len(item) > MAX_TAG_VALUE:
                reading.add(
                    inside, f"a tag's value has at most {MAX_TAG_VALUE} characters, this one {len(item)}"
                )
            elif problem := character_problem(item):
                reading.add(inside, f"the value {problem}")
            else:
                found[key] = item
        seen: dict[str, str] = {}
        for key in found:
            other = seen.setdefault(key.lower(), key)
            if other != key:
                both = f"{other!r} and {key!r}"
                reading.add(
                    place, f"the keys {both} differ by case alone, and are one key to policies: keep one"
                )
        if len(found) > MAX_TAGS:
            reading.add(place, f"has {len(found)} tags: {MAX_TAGS} are allowed")
        return found if len(reading) == before else None

    return read


tags: Final = _tags(line_problem)
identity_tags: Final = _tags(_identity_tag_problem)


def one_line(longest: int) -> Reader[str]:
    """A reader of descriptions: one line of text, which may be empty."""

    @reader({**_TEXT, "maxLength": longest})
    def read(value: Any, place: str, reading: Reading) -> str | None:
        if not isinstance(value, str):
            reading.add(place, f"{quoted(value)} is not one line of text")
        elif problem := line_problem(value):
            reading.add(place, f"{quoted(value)} is not one line of text: it {problem}")
        elif len(value) > longest:
            reading.add(place, f"has {len(value)} characters: {longest} are allowed")
        else:
            return value
        return None

    return read
