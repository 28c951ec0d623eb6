"""Which addresses are those of Hatchway's own machines.

To them no tunnel leads unless an instance is registered there (docs/gateway.md). A host that registers itself
says its address itself, so by that it may not be one of these: else whoever has an enrollment token would
open them to tunnels.
"""

import socket
from collections.abc import Iterable
from contextlib import suppress

from hatchway.domain.addresses import embedded_ipv4, parse_address
from hatchway.store import Transaction
from hatchway.store.tables import api_addresses, machines


def addresses_of(hosts: Iterable[str]) -> frozenset[str]:
    """The addresses of hosts that are given by name or address, of those names that resolve."""
    found = set()
    for host in hosts:
        with suppress(OSError, UnicodeError):
            found |= {str(answer[4][0]).partition("%")[0] for answer in socket.getaddrinfo(host, None)}
    return frozenset(found)


def own_machine(tx: Transaction, addresses: Iterable[str], store: frozenset[str]) -> str | None:
    """The first of these addresses at which there is a machine of Hatchway's own, as far as is known: of the
    API, of those that joined, or of the store.

    Args:
        store: the addresses of the store's machines.
    """
    for address in addresses:
        inner = embedded_ipv4(parse_address(address))
        either = [address] if inner is None else [address, str(inner)]
        if (
            not store.isdisjoint(either)
            or tx.api_addresses.count(api_addresses.c.address.in_(either))
            or tx.machines.count(machines.c.seen_from.in_(either))
        ):
            return address
    return None
