"""The addresses of hosts that are known by name, kept up to date by DNS look-ups in a thread of its own.

A resolver may be slow, and neither the event loop nor the few threads that follow the store may wait for it.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Final

import structlog

from hatchway.domain.addresses import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchway.domain.addresses import Address

REFRESH: Final = 60.0
"""Seconds between two look-ups of all names."""

FIRST: Final = 5.0
"""Seconds that a gateway waits for the first answers before it opens tunnels without them."""

log = structlog.get_logger("hatchway.gateway")


class Resolver:
    """Hosts' addresses as of the last look-up. A name that no longer resolves keeps its previous
    addresses."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._hosts = tuple(dict.fromkeys(hosts))
        self._found: dict[str, frozenset[Address]] = {}
        self._addresses: frozenset[Address] = frozenset()
        self._looked = threading.Event()
        self._stopping = threading.Event()

    def __contains__(self, address: object) -> bool:
        return address in self._addresses

    def start(self) -> None:
        """Start to look the names up, and wait for the first answers, at most `FIRST` seconds."""
        if not self._hosts:
            return
        threading.Thread(target=self._run, name="names", daemon=True).start()
        if not self._looked.wait(FIRST):
            log.warning("names are not resolved yet", hosts=self._hosts)

    def stop(self) -> None:
        self._stopping.set()

    def look_up(self) -> None:
        """Look every name up once, however long that takes."""
        for host in self._hosts:
            try:
                answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as problem:
                log.warning("name cannot be resolved", host=host, problem=str(problem))
                continue
            # A link-local address has its zone after a percent sign.
            texts = {str(answer[4][0]).partition("%")[0] for answer in answers}
            self._found[host] = frozenset(map(parse_address, texts))
        self._addresses = frozenset().union(*self._found.values())

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.look_up()
            self._looked.set()
            self._stopping.wait(REFRESH)
