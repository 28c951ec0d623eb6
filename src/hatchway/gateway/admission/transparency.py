"""Connections to targets that come from the client's address: PreserveClientIp.

The kernel lets a process with CAP_NET_RAW bind an address that is not the machine's own (ip(7),
IP_TRANSPARENT). That the target's answers come back to this machine, and to this process, is a matter of
routes (docs/gateway.md).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hatchway.domain.reach import Address

NOT_PERMITTED: Final = "the gateway may not take the client's address: it lacks CAP_NET_RAW"

_IP_TRANSPARENT: Final = 19
_IP_BIND_ADDRESS_NO_PORT: Final = 24


def may_take_addresses() -> bool:
    """Whether this process may connect from addresses that are not the machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
        except OSError:
            return False
    return True


def take_address(sock: socket.socket, address: Address) -> None:
    """Make a new IPv4 socket connect from this address, at a port that the kernel chooses then.

    Raises:
        OSError: this process may not.
    """
    sock.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((str(address), 0))


def transparency_problem(client: Address, target: Address, *, permitted: bool) -> str | None:
    """Why a connection cannot come from the client's address, in words for the audit trail."""
    if client.version != 4 or target.version != 4:
        return f"PreserveClientIp needs IPv4, and this is from {client} to {target}"
    return None if permitted else NOT_PERMITTED
