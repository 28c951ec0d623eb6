"""The tables, the results as JSON, and the pages that quote them: all of it here, in short bench/README.md.

    python -m bench.gateway.report

writes what they quote anew from `bench/results/default.json`, which a whole run with --write-readme wrote.
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.gateway.promises import GROUPS, PROMISES, Group, Promise
from bench.gateway.proxies import HAPROXY_SIDE
from bench.gateway.samples import Samples

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = Path(__file__).parent / "README.md"
"""Has the tables."""

README: Final = Path(__file__).parent.parent / "README.md"
"""Has what came of the promises."""

DEFAULT: Final = Path(__file__).parent.parent / "results" / "default.json"
"""Results of a whole run, which are committed; others are not."""

_MARKS: Final = re.compile(r"(<!-- figures of make bench -->\n).*?(<!-- end of figures -->\n)", re.DOTALL)
_MARKS_IN_SHORT: Final = re.compile(
    r"(<!-- promises of make bench -->\n).*?(<!-- end of promises -->\n)", re.DOTALL
)
_DIGITS: Final = 4
"""That a committed value has."""


def tables(samples: Samples) -> str:
    """Markdown: a table for each group, if anything of it was measured."""
    return "\n\n".join(text for group in GROUPS if (text := _table(samples, group)))


def _table(samples: Samples, group: Group) -> str:
    lines = [line for promise in group.promises if (line := _line(samples, promise))]
    if not lines:
        return ""
    said = f"{group.said}\n\n" if group.said else ""
    heads = ["measure", "load", "measured", "against", "ratio", "promised", "kept", "busy meanwhile"]
    return "\n".join(
        [f"### {group.title}\n\n{said}| {' | '.join(heads)} |", "|---" * len(heads) + "|", *lines]
    )


def _line(samples: Samples, promise: Promise) -> str:
    if reason := samples.unmeasured.get(promise.quantity):
        kept = "" if promise.bound is None else "**no**"
        return (
            f"| {promise.what} | {promise.load} | not measured: {reason} | | | {promise.asked} | {kept} | |"
        )
    ratio = promise.ratio(samples)
    if ratio is None:
        return ""
    cells = [
        promise.what,
        promise.load,
        _spread(samples, promise, promise.side),
        _spread(samples, promise, promise.reference),
        f"{ratio:.2f}",
        promise.asked,
        _kept(promise, ratio),
        _busy(samples, promise),
    ]
    return f"| {' | '.join(cells)} |"


def broken(samples: Samples) -> list[str]:
    """The promises that were not kept, and those of which that cannot be told."""
    found = []
    for promise in PROMISES:
        name = f"{promise.what} ({promise.load})" if promise.load else promise.what
        ratio = promise.ratio(samples)
        if promise.bound is None:
            continue
        if promise.quantity in samples.unmeasured:
            found.append(f"{name}: not measured")
        elif ratio is not None and not promise.kept(ratio):
            found.append(f"{name}: {promise.side} to {promise.reference} {ratio:.2f}, not {promise.asked}")
    return found


def note_unmeasured(samples: Samples, why: str) -> None:
    """Have each line that was not measured say so."""
    for promise in PROMISES:
        if promise.quantity not in samples.unmeasured and promise.ratio(samples) is None:
            samples.unmeasured[promise.quantity] = why


def profiles(samples: Samples) -> str:
    """Markdown: where the time went, by library."""
    return "\n".join(f"- {what}: {told}" for what, told in samples.profiles.items())


def _spread(samples: Samples, promise: Promise, side: str) -> str:
    values = samples.values[promise.quantity][side]
    text = f"{side} {_number(statistics.median(values))}"
    return text if len(values) == 1 else f"{text} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


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


def in_short(results: Mapping[str, Any]) -> str:
    """What bench/README.md quotes of a run: which promises were kept, and by how much others were not."""
    samples = _read(results)
    lines = ["| rows | promises | kept |", "|---|---|---|"]
    misses: list[str] = []
    for group in GROUPS:
        asked = [one for one in group.promises if one.bound is not None and _tried(samples, one)]
        missed = [_missed(samples, one) for one in asked if not _is_kept(samples, one)]
        if asked:
            lines.append(f"| {group.title} | {len(asked)} | {len(asked) - len(missed)} |")
        if missed:
            misses += ["", f"{group.title}, not kept:", "", *missed]
    lines += misses
    return "\n".join(lines) + "\n"


def _is_kept(samples: Samples, promise: Promise) -> bool:
    ratio = promise.ratio(samples)
    return ratio is not None and promise.kept(ratio)


def _missed(samples: Samples, promise: Promise) -> str:
    ratio = promise.ratio(samples)
    measured = "not measured" if ratio is None else f"**{ratio:.3g}**, promised {promise.asked}"
    beside = "" if promise.reference == HAPROXY_SIDE else f", to {promise.reference}"
    return f"- {promise.what}{beside} ({promise.load}): {measured}"


def section(results: Mapping[str, Any]) -> str:
    """What this directory's README.md quotes of a run."""
    samples = _read(results)
    asked = [promise for promise in PROMISES if promise.bound is not None and _tried(samples, promise)]
    ran = "; ".join(f"{name}: {value}" for name, value in results["machine"].items())
    parts = [
        f"{ran}.",
        f"{len(asked) - len(broken(samples))} of {len(asked)} promises were kept.",
        tables(samples),
    ]
    if samples.profiles:
        parts.append(f"Where the time went, by perf, in a turn of its own:\n\n{profiles(samples)}")
    return "\n\n".join(parts) + "\n"


