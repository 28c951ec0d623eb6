"""A port of a host as a port of this machine: which one that is."""

from __future__ import annotations

import socket
from typing import Final

from hatchway.client.errors import InvalidOption, printable

_LOOPBACK: Final = "127.0.0.1"


def read_ports(text: str) -> tuple[int, int | None]:
    """The port on the host, and the local one where there is any: `5432`, `5432:15432`; 0 is any free one.

    Raises:
        InvalidOption: it is neither.
    """
    remote, colon, local = text.partition(":")
    if not _is_port(remote) or int(remote) == 0 or (colon and not _is_port(local)):
        raise InvalidOption(
            f"{printable(text, 100)!r} is no port: give the host's, such as 5432, or that and the local one,"
            " such as 5432:15432"
        )
    return int(remote), int(local) if colon else None


def local_port_like(port: int) -> int:
    """The same port of this machine, if it can be had; else one that is free."""
    for wanted in (port, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((_LOOPBACK, wanted))
                trial.listen()
            except OSError:
                continue
            return int(trial.getsockname()[1])
    return 0


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:6]) <= 65535
