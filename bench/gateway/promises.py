"""What is promised: the lines of the table, each with the load that it is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.gateway.bulk import ALONE, DOWN, UP, beside_alone, under
from bench.gateway.cipher import AES_128, AES_256, BLOCK, openssl_side
from bench.gateway.circumstances import BUSY, OPENINGS, PACE, PLAIN, PLAIN_SIDE, bulk_in
from bench.gateway.commits import COMMITS_SIDE
from bench.gateway.floods import FLOODS, RATE
from bench.gateway.measures import FEW, MANY, ONE_WORKER, TWO_WORKERS, WORKER_SHARE
from bench.gateway.ordinary import (
    AT_ONCE,
    BESIDE_COMMITS,
    PACES,
    TALKING,
    at_once,
    at_pace,
    beyond,
    encryption,
)
from bench.gateway.proxies import HAPROXY_SIDE, HATCHWAY_SIDE, WEBSOCKIFY_SIDE
from bench.gateway.samples import PRICE, SPEED, Extent
from bench.gateway.tunnel import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.gateway.samples import Samples


@dataclass(frozen=True, slots=True)
class Promise:
    """One line: this quantity of `side` is at least, or at most, `bound` times that of `reference`.

    A line without a bound promises nothing: it is there to compare with. The ratio is that of the medians, or
    the median of `ratios`, where each value has its own reference.

    `busy` names the quantity that tells how busy proxy and load were meanwhile, `idle` the one that tells how
    much of all cores' time was left, and `profile` the profile.
    """

    what: str
    load: str
    quantity: str
    bound: float | None
    at_least: bool = False
    side: str = HATCHWAY_SIDE
    reference: str = HAPROXY_SIDE
    ratios: str = ""
    busy: str = ""
    idle: str = ""
    profile: str = ""

    def ratio(self, samples: Samples) -> float | None:
        quantity = samples.values.get(self.quantity, {})
        if self.quantity in samples.unmeasured:
            return None
        if self.side not in quantity or self.reference not in quantity:
            return None
        if self.ratios:
            return samples.median(self.ratios, self.side)
        return samples.median(self.quantity, self.side) / samples.median(self.quantity, self.reference)

    def kept(self, ratio: float) -> bool:
        if self.bound is None:
            return True
        return ratio >= self.bound if self.at_least else ratio <= self.bound

    @property
    def asked(self) -> str:
        if self.bound is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Group:
    """Lines of one table, and what is said above it."""

    title: str
    said: str
    promises: list[Promise]


_CHEAPER: Final = 0.85
_FASTER: Final = 1.2
_QUICK: Final = 1.1
_OPENING: Final = 1.4
_ENCRYPTION: Final = {UP: 2.5, DOWN: 1.6}
_ALIKE: Final = f"frames of {MESSAGE:,} bytes as they go"
_SEALED: Final = {
    UP: f"frames of {MESSAGE:,} bytes, encrypted beforehand, all at once",
    DOWN: "as much as there is, not decrypted",
}
_ECHO: Final = "64 bytes there and back, one at a time"


def _of_paces(pace: int | None) -> str:
    return f"1 tunnel, {_ALIKE}, {'flat out' if pace is None else f'{pace} MB/s'}"


def _bulk() -> Iterator[Promise]:
    for way in (UP, DOWN):
        for pace in PACES:
            quantity = at_pace(way, pace)
            yield Promise(
                f"CPU seconds per GB {way}",
                _of_paces(pace),
                f"{quantity} {PRICE}",
                _CHEAPER,
                busy=f"{quantity} {SPEED}",
            )
        flat_out = at_pace(way, None)
        yield Promise(
            f"MB/s {way}", _of_paces(None), f"{flat_out} {SPEED}", _FASTER, True, busy=f"{flat_out} {SPEED}"
        )
        # A gateway chooses AES-128: beside AES-256, which takes longer, the promise would be easier to keep.
        beside = (
            (HATCHWAY_SIDE, AES_128, _ENCRYPTION[way]),
            (HAPROXY_SIDE, AES_128, None),
            (HATCHWAY_SIDE, AES_256, None),
        )
        for side, name, bound in beside:
            yield Promise(
                f"CPU seconds per GB {way}, beside {name} alone",
                f"{_of_paces(None)}; {BLOCK:,} bytes again and again",
                encryption(way),
                bound,
                side=side,
                reference=openssl_side(name),
            )


def _echoes() -> Iterator[Promise]:
    for name, load in (("echo", "1 tunnel"), ("echo amid", f"1 tunnel amid {TALKING} that talk")):
        for part in ("p50", "p99"):
            yield Promise(
                f"echo {part}, µs",
                f"{load}, {_ECHO}" + ("" if name == "echo" else ", each of the others once a second"),
                f"{name} {part} µs",
                _QUICK,
                busy=f"{name} p50 µs",
            )


def _openings() -> Iterator[Promise]:
    for count in AT_ONCE:
        quantity, load = at_once(count), f"{count} at once"
        alone = count not in BESIDE_COMMITS
        yield Promise(
            "CPU ms of an opening",
            load,
            f"{quantity} CPU ms",
            _OPENING if alone else None,
            busy=f"{quantity} /CPU s",
        )
        if not alone:
            yield Promise(
                "CPU ms of the commits of an opening and its end, nothing else",
                load,
                f"{quantity} CPU ms",
                None,
                side=COMMITS_SIDE,
                reference=HATCHWAY_SIDE,
            )
            yield Promise(
                "CPU ms of an opening, beyond the store's commits", load, f"{beyond(count)} CPU ms", _OPENING
            )
    yield Promise("CPU ms of an opening", "48 at once", "opens CPU ms", _OPENING, busy="opens /CPU s")


def _circumstance(
    name: str,
    bounds: tuple[float | None, float | None, float | None] = (None, None, None),
    *,
    side: str = HATCHWAY_SIDE,
    reference: str = HAPROXY_SIDE,
) -> Iterator[Promise]:
    price, echo, opening = bounds

    def line(what: str, load: str, quantity: str, bound: float | None, busy: str) -> Promise:
        return Promise(what, load, quantity, bound, side=side, reference=reference, busy=busy)

    for way in (UP, DOWN):
        quantity = bulk_in(name, way)
        what = f"CPU seconds per GB {way}"
        yield line(what, _of_paces(PACE), f"{quantity} {PRICE}", price, f"{quantity} {SPEED}")
    for part in ("p50", "p99"):
        quantity = f"{name}, echo"
        yield line(
            f"echo {part}, µs", f"1 tunnel, {_ECHO}", f"{quantity} {part} µs", echo, f"{quantity} p50 µs"
        )
    opens = f"{name}, opens"
    yield line("CPU ms of an opening", f"{OPENINGS} at once", f"{opens} CPU ms", opening, f"{opens} /CPU s")


def _flattering() -> Iterator[Promise]:
    for way in (UP, DOWN):
        yield Promise(
            f"MB/s {way}",
            f"1 tunnel, {_SEALED[way]}",
            f"{way} {SPEED}",
            _FASTER,
            True,
            busy=f"{way} {SPEED}",
            profile=way,
        )
        for reference, bound in ((HAPROXY_SIDE, _CHEAPER), (WEBSOCKIFY_SIDE, 0.5)):
            yield Promise(
                f"CPU seconds per GB {way}",
                f"1 tunnel, {_SEALED[way]}",
                f"{way} {PRICE}",
                bound,
                reference=reference,
            )


def _with_itself() -> Iterator[Promise]:
    yield Promise(
        "opens per second and core, large account against small",
        "48 at once, by many users to many endpoints",
        "scale opens /CPU s",
        0.8,
        True,
        side=MANY,
        reference=FEW,
        busy="scale opens /CPU s",
    )
    load = "192 at once; workers and load on any core"
    yield Promise(
        f"opens per second, two workers against one, each held to {WORKER_SHARE * 100:.0f} % of a core",
        load,
        "held opens /s",
        1.6,
        True,
        busy="held opens /CPU s",
        side=TWO_WORKERS,
        reference=ONE_WORKER,
        idle="held opens idle",
    )
    # On two cores the load takes from the second worker what it would gain.
    yield Promise(
        "opens per second, two workers against one, unlimited",
        load,
        "workers opens /s",
        None,
        side=TWO_WORKERS,
        reference=ONE_WORKER,
        busy="workers opens /CPU s",
    )
    yield Promise(
        "opens per second and core, two workers against one",
        load,
        "workers opens /CPU s",
        0.8,
        True,
        side=TWO_WORKERS,
        reference=ONE_WORKER,
    )


def _amid_floods() -> Iterator[Promise]:
    for what, unit, bound in (("MB/s", SPEED, 0.9), ("CPU seconds per GB", PRICE, 1.11)):
        for way in (UP, DOWN):
            for name in FLOODS:
                for proxy in (HATCHWAY_SIDE, HAPROXY_SIDE):
                    quantity = f"flooded {way} {unit}"
                    yield Promise(
                        f"{what} {way}, {name}",
                        f"1 tunnel, {_SEALED[way]}, amid {RATE} connections a second",
                        quantity,
                        bound if proxy == HATCHWAY_SIDE else None,
                        unit == SPEED,
                        side=under(proxy, name),
                        reference=under(proxy, ALONE),
                        ratios=beside_alone(quantity),
                        busy=quantity,
                    )


GROUPS: Final = [
    Group(
        "Clients as users have them",
        '"As they go" means that each frame is encrypted when it is sent, and decrypted when it arrives.'
        " HAProxy's client sends the same bytes in pieces of the same size, without frames.",
        [
            *_bulk(),
            *_echoes(),
            *_openings(),
            Promise("resident KiB per tunnel", f"{Extent().idle:,} idle tunnels", "idle KiB", _QUICK),
        ],
    ),
    Group(
        "Beside a busy neighbour",
        "The same, with a process on each core, including the proxy's, that constantly computes and moves"
        " memory.",
        list(_circumstance(BUSY, (_CHEAPER, _QUICK, _OPENING))),
    ),
    Group(
        "With a plain build of Python",
        "Hatchway with a Python built without profile-guided optimization, compared with Debian's Python.",
        [
            *_circumstance(PLAIN, side=PLAIN_SIDE, reference=HATCHWAY_SIDE),
            *_circumstance(PLAIN, side=PLAIN_SIDE, reference=HAPROXY_SIDE),
        ],
    ),
    Group(
        "Rows that flatter",
        "The client's work is done beforehand, so the proxy gets everything at once. No real"
        " client does this.",
        list(_flattering()),
    ),
    Group("Hatchway beside itself", "", list(_with_itself())),
    Group(
        "Amid floods",
        "These are rows that flatter too. What counts is each proxy's figure during a flood, compared with"
        " its own figure without one.",
        list(_amid_floods()),
    ),
]

PROMISES: Final = [promise for group in GROUPS for promise in group.promises]