def _tried(samples: Samples, promise: Promise) -> bool:
    return promise.quantity in samples.unmeasured or promise.ratio(samples) is not None


def as_json(samples: Samples, machine: Mapping[str, str]) -> dict[str, Any]:
    """What `section` needs, and the ratios for whoever reads it otherwise."""
    return {
        "machine": dict(machine),
        "samples": _rounded(samples.values),
        "busy": _rounded(samples.busy),
        "profiles": samples.profiles,
        "unmeasured": samples.unmeasured,
    }


def _rounded(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_rounded(value) for value in values]
    return float(f"{values:.{_DIGITS}g}")


def _read(results: Mapping[str, Any]) -> Samples:
    busy = {
        quantity: {side: [(proxy, load) for proxy, load in shares] for side, shares in sides.items()}
        for quantity, sides in results["busy"].items()
    }
    return Samples(results["samples"], busy, results["profiles"], results["unmeasured"])


def with_figures(text: str, results: Mapping[str, Any]) -> str:
    """The page with the section of a run in place of the one that it has.

    Raises:
        ValueError: it has no place for one.
    """
    return _replaced(_MARKS, text, section(results))


def with_promises(text: str, results: Mapping[str, Any]) -> str:
    """The page with what came of a run's promises in place of what it has.

    Raises:
        ValueError: it has no place for that.
    """
    return _replaced(_MARKS_IN_SHORT, text, in_short(results))


def _replaced(marks: re.Pattern[str], text: str, figures: str) -> str:
    new, found = marks.subn(lambda around: f"{around[1]}\n{figures}\n{around[2]}", text)
    if found != 1:
        raise ValueError("the page has no one place for figures")
    return new


def write(results: Mapping[str, Any], path: Path) -> None:
    """Write results, a line for each side of a quantity."""
    text = json.dumps(results, indent=1, ensure_ascii=False)
    # Numbers of one list on one line.
    text = re.sub(r"\[[^\[\]\"]*\]", lambda found: " ".join(found[0].split()), text)
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        re.sub(r"\[\s+(\[[^\"]*?\])\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"
    )


def write_readme() -> None:
    """Quote the committed results on both pages."""
    results = json.loads(DEFAULT.read_text())
    PAGE.write_text(with_figures(PAGE.read_text(), results))
    README.write_text(with_promises(README.read_text(), results))


if __name__ == "__main__":
    write_readme()
