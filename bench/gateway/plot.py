"""The picture: every ratio of which something is promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.gateway.promises import GROUPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bench.gateway.samples import Samples


def draw(samples: Samples, path: Path, machine: Mapping[str, str]) -> None:
    """Write it as PNG."""
    import matplotlib as mpl  # type: ignore[import-not-found]

    mpl.use("Agg")
    from matplotlib import pyplot

    shown = [
        (group, promise, promise.bound, ratio)
        for group in GROUPS
        for promise in group.promises
        if promise.bound is not None and (ratio := promise.ratio(samples)) is not None
    ]
    figure, axes = pyplot.subplots(figsize=(11, 1.2 + 0.45 * len(shown)))
    for row, (_, promise, bound, ratio) in enumerate(shown):
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
        [
            f"{promise.what}, {_short(promise.load)}\n"
            f"{group.title}: {promise.side} / {promise.reference}, {promise.asked}"
            for group, promise, _, _ in shown
        ],
        fontsize=7,
    )
    axes.invert_yaxis()
    axes.set_xlabel("ratio of medians; thick mark: what is promised; thin line: lowest to highest")
    axes.set_title(f"Hatchway's gateway on {machine['processor']}, {machine['date']}", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def _short(load: str) -> str:
    """What tells a line from its neighbours: how many, and the pace."""
    parts = load.partition(";")[0].split(", ")
    return parts[0] if len(parts) == 1 else f"{parts[0]}, {parts[-1]}"
