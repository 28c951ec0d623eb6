"""All families of attacks, in the order in which they are tried."""

from __future__ import annotations

from typing import Final

from tests.attack import clocks, denies, insiders, machines, networks, strangers, thefts, tunnels

FAMILIES: Final = (
    tunnels.FAMILY,
    strangers.GATEWAY,
    strangers.API,
    insiders.FAMILY,
    denies.FAMILY,
    networks.FAMILY,
    clocks.FAMILY,
    thefts.FAMILY,
    machines.FAMILY,
)
