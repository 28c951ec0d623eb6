"""What an installation of a given size asks of each part.

    python -m bench.scale [--quick] [--gateways N] [--users N] [--hosts N] [--tunnels N]

Measures what one row, one change and one tunnel cost, with the program's own code and a PostgreSQL server of
its own, and carries that on to the size; by which formula, the last column says. See docs/scale.md.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.ha.database import database
from bench.scale import account, feed, retention, revocation, rows, trail
from bench.scale.rows import GATEWAY_KEY

from hatchway.store import Store

if TYPE_CHECKING:
    from bench.scale.feed import FanOut
    from bench.scale.retention import Measured
    from bench.scale.revocation import Revoked
    from bench.scale.rows import Cost
    from bench.scale.trail import TunnelCost

PEAK: Final = 4
"""Times the average rate of a day in its busiest minutes."""
TUNNEL_MINUTES: Final = 10
"""That a tunnel is open on average."""
RATES: Final = (1.0, 5.0, 20.0)
"""Changes a second."""


@dataclass(frozen=True, slots=True)
class Size:
    gateways: int
    users: int
    hosts: int
    tunnels: int

    @property
    def opens(self) -> float:
        """Tunnels opened a second, on average."""
        return self.tunnels / 86_400

    @property
    def open_on_each(self) -> int:
        """Tunnels open on each gateway in the busiest minutes."""
        return round(self.opens * PEAK * TUNNEL_MINUTES * 60 / self.gateways)


def main() -> None:
    """Measure, print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="see that it works; the numbers mean nothing")
    arguments.add_argument("--gateways", type=int, default=50)
    arguments.add_argument("--users", type=int, default=100_000)
    arguments.add_argument("--hosts", type=int, default=1_000_000)
    arguments.add_argument("--tunnels", type=int, default=10_000_000, help="a day")
    given = arguments.parse_args()
    size = Size(given.gateways, given.users, given.hosts, given.tunnels)
    quick: bool = given.quick
    with tempfile.TemporaryDirectory(prefix="hatchway-bench-") as made:
        directory = Path(made)
        # PostgreSQL's own user goes through it.
        directory.chmod(0o755)
        costs = rows.measure(directory, 500 if quick else 20_000)
        several = (100,) if quick else (size.open_on_each, 4 * size.open_on_each)
        revoked = [each for tunnels in several for each in revocation.measure(directory, tunnels)]
        with database(directory / "database", connections=1000) as running:
            _fill(running.url)
            tunnel = trail.measure(running.url, running.pid, 100 if quick else 5_000)
            fan_out = feed.measure(
                running.url,
                running.pid,
                followers=2 if quick else size.gateways,
                rates=RATES[:1] if quick else RATES,
                seconds=2.0 if quick else 15.0,
            )
            kept = retention.measure(running.url, running.pid, 4 if quick else 10)
    _tell_rows(costs, size)
    _tell_fan_out(fan_out)
    _tell_revocation(revoked)
    _tell_tunnels(tunnel, size)
    _tell_retention(kept, size)
    print(f"\nPython {platform.python_version()}")


def _fill(url: str) -> None:
    store = Store.open(url)
    store.migrate()
    account.found(store)
    account.put_users(store, GATEWAY_KEY, 0, revocation.USERS)
    account.put_hosts(store, 0, revocation.HOSTS)
    store.close()


def _tell_rows(costs: dict[str, Cost], size: Size) -> None:
    counts = {"host": size.hosts, "user": size.users, "session": size.users // 10}
    print("\n| row | memory of a gateway | CPU to load | in the store | how many | memory | CPU | store |")
    print("|---|---|---|---|---|---|---|---|")
    memory = seconds = stored = 0.0
    for kind, cost in costs.items():
        count = counts[kind]
        memory += cost.memory * count
        seconds += cost.seconds * count
        stored += cost.stored * count
        print(
            f"| {kind} | {cost.memory:,.0f} B | {cost.seconds * 1e6:.0f} µs | {cost.stored:,.0f} B"
            f" | {count:,} | {cost.memory * count / 1e6:,.0f} MB | {cost.seconds * count:.0f} s"
            f" | {cost.stored * count / 1e6:,.0f} MB |"
        )
    print(f"| all | | | | | {memory / 1e6:,.0f} MB | {seconds:.0f} s | {stored / 1e6:,.0f} MB |")


def _tell_fan_out(found: list[FanOut]) -> None:
    print("\n| changes a second | p50 | p99 | slowest | database's cores | a follower's |")
    print("|---|---|---|---|---|---|")
    for each in found:
        print(
            f"| {each.rate:g} | {each.quantile(0.5) * 1000:.0f} ms | {each.quantile(0.99) * 1000:.0f} ms"
            f" | {each.delays[-1] * 1000:.0f} ms | {each.database:.2f} | {each.follower:.4f} |"
        )


def _tell_revocation(found: list[Revoked]) -> None:
    print("\n| tunnels of a gateway | change | cut | from commit to last decision | the gateway's CPU |")
    print("|---|---|---|---|---|")
    for each in found:
        print(
            f"| {each.tunnels:,} | {each.what} | {each.cut:,} | {each.seconds * 1000:.0f} ms"
            f" | {each.computed * 1000:.0f} ms |"
        )


def _tell_tunnels(tunnel: TunnelCost, size: Size) -> None:
    peak = size.opens * PEAK
    print("\n| a tunnel costs | measured | at this size |")
    print("|---|---|---|")
    print(f"| write-ahead log | {tunnel.log:,.0f} B | {tunnel.log * size.tunnels / 1e9:,.0f} GB a day |")
    print(f"| audit trail | {tunnel.trail:,.0f} B | {tunnel.trail * size.tunnels / 1e9:,.0f} GB a day |")
    print(f"| CPU of the database | {tunnel.database * 1e3:.2f} ms | {tunnel.database * peak:.2f} cores |")
    print(f"| CPU to record it | {tunnel.gateway * 1e3:.2f} ms | {tunnel.gateway * peak:.2f} cores |")
    print(f"| 64 writers at once | {tunnel.rate:,.0f} /s | {peak:,.0f} /s in the busiest minutes |")
    print(f"| open on each gateway | | {size.open_on_each:,} |")


def _tell_retention(kept: Measured, size: Size) -> None:
    """Two events of a tunnel go for each that is opened."""
    print(f"\n| of {kept.events:,} events | CPU of the database for each | log for each | log at this size |")
    print("|---|---|---|---|")
    ways = {"deleted": kept.deleting, "vacuumed afterwards": kept.vacuuming}
    for way, spent in ways.items():
        log = spent.log / kept.events
        print(
            f"| {way} | {spent.database / kept.events * 1e6:,.0f} µs | {log:,.0f} B"
            f" | {2 * size.tunnels * log / 1e9:,.1f} GB a day |"
        )
    seconds, log = kept.dropping.database, kept.dropping.log
    print(f"| dropped, as two tables | {seconds * 1e3:.0f} ms for all | {log / 1e3:.0f} kB for all | |")
    print(f"\nPages for what is seldom: {kept.finding:.0f} in one index, {kept.finding_in_parts:.0f} in 14")


if __name__ == "__main__":
    main()
