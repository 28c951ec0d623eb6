"""The values that conditions compare: numbers, dates, IP addresses; None for what cannot be read."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

MAX_NUMBER_CHARACTERS = 64
"""Beyond any number that a policy compares; keeps exact arithmetic cheap."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_EPOCH = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_DATE = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(\.[0-9]{1,9})?)?"
    r"(?:Z|([+-])([0-9]{2})(?::?([0-9]{2}))?)"
)
_DAY = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_EPOCH_DAY = date(1970, 1, 1).toordinal()

Number = int | Decimal
Address = tuple[int, int]
"""IP version (4 or 6) and the address as an integer."""
Network = tuple[int, int, int]
"""IP version, the masked address and the mask."""


def read_number(text: str) -> Number | None:
    """An integer or decimal, exactly."""
    if len(text) > MAX_NUMBER_CHARACTERS:
        return None
    if text.isdigit() and text.isascii():
        return int(text)
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def read_date(text: str) -> Number | None:
    """Exact seconds since 1970-01-01T00:00:00Z, of a W3C date (NOTE-datetime) or of epoch seconds.

    A year, a month or a day without a time begins at midnight UTC; four digits are a year, not seconds.
    """
    if len(text) > MAX_NUMBER_CHARACTERS:
        return None
    match = _DATE.fullmatch(text)
    if match is None:
        if alone := _DAY.fullmatch(text):
            midnight = _days(*(int(group or 1) for group in alone.groups()))
            return None if midnight is None else midnight * 86_400
        return read_number(text) if _EPOCH.fullmatch(text) else None
    year, month, day, hour, minute, second, offset_hour, offset_minute = (
        int(group or 0) for group in match.group(1, 2, 3, 4, 5, 6, 9, 10)
    )
    if hour > 23 or minute > 59 or second > 59 or offset_hour > 23 or offset_minute > 59:
        return None
    days = _days(year, month, day)
    if days is None:
        return None
    offset = (offset_hour * 60 + offset_minute) * (-60 if match[8] == "-" else 60)
    seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset
    return seconds + Decimal(match[7]) if match[7] else seconds


def _days(year: int, month: int, day: int) -> int | None:
    """Days since 1970-01-01, None where the calendar has no such day."""
    try:
        return date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None


_LONGEST_ADDRESS = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")


def read_address(text: str) -> Address | None:
    """An IPv4 or IPv6 address; an IPv4-mapped IPv6 address is its IPv4 address (RFC 4291 section 2.5.5.2)."""
    return _read_address(text) if len(text) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _read_address(text: str) -> Address | None:
    """Cached, since the same clients and targets come again and again; bounded by count and length."""
    try:
        if ":" not in text:
            return 4, int(IPv4Address(text))
        address = IPv6Address(text)
    except AddressValueError:
        return None
    if address.scope_id is not None:
        return None
    mapped = address.ipv4_mapped
    return (6, int(address)) if mapped is None else (4, int(mapped))


def read_network(text: str) -> Network | None:
    """An address, or a CIDR range whose host bits may be set (RFC 4632)."""
    address, slash, length = text.partition("/")
    reading = read_address(address)
    if reading is None:
        return None
    version, value = reading
    written_bits = 32 if ":" not in address else 128
    bits = 32 if version == 4 else 128
    if not slash:
        prefix_length = bits
    elif length.isdigit() and length.isascii() and len(length) <= 3 and int(length) <= written_bits:
        prefix_length = int(length) - (written_bits - bits)
        if prefix_length < 0:  # wider than all IPv4-mapped addresses: an IPv6 range after all
            version, bits, value, prefix_length = 6, 128, int(IPv6Address(address)), int(length)
    else:
        return None
    mask = (1 << bits) - (1 << bits - prefix_length)
    return version, value & mask, mask
