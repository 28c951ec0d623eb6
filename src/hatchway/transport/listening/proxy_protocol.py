"""The PROXY protocol, by which a proxy names the client of a connection that it passes on. Pure.

It is read from load balancers in front, and written for targets behind. The header comes before everything
else, even before TLS. Source: HAProxy, "The PROXY protocol", versions 1 and 2.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway.domain.addresses import parse_address

if TYPE_CHECKING:
    from hatchway.domain.addresses import Address

MAX_V1: Final = 107
"""Bytes of the longest header of version 1, including its line end (section 2.1)."""

MAX_V2: Final = 4096
"""Bytes of the longest header of version 2 that is accepted. Addresses need 52; the rest is extensions, which
are skipped: those of a network load balancer take some dozens of bytes."""

_V1_START: Final = b"PROXY "
_V2_START: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED: Final = 16
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31
_IPV4_MAPPED: Final = bytes(10) + b"\xff\xff"
"""The prefix that makes an IPv4 address an IPv6 address (RFC 4291 section 2.5.5.2)."""

_ADDRESS_BYTES: Final = {_TCP4: (4, 12), _TCP6: (16, 36)}
"""The bytes of one address, and of both with their ports."""
_V1_VERSIONS: Final = {"TCP4": 4, "TCP6": 6}
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}")


class TransportAddress(NamedTuple):
    """One end of a TCP connection."""

    address: Address
    port: int


class BadProxyHeader(Exception):
    """These bytes do not begin with a header. The message says what is wrong and repeats none of them."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The content of a header.

    `source` is the client, with an IPv4-mapped address as its IPv4; None if the load balancer speaks for
    itself, as in a health check, or does not know. `size` is the length of the header in bytes.
    """

    source: TransportAddress | None
    size: int


def proxy_header(source: TransportAddress, destination: TransportAddress) -> bytes:
    """The header of version 2 for a connection that is passed on from `source` to `destination`.

    A header has one address family for both ends (section 2.2). If they differ, the IPv4 end is written as an
    IPv4-mapped address, as HAProxy does. `UNSPEC` would say nothing: the receiver would take the sender for
    the client.
    """
    ends = [source.address.packed, destination.address.packed]
    family = _TCP4
    if any(len(end) == 16 for end in ends):
        family = _TCP6
        ends = [end if len(end) == 16 else _IPV4_MAPPED + end for end in ends]
    body = b"".join(ends) + source.port.to_bytes(2) + destination.port.to_bytes(2)
    return _V2_START + bytes((_PROXY, family)) + len(body).to_bytes(2) + body


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the header at the start of a connection; None while there is too little of it.

    However `data` is cut, the answer is the same as soon as there is one: at most `MAX_V1` or `MAX_V2` bytes
    are needed.

    Raises:
        BadProxyHeader: there is none, or one that breaks a rule.
    """
    if data.startswith(_V2_START):
        return _read_v2(data)
    if data.startswith(_V1_START):
        return _read_v1(data)
    if _V2_START.startswith(data) or _V1_START.startswith(data):
        return None
    raise BadProxyHeader("the connection does not begin with a PROXY protocol header")


def _read_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(data) >= MAX_V1:
            raise BadProxyHeader(f"a header of version 1 has no end within {MAX_V1} bytes")
        return None
    try:
        words = data[:end].decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise BadProxyHeader("a header of version 1 is not ASCII") from None
    if words[1] == "UNKNOWN":
        # Whatever follows must be ignored.
        return ProxyHeader(None, end + 2)
    version = _V1_VERSIONS.get(words[1])
    if version is None or len(words) != 6:
        raise BadProxyHeader("a header of version 1 is not PROXY TCP4|TCP6 with two addresses and two ports")
    if not all(_PORT.fullmatch(word) and int(word) <= 65_535 for word in words[4:]):
        raise BadProxyHeader("a port in a header of version 1 is no port")
    try:
        addresses = [ipaddress.ip_address(word) for word in words[2:4]]
        source, _ = map(parse_address, words[2:4])
    except ValueError:
        addresses = []
    if [address.version for address in addresses] != [version, version]:
        raise BadProxyHeader("an address in a header of version 1 is not of its family")
    return ProxyHeader(TransportAddress(source, int(words[4])), end + 2)


def _read_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_FIXED:
        return None
    command, family = data[12], data[13]
    length = int.from_bytes(data[14:16])
    size = _V2_FIXED + length
    if command not in (_LOCAL, _PROXY):
        raise BadProxyHeader("a header of version 2 has an unknown version or command")
    if size > MAX_V2:
        raise BadProxyHeader(f"a header of version 2 is longer than {MAX_V2} bytes")
    if command == _PROXY and family not in (_UNSPECIFIED, _UNIX_STREAM, *_ADDRESS_BYTES):
        raise BadProxyHeader("a header of version 2 is of no family of stream connections")
    one, both = _ADDRESS_BYTES.get(family, (0, 0))
    if command == _PROXY and length < both:
        raise BadProxyHeader("a header of version 2 is too short for its addresses")
    if len(data) < size:
        return None
    if command == _LOCAL or not one:
        return ProxyHeader(None, size)
    source = ipaddress.ip_address(data[_V2_FIXED : _V2_FIXED + one])
    ports = _V2_FIXED + 2 * one
    port = int.from_bytes(data[ports : ports + 2])
    return ProxyHeader(TransportAddress(parse_address(str(source)), port), size)
