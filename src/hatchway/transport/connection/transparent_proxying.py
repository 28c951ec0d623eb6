"""Transparent proxying: connections from an address that does not belong to the machine.

The kernel lets a process with CAP_NET_RAW bind such an address (ip(7), IP_TRANSPARENT). Routes have to bring
the answers back to this machine and process (docs/gateway.md).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hatchway.domain.addresses import Address

_IP_TRANSPARENT: Final = 19
_IP_BIND_ADDRESS_NO_PORT: Final = 24


def may_take_addresses() -> bool:
    """Whether this process may connect from addresses that do not belong to the machine."""
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
