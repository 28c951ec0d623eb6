"""Whether a target can be connected from the client's address: PreserveClientIp. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hatchway.domain.addresses import Address

NOT_PERMITTED: Final = "the gateway may not take the client's address: it lacks CAP_NET_RAW"


def client_ip_problem(client: Address, target: Address, *, permitted: bool) -> str | None:
    """Why a connection cannot come from the client's address, in words for the audit trail."""
    if client.version != 4 or target.version != 4:
        return f"PreserveClientIp needs IPv4, and this is from {client} to {target}"
    return None if permitted else NOT_PERMITTED
