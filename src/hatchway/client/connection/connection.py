"""A connection to a server of the API or to a gateway: to the first of a name's addresses that answers, or by
way of the proxy that the environment names.

An address that does not answer holds the next ones up for a moment only, IPv6 and IPv4 in turn (Happy
Eyeballs, RFC 8305).
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from typing import TYPE_CHECKING, Final

from hatchway.client.connection.proxy import proxy_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    Address = tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]

DELAY: Final = 0.25
"""Seconds before the next address of a name is tried too (RFC 8305 section 5)."""

_UNDER_WAY: Final = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})


def create_connection(
    host: str, port: int, timeout: float, source_address: str | None = None
) -> socket.socket:
    """A connection, which waits for up to `timeout` seconds at a time.

    Args:
        timeout: seconds for the connection to be there.
        source_address: the local address to connect from, where there is no proxy.

    Raises:
        NotConfigured: what the environment names is no proxy.
        OSError, UnicodeError: there is no such name, nobody listens, or the proxy refuses.
    """
    proxy = proxy_for(host, port)
    if proxy is not None:
        from hatchway.client.connection.proxied import connect_through

        sock = connect_through(proxy, host, port, timeout)
    else:
        sock = _first_of(_in_turn(_addresses(host, port)), timeout, source_address)
    sock.settimeout(timeout)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        # Through a proxy that is reached by TLS it is a pair of sockets within this machine.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ascii_name(host: str) -> str | bytes:
    """As Python's sockets take it: of a text they make IDNA's form, which is long to load and leaves what is
    ASCII as it is.

    Raises:
        ValueError: no name has a NUL; of a defect of whoever calls them, as which they take it, none is told.
    """
    if "\0" in host:
        raise ValueError("a name has no NUL")
    return host.encode("ascii") if host.isascii() else host


def _addresses(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(ascii_name(host), port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _in_turn(addresses: Iterable[Address]) -> list[Address]:
    """In the system's order, but one family after the other (RFC 8305 section 4)."""
    families: dict[int, list[Address]] = {}
    for family, address in addresses:
        families.setdefault(family, []).append((family, address))
    ranked = [(rank, each) for ones in families.values() for rank, each in enumerate(ones)]
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])]


def _first_of(addresses: list[Address], timeout: float, source_address: str | None) -> socket.socket:
    """
    Raises:
        OSError: none of them answers; of the last one.
    """
    until = time.monotonic() + timeout
    problem: OSError = TimeoutError("timed out")
    waiting: list[socket.socket] = []
    with selectors.DefaultSelector() as selector:
        try:
            while addresses or waiting:
                if addresses:
                    try:
                        sock = _begin(*addresses.pop(0), source_address)
                    except OSError as error:
                        problem = error
                        continue
                    waiting.append(sock)
                    selector.register(sock, selectors.EVENT_WRITE)
                now = time.monotonic()
                if now >= until:
                    raise TimeoutError("timed out")
                for key, _ in selector.select(min(until - now, DELAY if addresses else timeout)):
                    sock = key.fileobj  # type: ignore[assignment]
                    selector.unregister(sock)
                    waiting.remove(sock)
                    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if number == 0:
                        return sock
                    sock.close()
                    problem = OSError(number, os.strerror(number))
            raise problem
        finally:
            for each in waiting:
                each.close()


def _begin(
    family: socket.AddressFamily, address: tuple[str | int | bytes, ...], source_address: str | None
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if source_address is not None:
            sock.bind((source_address, 0))
        number = sock.connect_ex(address)
    except BaseException:
        sock.close()
        raise
    if number not in _UNDER_WAY:
        sock.close()
        raise OSError(number, os.strerror(number))
    return sock
