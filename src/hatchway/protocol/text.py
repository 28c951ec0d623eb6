"""Text that may travel in XML, and single values to and from it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

_not_xml = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, not even escaped (section 2.2), unpaired surrogates among it."""

_INTEGER_BITS: Final = {"integer": 32, "long": 64}
_integer = re.compile(r"-?[0-9]{1,19}", re.ASCII).fullmatch
_decimal = re.compile(r"-?[0-9]{1,32}(?:\.[0-9]{1,32})?(?:[eE][+-]?[0-9]{1,3})?", re.ASCII).fullmatch
_date_time = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
).fullmatch


class UnreadableError(ValueError):
    """Text that does not hold a value of the type wanted. Its argument completes "It must …"."""


def without_unprintable(text: str) -> str:
    """`text` less the characters that XML 1.0 cannot carry."""
    return _not_xml.sub("", text)


def read_string(text: str) -> str:
    if _not_xml.search(text):
        raise UnreadableError("contain no control characters")
    return text


def read_boolean(text: str) -> bool:
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise UnreadableError("be true or false")


def check_integer(value: int, type_name: str) -> int:
    """`value`, which must fit the 32 bits of an `integer` or the 64 of a `long`."""
    bits = _INTEGER_BITS[type_name]
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise UnreadableError(f"be an integer of {bits} bits")
    return value


def read_integer(text: str) -> int:
    if not _integer(text):
        raise UnreadableError("be an integer")
    return check_integer(int(text), "integer")


def read_long(text: str) -> int:
    if not _integer(text):
        raise UnreadableError("be an integer")
    return check_integer(int(text), "long")


def read_number(text: str) -> float:
    if not _decimal(text):
        raise UnreadableError("be a number")
    return float(text)


def written_timestamp(moment: datetime, precision: str) -> str:
    """A moment as XML answers have it, in UTC; `precision` is `seconds` or `milliseconds`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def read_timestamp(text: str) -> datetime:
    """A date and time of RFC 3339."""
    if _date_time(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise UnreadableError("be a date and time such as 2006-01-02T15:04:05Z")


def read_blob(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise UnreadableError("be base64") from None


_PYTHON_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (float, int),
    "double": (float, int),
    "timestamp": datetime,
    "blob": bytes,
    "structure": Mapping,
    "map": Mapping,
    "list": (list, tuple),
}


def check_result(type_name: str, value: object, where: str) -> None:
    """That a value to be rendered is of the model's type.

    Raises:
        TypeError: it is not, or it is a datetime without a zone. `where` names it in the message.
    """
    is_stray_bool = isinstance(value, bool) and type_name != "boolean"
    if is_stray_bool or not isinstance(value, _PYTHON_TYPES[type_name]):
        raise TypeError(f"{where} is a {type_name} in the service model, not a {type(value).__name__}")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise TypeError(f"{where} must be an aware datetime")


READERS: Final = {
    "string": read_string,
    "boolean": read_boolean,
    "integer": read_integer,
    "long": read_long,
    "float": read_number,
    "double": read_number,
    "timestamp": read_timestamp,
    "blob": read_blob,
}
"""By the model's name of a scalar type, the function that reads it from a form's text.

Each raises `UnreadableError`."""
