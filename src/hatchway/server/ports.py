"""The ports of a server: whether it may have them, and which, before its processes start."""

import errno
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from hatchway.errors import CommandFailed
from hatchway.settings import DEFAULT_GATEWAY_PORT, LOOPBACK, UNPRIVILEGED_GATEWAY_PORT, Address

_REASONS: Final = {
    errno.EADDRINUSE: "another program is listening there",
    errno.EACCES: "only root may use a port below 1024",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
}


@contextmanager
def held(
    address: Address, option: str, taken_over: Callable[[str, int], Address | None] | None = None
) -> Iterator[Address]:
    """Keeps a port from others for as long as the context lasts, without listening on it.

    Processes of this user may listen on it with SO_REUSEPORT. A host name becomes an IP address,
    and port 0 the one that was found free.

    Args:
        taken_over: for an IP address and a port, where this server listens already, by a socket that it has
            from the one before it. Then others may be listening there.

    Raises:
        CommandFailed: the port cannot be had; the message names the option by which to give another.
    """
    try:
        family, place = _resolve(address)
        free = None if taken_over is None else taken_over(place[0], place[1])
        if free is None:
            free = _probe(family, place)
        holder = _bind(family, (free.host, free.port), socket.SO_REUSEPORT)
    except _Unavailable as problem:
        raise CommandFailed(f"cannot listen on {address}: {problem}; give another {option}") from problem
    with holder:
        yield free


def default_gateway(api: Address | None = None) -> Address:
    """Port 443, where the AWS CLI looks, when this process may have it; else 8444, and says so.

    Args:
        api: where the API of the same server listens, which has its port already.

    Raises:
        CommandFailed: neither can be had, because the API has 8444; the message says to give --gateway.
    """
    wanted = Address(LOOPBACK, DEFAULT_GATEWAY_PORT)
    try:
        _probe(*_resolve(wanted))
    except _Unavailable as problem:
        instead = Address(LOOPBACK, UNPRIVILEGED_GATEWAY_PORT)
        if api is not None and api.port == instead.port and not _is_free(instead):
            raise CommandFailed(
                f"cannot listen on {wanted}: {problem}; and {instead}, where the gateway would listen"
                " instead, is the API's: give --gateway, or another --api"
            ) from problem
        print(
            f"hatchway: cannot listen on {wanted}: {problem}; the gateway is on {instead}, where the AWS CLI"
            " does not look: use hatchway ssh and hatchway open-tunnel",
            file=sys.stderr,
        )
        return instead
    return wanted


def _is_free(address: Address) -> bool:
    try:
        _probe(*_resolve(address))
    except _Unavailable:
        return False
    return True


class _Unavailable(Exception):
    """The message says why."""


def _resolve(address: Address) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Where it is, as `socket.bind` takes it."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as problem:
        raise _Unavailable(f"{address.host} is not known ({problem.strerror})") from problem
    # A name that has both is taken for its IPv4 address, as `localhost` mostly is.
    family, _, _, _, place = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, place


def _probe(family: socket.AddressFamily, place: tuple[Any, ...]) -> Address:
    """The IP address and port. Binds alone, so that another server of ours is noticed, and lets go again."""
    with _bind(family, place, socket.SO_REUSEADDR) as probe:
        name = probe.getsockname()
    return Address(name[0], name[1])


def _bind(family: socket.AddressFamily, place: tuple[Any, ...], option: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.bind(place)
    except OSError as problem:
        sock.close()
        reason = _REASONS.get(problem.errno or 0, str(problem.strerror))
        raise _Unavailable(reason) from problem
    return sock
