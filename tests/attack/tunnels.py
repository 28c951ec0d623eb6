"""Six tunnels of a user who may open them, each sending what costs a gateway worker most."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from tests.attack.honest import Gone, Tunnel, echo_host, echoes, opened
from tests.attack.site import OPEN, Site
from tests.attack.trial import Family, Outcome, Trial, is_bearable, milliseconds, percentile, ratio
from tests.gateway.hostile_frames import ON_FRAMES, ON_TLS, OTHERS, Hostiles, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable

MANY: Final = 6
ROUNDS: Final = 5
SECONDS: Final = 0.8
"""Of each calm and each hostile part of a round."""
MOST_TIMES: Final = 3.0
"""How many times their calm p99 the echoes of others may take."""
MOST_TIMES_AMID_OPENINGS: Final = 6.0
"""The same while tunnels are opened as fast as a worker allows."""
REVOCATION: Final = 1.0
"""Seconds within which a revoked key's tunnel ends."""

_HARMLESS: Final = {"waits", "bulk"}


def _trial(name: str) -> Callable[[Site], Outcome]:
    def run(site: Site) -> Outcome:
        with echo_host(nice=-10) as port, echo_host(nice=19) as theirs, undisturbed(*site.gateway_pids()):
            return _attack(site, name, port, theirs)

    return run


def _most_times(name: str) -> float:
    return MOST_TIMES_AMID_OPENINGS if name == "opens_and_leaves" else MOST_TIMES


def _attack(site: Site, name: str, port: int, theirs: int) -> Outcome:
    """`port` is of the host whose echoes are measured, `theirs` of the one that hostile tunnels lead to."""
    mallory, alice, bob = (f"{who}-{name.replace('_', '-')}" for who in ("mallory", "alice", "bob"))
    for user in (mallory, alice, bob):
        site.user(user, OPEN)
    hostile, opening = [], []
    other, revoked = Tunnel(site, site.target(alice, port)), Tunnel(site, site.target(bob, port))
    # Before the others come: what they have sent lies in the kernel for long after they have stopped.
    calm = [_slow_echo(other) for _ in range(ROUNDS)]
    hostiles = Hostiles([name] * MANY, site.gateway_address, [site.target(mallory, theirs)] * MANY, 60)
    try:
        for _ in range(ROUNDS):
            hostile.append(_slow_echo(other))
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
        is_bearable(hostile, calm, _most_times(name)) and ended <= REVOCATION,
        f"echo p99 {times:.1f} times calm ({milliseconds(max(hostile))}, calm {milliseconds(max(calm))});"
        f" opened in {milliseconds(max(opening))}; revoked in {milliseconds(ended)}",
    )


def _slow_echo(tunnel: Tunnel) -> float:
    """Seconds that all but a hundredth of echoes take at most."""
    with undisturbed(os.getpid()):
        return percentile(echoes(tunnel, SECONDS), 0.99)


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
            f"others' echo p99 at most {_most_times(name):.0f} times calm, or 20 ms; tunnels still open,"
            f" revocation within {REVOCATION:.0f} s",
            _trial(name),
        )
        for name in (*ON_FRAMES, *ON_TLS, *OTHERS)
        if name not in _HARMLESS
    ],
)
