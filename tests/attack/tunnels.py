"""Six tunnels of a user who may open them, each sending what costs a gateway worker most."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tests.attack.honest import Gone, Tunnel, echo_host, echoes, opened
from tests.attack.site import OPEN, Site
from tests.attack.trial import Family, Outcome, Trial, milliseconds, percentile, ratio
from tests.gateway.hostile_frames import ON_FRAMES, ON_TLS, OTHERS, Hostiles

if TYPE_CHECKING:
    from collections.abc import Callable

MANY: Final = 6
ROUNDS: Final = 5
SECONDS: Final = 0.8
"""Of each calm and each hostile part of a round."""
MOST_TIMES: Final = 3.0
"""How many times their calm p99 the echoes of others may take."""
REVOCATION: Final = 1.0
"""Seconds within which a revoked key's tunnel ends."""

_HARMLESS: Final = {"waits", "bulk"}


def _trial(name: str) -> Callable[[Site], Outcome]:
    def run(site: Site) -> Outcome:
        with echo_host() as port:
            return _attack(site, name, port)

    return run


def _attack(site: Site, name: str, port: int) -> Outcome:
    mallory, alice, bob = (f"{who}-{name.replace('_', '-')}" for who in ("mallory", "alice", "bob"))
    for user in (mallory, alice, bob):
        site.user(user, OPEN)
    time.sleep(0.5)
    hostile, opening = [], []
    other, revoked = Tunnel(site, site.target(alice, port)), Tunnel(site, site.target(bob, port))
    # Before the others come: what they have sent lies in the kernel for long after they have stopped.
    calm = [percentile(echoes(other, SECONDS), 0.99) for _ in range(ROUNDS)]
    hostiles = Hostiles([name] * MANY, site.gateway_address, [site.target(mallory, port)] * MANY, 60)
    try:
        for _ in range(ROUNDS):
            hostile.append(percentile(echoes(other, SECONDS), 0.99))
            opening.append(opened(site, alice, port))
        ended = _revocation(site, bob, revoked)
        other.echo()
        other.close()
    except Gone as gone:
        return Outcome(False, f"others' tunnels end: {gone.code} {gone.reason}")
    finally:
        hostiles.end()
    times = ratio(hostile, calm)
    return Outcome(
        times <= MOST_TIMES and ended <= REVOCATION,
        f"echo p99 {times:.1f} times calm ({milliseconds(max(hostile))}, calm {milliseconds(max(calm))});"
        f" opened in {milliseconds(max(opening))}; revoked in {milliseconds(ended)}",
    )


def _revocation(site: Site, user: str, tunnel: Tunnel) -> float:
    """Seconds from a key's deactivation to the end of its tunnel."""
    site.deactivate(user)
    began = time.perf_counter()
    try:
        while time.perf_counter() - began < 10:
            tunnel.echo()
    except Gone as gone:
        if gone.code not in (4003, None):
            raise
    return time.perf_counter() - began


def _words(name: str) -> str:
    return name.replace("_", " ")


FAMILY: Final = Family(
    "tunnels",
    "A user who may open tunnels",
    [
        Trial(
            name,
            f"{MANY} tunnels: {_words(name)}",
            f"others' echo p99 within {MOST_TIMES:.0f} times calm, opens go on, revocation"
            f" within {REVOCATION:.0f} s",
            _trial(name),
        )
        for name in (*ON_FRAMES, *ON_TLS, *OTHERS)
        if name not in _HARMLESS
    ],
)
