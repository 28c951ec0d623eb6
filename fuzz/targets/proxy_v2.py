"""PROXY headers of version 2, beside a reader that unpacks structures; and those that we write read back."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from fuzz.draws import Draws
from fuzz.proxy import agrees
from hatchway.domain.addresses import parse_address
from hatchway.transport.listening.proxy_protocol import (
    MAX_V2,
    TransportAddress,
    proxy_header,
    read_proxy_header,
)

_START = b"\r\n\r\n\0\r\nQUIT\n"


def one_input(data: bytes) -> None:
    draws = Draws(data)
    if draws.chance(4):
        written(draws)
        return
    header = _START + draws.rest() if draws.chance(2) else draws.rest()
    agrees(header, _obvious(header), MAX_V2)


def written(draws: Draws) -> None:
    ends = [
        TransportAddress(
            parse_address(str(draws.one_of((IPv4Address, IPv6Address))(draws.below(1 << 32)))),
            draws.below(65536),
        )
        for _ in range(2)
    ]
    header = proxy_header(*ends)
    agrees(header + draws.rest(), (str(ends[0].address), ends[0].port), MAX_V2)
    reading = read_proxy_header(header)
    assert reading is not None
    assert reading.size == len(header)


def _obvious(data: bytes) -> tuple[str, int] | str | None:
    if not data.startswith(_START):
        return "cut" if _START.startswith(data) else None
    if len(data) < 16:
        return "cut"
    command, family, length = struct.unpack_from(">BBH", data, 12)
    if command >> 4 != 2 or command & 15 > 1 or 16 + length > MAX_V2:
        return None
    local = command & 15 == 0
    formats = {0x11: ">4s4sHH", 0x21: ">16s16sHH"}
    if not local:
        if family not in (0x00, 0x31, *formats):
            return None
        if length < struct.calcsize(formats.get(family, "")):
            return None
    if len(data) < 16 + length:
        return "cut"
    if local or family not in formats:
        return "own"
    source, _, port, _ = struct.unpack_from(formats[family], data, 16)
    return str(IPv4Address(source) if len(source) == 4 else IPv6Address(source)), port


def seeds() -> list[bytes]:
    addresses4 = bytes((192, 0, 2, 7, 198, 51, 100, 9)) + struct.pack(">HH", 56324, 443)
    mapped = bytes(10) + b"\xff\xff\xc0\0\2\7"
    addresses6 = mapped + bytes(15) + b"\1" + struct.pack(">HH", 1, 2)
    headers = [
        b"\x21\x11" + struct.pack(">H", 12) + addresses4,
        b"\x21\x11" + struct.pack(">H", 15) + addresses4 + b"\4\0\0" + b"rest",
        b"\x21\x21" + struct.pack(">H", 36) + addresses6,
        b"\x20\0\0\0",
        b"\x21\0\0\2ab",
        b"\x21\x31" + struct.pack(">H", 216) + bytes(216),
        b"\x21\x12" + struct.pack(">H", 12) + addresses4,
        b"\x21\x11" + struct.pack(">H", 4081) + addresses4,
    ]
    return [b"\0\0" + _START + header for header in headers] + [b"\3" + addresses6 * 2]
