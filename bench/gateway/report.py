"""The table, the JSON and the plot."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.gateway.floods import FLOODS
from bench.gateway.measures import (
    ALONE,
    DOWN,
    FEW,
    MANY,
    ONE_WORKER,
    PRICE,
    SPEED,
    TWO_WORKERS,
    UP,
    WORKER_SHARE,
    beside_alone,
    under,
)
from bench.gateway.ordinary import AT_ONCE, PACES, TALKING, at_once, at_pace
from bench.gateway.proxies import HAPROXY_SIDE, HATCHWAY_SIDE, WEBSOCKIFY_SIDE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.gateway.measures import Samples


@dataclass(frozen=True, slots=True)
class Promise:
    """One line: this quantity of `side` is at least, or at most, `bound` times that of `reference`.

    A line without a bound promises nothing: it is there to compare with. The ratio is that of the medians, or
    the median of `ratios`, where each value has its own reference.

    `busy` names the quantity that tells how busy proxy and load were meanwhile, `idle` the one that tells how
    much of all cores' time was left, and `profile` the profile.
    """

    what: str
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


PROMISES = [
    *(
        Promise(f"throughput {way}, MB/s", f"{way} MB/s", 1.2, True, busy=f"{way} MB/s", profile=way)
        for way in (UP, DOWN)
    ),
    *(
        Promise(f"CPU seconds per GB {way}", f"{way} CPU s/GB", bound, reference=reference, profile=way)
        for way in (UP, DOWN)
        for reference, bound in ((HAPROXY_SIDE, 0.85), (WEBSOCKIFY_SIDE, 0.5))
    ),
    *(
        Promise(
            f"{what} {way} amid a flood",
            f"flooded {way} {unit}",
            bound if proxy == HATCHWAY_SIDE else None,
            unit == SPEED,
            side=under(proxy, name),
            reference=under(proxy, ALONE),
            ratios=beside_alone(f"flooded {way} {unit}"),
            busy=f"flooded {way} {unit}",
        )
        for what, unit, bound in (("throughput", SPEED, 0.9), ("CPU seconds per GB", PRICE, 1.11))
        for way in (UP, DOWN)
        for name in FLOODS
        for proxy in (HATCHWAY_SIDE, HAPROXY_SIDE)
    ),
    *(
        Promise(f"throughput {at_pace(way, None)}, MB/s", f"{at_pace(way, None)} MB/s", None, profile=way)
        for way in (UP, DOWN)
    ),
    *(
        Promise(
            f"CPU seconds per GB {at_pace(way, pace)}",
            f"{at_pace(way, pace)} CPU s/GB",
            None,
            busy=f"{at_pace(way, pace)} MB/s",
        )
        for way in (UP, DOWN)
        for pace in PACES
    ),
    Promise("64-byte echo, p50, µs", "echo p50 µs", 1.3, busy="echo p50 µs", profile="echo"),
    Promise("64-byte echo, p99, µs", "echo p99 µs", 1.3, busy="echo p50 µs", profile="echo"),
    *(
        Promise(
            f"64-byte echo amid {TALKING} talking tunnels, {part}, µs",
            f"echo amid {part} µs",
            None,
            busy="echo amid p50 µs",
        )
        for part in ("p50", "p99")
    ),
    *(
        Promise(
            f"CPU ms of an opening, {count} at once",
            f"{at_once(count)} CPU ms",
            None,
            busy=f"{at_once(count)} /CPU s",
        )
        for count in AT_ONCE
    ),
    Promise("CPU ms of an opening, 48 at once", "opens CPU ms", None, busy="opens /CPU s"),
    Promise("opens per second and core", "opens /CPU s", 0.5, True, busy="opens /CPU s", profile="opens"),
    Promise("resident KiB per idle tunnel", "idle KiB", 2.0),
    Promise(
        "opens per second and core, large account against small",
        "scale opens /CPU s",
        0.8,
        True,
        side=MANY,
        reference=FEW,
        busy="scale opens /CPU s",
    ),
    Promise(
        f"opens per second, two workers against one, each held to {WORKER_SHARE * 100:.0f} % of a core",
        "held opens /s",
        1.6,
        True,
        side=TWO_WORKERS,
        reference=ONE_WORKER,
        busy="held opens /CPU s",
        idle="held opens idle",
    ),
    # On two cores the load takes from the second worker what it would gain.
    Promise(
        "opens per second, two workers against one, unlimited",
        "workers opens /s",
        None,
        side=TWO_WORKERS,
        reference=ONE_WORKER,
        busy="workers opens /CPU s",
    ),
    Promise(
        "opens per second and core, two workers against one",
        "workers opens /CPU s",
        0.8,
        True,
        side=TWO_WORKERS,
        reference=ONE_WORKER,
    ),
]


def table(samples: Samples) -> str:
    """Markdown: medians with the lowest and the highest, the ratio, and what was busy meanwhile."""
    lines = [
        "| measure | measured | against | ratio | promised | kept | busy meanwhile |",
        "|---|---|---|---|---|---|---|",
    ]
    for promise in PROMISES:
        ratio = promise.ratio(samples)
        if reason := samples.unmeasured.get(promise.quantity):
            lines.append(f"| {promise.what} | not measured: {reason} | | | {promise.asked} | **no** | |")
        if ratio is None:
            continue
        cells = [
            promise.what,
            _spread(samples, promise, promise.side),
            _spread(samples, promise, promise.reference),
            f"{ratio:.2f}",
            promise.asked,
            _kept(promise, ratio),
            _busy(samples, promise),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def broken(samples: Samples) -> list[str]:
    """The promises that were not kept, and those of which that cannot be told."""
    found = []
    for promise in PROMISES:
        ratio = promise.ratio(samples)
        if promise.quantity in samples.unmeasured:
            found.append(f"{promise.what} (not measured)")
        elif ratio is not None and not promise.kept(ratio):
            found.append(promise.what)
    return found


def profiles(samples: Samples) -> str:
    """Markdown: where the time went, by library."""
    return "\n".join(f"- {what}: {told}" for what, told in samples.profiles.items())


def _spread(samples: Samples, promise: Promise, side: str) -> str:
    values = samples.values[promise.quantity][side]
    text = f"{side} {_number(statistics.median(values))}"
    return text if len(values) == 1 else f"{text} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _kept(promise: Promise, ratio: float) -> str:
    if promise.bound is None:
        return ""
    return "yes" if promise.kept(ratio) else "**no**"


def _busy(samples: Samples, promise: Promise) -> str:
    shares = samples.busy.get(promise.busy, {}).get(promise.side)
    if not shares:
        return ""
    proxy, load = (statistics.median(column) for column in zip(*shares, strict=True))
    told = f"gateway {proxy:.0%}, load {load:.0%}"
    if promise.idle:
        told += f", idle {samples.median(promise.idle, promise.side):.0%} of all cores"
    return told


def write(samples: Samples, directory: Path, machine: Mapping[str, str]) -> None:
    """`gateway.json` and `gateway.png`."""
    directory.mkdir(exist_ok=True)
    (directory / "gateway.json").write_text(
        json.dumps(
            {
                "machine": dict(machine),
                "samples": samples.values,
                "busy": samples.busy,
                "profiles": samples.profiles,
                "unmeasured": samples.unmeasured,
                "ratios": {
                    f"{promise.what}: {promise.side} / {promise.reference}": promise.ratio(samples)
                    for promise in PROMISES
                },
            },
            indent=2,
        )
        + "\n"
    )
    _plot(samples, directory / "gateway.png", machine)


def _plot(samples: Samples, path: Path, machine: Mapping[str, str]) -> None:
    import matplotlib as mpl  # type: ignore[import-not-found]

    mpl.use("Agg")
    from matplotlib import pyplot

    shown = [
        (promise, promise.bound, ratio)
        for promise in PROMISES
        if promise.bound is not None and (ratio := promise.ratio(samples)) is not None
    ]
    figure, axes = pyplot.subplots(figsize=(10, 1.2 + 0.5 * len(shown)))
    for row, (promise, bound, ratio) in enumerate(shown):
        if promise.ratios:
            ratios = samples.values[promise.ratios][promise.side]
        else:
            there = samples.median(promise.quantity, promise.reference)
            ratios = [value / there for value in samples.values[promise.quantity][promise.side]]
        kept = promise.kept(ratio)
        axes.barh(row, ratio, color="#2a7f62" if kept else "#b5482a", height=0.6)
        axes.plot([min(ratios), max(ratios)], [row, row], color="black", linewidth=1.2)
        axes.plot([bound] * 2, [row - 0.4, row + 0.4], color="black", linewidth=2.5)
        axes.text(ratio, row - 0.36, f" {ratio:.2f}", va="bottom", fontsize=8)
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set_yticks(
        range(len(shown)),
        [f"{promise.what}\n{promise.side} / {promise.reference}, {promise.asked}" for promise, _, _ in shown],
        fontsize=8,
    )
    axes.invert_yaxis()
    axes.set_xlabel("ratio of medians; thick mark: what is promised; thin line: lowest to highest")
    axes.set_title(f"Hatchway's gateway on {machine['processor']}, {machine['date']}", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
