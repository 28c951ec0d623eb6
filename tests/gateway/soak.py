"""Bytes each way through one gateway worker, over TLS, under every hardship: `python -m tests.gateway.soak`.

Tunnels whose ends pause, read and write as little as one byte at a time, have the smallest of socket buffers,
stop reading for a while and close first on either side must deliver every byte. As many that one end resets
must deliver nothing else than what was sent. Then tunnels on which neither end reads are held, and the
worker's memory is looked at, before they too have to deliver every byte.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import random
import secrets
import select
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tests.gateway.account import allow, stored_account
from tests.gateway.harness import resident_bytes
from tests.gateway.soak_ends import (
    LARGEST,
    READ,
    WRITE,
    Client,
    End,
    Ending,
    Habits,
    Stream,
    Target,
    Wire,
    Wrong,
    listen,
    open_tunnel,
)
from tests.gateway.workers import Worker, events, worker
from tests.transport.harness import LOOPBACK, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.gateway.account import StoredAccount

BURST: Final = 12
HELD: Final = 16
HELD_BYTES: Final = 40 << 20
"""Each way: more than all buffers on the way take, so that a held tunnel is held in both directions."""

QUIET: Final = 0.5
STUCK: Final = 30.0
MIB: Final = 1 << 20


@dataclass(frozen=True)
class Plan:
    """One tunnel. Everything about it follows from `seed`."""

    seed: str
    ending: Ending
    size: int
    """Bytes each way."""


@dataclass
class Tunnel:
    plan: Plan
    client: Client
    target: Target

    @property
    def ends(self) -> tuple[End, End]:
        return self.client, self.target

    @property
    def over(self) -> bool:
        return self.client.finished and self.target.finished


@dataclass
class Outcome:
    """What came of it all. Sizes in bytes, times in seconds; `held` is of memory, for each held tunnel."""

    tunnels: Counter[Ending] = field(default_factory=Counter)
    delivered_up: int = 0
    delivered_down: int = 0
    cut_short: int = 0
    pauses: int = 0
    stalls: int = 0
    seconds: float = 0.0
    worker_seconds: float = 0.0
    resident_before: int = 0
    resident_most: int = 0
    held_tunnels: int = 0
    held: float = 0.0

    def lines(self) -> list[str]:
        in_order = sum(count for ending, count in self.tunnels.items() if ending.in_order)
        return [
            f"{self.delivered_up:,} bytes up and {self.delivered_down:,} down through {in_order} tunnels,"
            " all as sent: checksums equal",
            f"{self.cut_short:,} bytes through {self.tunnels.total() - in_order} tunnels that were reset,"
            " all as sent until then",
            *(
                f"  {count:4} {ending.name.lower().replace('_', ' ')}"
                for ending, count in self.tunnels.items()
            ),
            f"{self.pauses:,} pauses, {self.stalls} stalls; {self.seconds:.0f} s, the worker computing for"
            f" {self.worker_seconds:.0f}",
            f"worker's resident memory: {self.resident_before / MIB:.1f} MiB before,"
            f" {self.resident_most / MIB:.1f} MiB at most with {BURST} tunnels at once",
            f"{self.held / 1024:.0f} KiB for each of {self.held_tunnels} tunnels that neither end reads from",
        ]


class Soak:
    """One worker, and the tunnels through it."""

    def __init__(self, account: StoredAccount, gateway: Worker, outcome: Outcome, stall: float) -> None:
        assert gateway.process.pid is not None
        self._account = account
        self._gateway = gateway
        self._pid = gateway.process.pid
        self._stall_seconds = stall
        self.outcome = outcome
        self._opened = 0

    def run(self, plans: list[Plan]) -> None:
        """Carry the tunnels, some at once.

        Raises:
            Wrong: a tunnel did what it must not; says which.
        """
        self.outcome.resident_before = resident_bytes(self._pid)
        with self._timed():
            waiting = iter(plans)
            open_now = [self._open(plan) for plan in itertools.islice(waiting, BURST)]
            while open_now:
                self._drive(open_now, lambda: any(tunnel.over for tunnel in open_now))
                for tunnel in [tunnel for tunnel in open_now if tunnel.over]:
                    self._settle(tunnel)
                    open_now.remove(tunnel)
                    open_now.extend(self._open(plan) for plan in itertools.islice(waiting, 1))

    def hold(self, plans: list[Plan]) -> None:
        """Let tunnels stall in both directions, see what they hold, and let them go on to their end."""
        with self._timed():
            self._stall([self._open(plans[0])])
            before = resident_bytes(self._pid)
            tunnels = [self._open(plan) for plan in plans[1:]]
            self._stall(tunnels, lambda: self._note_held(len(tunnels), before))

    def _note_held(self, count: int, before: int) -> None:
        self.outcome.held_tunnels = count
        self.outcome.held = (resident_bytes(self._pid) - before) / count

    def _stall(self, tunnels: list[Tunnel], when_stalled: Callable[[], None] = lambda: None) -> None:
        for end in (end for tunnel in tunnels for end in tunnel.ends):
            end.stall(math.inf)
        self._drive(tunnels, lambda: False, until_quiet=True)
        if any(end.all_sent for tunnel in tunnels for end in tunnel.ends):
            raise Wrong("a tunnel that nobody reads from took everything")
        when_stalled()
        for end in (end for tunnel in tunnels for end in tunnel.ends):
            end.stall(0.0)
        self._drive(tunnels, lambda: all(tunnel.over for tunnel in tunnels))
        for tunnel in tunnels:
            self._settle(tunnel)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began, computed = time.monotonic(), _cpu_seconds(self._pid)
        yield
        self.outcome.seconds += time.monotonic() - began
        self.outcome.worker_seconds += _cpu_seconds(self._pid) - computed

    def _open(self, plan: Plan) -> Tunnel:
        chance = random.Random(plan.seed)
        in_order = plan.ending.in_order
        habits = [
            Habits(
                random.Random(chance.random()),
                small_buffers=chance.random() < 0.125,
                stalls_at=chance.randrange(plan.size) if chance.random() < 0.5 else math.inf,
                stall=self._stall_seconds,
                resets_at=math.inf if in_order else chance.randrange(plan.size),
            )
            for _ in range(2)
        ]
        if in_order and chance.random() < 0.5:
            # The last bytes are on their way while the one end closes and the other does not read.
            late = 1 if plan.ending is not Ending.TARGET_CLOSES else 0
            habits[late].stalls_at = max(0, plan.size - chance.randrange(1, 1 << 20))
        mask = chance.randbytes(4)
        up, down = chance.randbytes(16), chance.randbytes(16)
        with listen(habits[1]) as listener:
            port = listener.getsockname()[1]
            path = self._account.target("alice", privateIpAddress=LOOPBACK, remotePort=port)
            client_wire = open_tunnel(self._gateway.port, path, habits[0], mask)
            listener.settimeout(TIMEOUT)
            target_wire = Wire(listener.accept()[0])
        self._opened += 1
        size = plan.size
        masked = Stream(up, mask * (LARGEST // 4))
        return Tunnel(
            plan,
            Client("client", client_wire, habits[0], plan.ending, masked, size, Stream(down), size),
            Target("target", target_wire, habits[1], plan.ending, Stream(down), size, Stream(up), size),
        )

    def _drive(self, tunnels: list[Tunnel], done: Callable[[], bool], until_quiet: bool = False) -> None:
        looked = moved = time.monotonic()
        while not done():
            now = time.monotonic()
            if self._step(tunnels, now):
                moved = now
            elif until_quiet and now - moved > QUIET:
                return
            elif now - moved > STUCK:
                raise Wrong("; ".join(_describe(tunnel) for tunnel in tunnels) + f": still for {STUCK:.0f} s")
            if now - looked > 0.2:
                looked = now
                self.outcome.resident_most = max(self.outcome.resident_most, resident_bytes(self._pid))

    def _step(self, tunnels: list[Tunnel], now: float) -> int:
        """Do what can be done without waiting, or wait a little; gives the bytes moved."""
        ready = select.poll()
        by_descriptor: dict[int, tuple[Tunnel, End, int]] = {}
        possible: dict[int, int] = {}
        wait = 0.05
        for tunnel, end in _unfinished(tunnels):
            wants = end.wants(now)
            wait = min(wait, end.wakes(now) - now)
            if wants:
                descriptor = end.wire.sock.fileno()
                by_descriptor[descriptor] = tunnel, end, wants
                asks = (select.POLLIN if wants & READ else 0) | (select.POLLOUT if wants & WRITE else 0)
                ready.register(descriptor, asks)
                if wants & READ and end.wire.pending:
                    possible[descriptor] = READ
        for descriptor, found in ready.poll(0 if possible else math.ceil(wait * 1000)):
            reads = READ if found & ~select.POLLOUT else 0
            possible[descriptor] = (
                possible.get(descriptor, 0) | reads | (WRITE if found & ~select.POLLIN else 0)
            )
        moved = 0
        for descriptor, can in possible.items():
            tunnel, end, wants = by_descriptor[descriptor]
            try:
                moved += end.go(can & wants, now)
            except Wrong as wrong:
                raise Wrong(f"{_describe(tunnel)}: {end.name}: {wrong}") from wrong
        return moved

    def _settle(self, tunnel: Tunnel) -> None:
        client, target = tunnel.ends
        self.outcome.tunnels[tunnel.plan.ending] += 1
        for end in tunnel.ends:
            self.outcome.pauses += end.pauses
            self.outcome.stalls += end.stalls
        if not tunnel.plan.ending.in_order:
            self.outcome.cut_short += client.incoming.size + target.incoming.size
            return
        for sender, receiver in ((client, target), (target, client)):
            if sender.outgoing.checksum != receiver.incoming.checksum:
                raise Wrong(f"{_describe(tunnel)}: the {receiver.name}'s checksum differs")
        self.outcome.delivered_up += target.incoming.size
        self.outcome.delivered_down += client.incoming.size

    def check_trail(self, plans: list[Plan]) -> None:
        """See that the audit trail tells of every tunnel, and its bytes.

        Raises:
            Wrong: it does not.
        """
        deadline = time.monotonic() + TIMEOUT
        while len(closed := events(self._account, "CloseTunnel")) < self._opened:
            if time.monotonic() > deadline:
                raise Wrong(f"{len(closed)} of {self._opened} tunnels are closed in the audit trail")
            time.sleep(0.1)
        told = Counter(
            (event["additionalEventData"]["bytesIn"], event["additionalEventData"]["bytesOut"])
            for event in closed
        )
        carried = Counter((plan.size, plan.size) for plan in plans if plan.ending.in_order)
        if not carried <= told:
            raise Wrong(f"the audit trail does not tell of {carried - told}")


def _unfinished(tunnels: list[Tunnel]) -> list[tuple[Tunnel, End]]:
    return [(tunnel, end) for tunnel in tunnels for end in tunnel.ends if not end.finished]


def _describe(tunnel: Tunnel) -> str:
    return f"tunnel {tunnel.plan.seed}, {tunnel.plan.ending.name.lower().replace('_', ' ')}"


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def plan(seed: str, size: int, count: int) -> list[Plan]:
    """`count` tunnels that end in order and together carry `size` bytes each way; as many that are reset."""
    in_order = [ending for ending in Ending if ending.in_order]
    resetting = [ending for ending in Ending if not ending.in_order]
    each = -(-size // count)
    plans = [
        Plan(f"{seed}/{number}{kind}", endings[number % len(endings)], each)
        for number in range(count)
        for kind, endings in (("", in_order), ("r", resetting))
    ]
    random.Random(seed).shuffle(plans)
    return plans


def soak(
    seed: str, size: int, count: int, *, held: int = HELD, stall: float = 2.0, only: str | None = None
) -> Outcome:
    """Carry `size` bytes each way through `count` tunnels, and hold some more, each on a worker of its own.

    Raises:
        Wrong: a byte is lost, or another than was sent, or a tunnel does not end as it should.
    """
    plans = [made for made in plan(seed, size, count) if only in (None, made.seed)]
    held_plans = [Plan(f"{seed}/h{number}", Ending.CLIENT_CLOSES, HELD_BYTES) for number in range(held + 1)]
    outcome = Outcome()
    with _soaking(outcome, stall) as soaked:
        soaked.run(plans)
        soaked.check_trail(plans)
    if only is None:
        # What a worker has carried before stays in its heap: a new one shows what it takes for held tunnels.
        with _soaking(outcome, stall) as soaked:
            soaked.hold(held_plans)
            soaked.check_trail(held_plans)
    return outcome


@contextmanager
def _soaking(outcome: Outcome, stall: float) -> Iterator[Soak]:
    with stored_account() as account, TemporaryDirectory() as directory:
        account.user("alice", allow())
        with worker(account, Path(directory)) as gateway:
            yield Soak(account, gateway, outcome, stall)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bytes", type=float, default=10e9, help="each way (10e9)")
    parser.add_argument(
        "--tunnels", type=int, default=24, help="that end in order, and as many that are reset (24)"
    )
    parser.add_argument("--seed", default=secrets.token_hex(4), help="repeats what a seed printed before did")
    parser.add_argument("--only", metavar="TUNNEL", help="repeats one tunnel of it")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    try:
        outcome = soak(asked.seed, int(asked.bytes), asked.tunnels, only=asked.only)
    except Wrong as wrong:
        print(wrong)
        print(f"again: --seed {asked.seed} --bytes {asked.bytes:g} --tunnels {asked.tunnels}")
        return 1
    print(*outcome.lines(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
