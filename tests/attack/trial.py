"""What is tried, what must hold, and what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.attack.site import Site


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it held, None when it was not tried; and by which figures, or why."""

    held: bool | None
    measured: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One attack on a running server.

    Attributes:
        name: as it is asked for on the command line.
        tried: what the attacker does.
        must: what must hold meanwhile.
        run: does it; it is bounded, and leaves nothing that goes on.
    """

    name: str
    tried: str
    must: str
    run: Callable[[Site], Outcome]


@dataclass(frozen=True, slots=True)
class Family:
    """Attacks of one kind of attacker. Each family has a server of its own.

    Attributes:
        options: of `hatchway serve`.
        variables: added to the server's environment.
    """

    name: str
    attacker: str
    trials: Sequence[Trial]
    options: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


Results = list[tuple[Family, Trial, Outcome]]

UNNOTICED: Final = 0.02
"""Seconds of an echo that nobody notices: some handshakes of TLS take as long."""

_WORDS: Final = {True: "held", False: "**did not hold**", None: "not tried"}
_BEGIN: Final = "<!-- make attack: begin -->"
_END: Final = "<!-- make attack: end -->"


def as_markdown(results: Results) -> str:
    """One table for each family."""
    lines: list[str] = []
    families = {family.name: family for family, _, _ in results}
    for family in families.values():
        lines += ["", f"### {family.attacker}", "", "| tried | must hold | measured | |", "|---|---|---|---|"]
        lines += [_row(trial, outcome) for of, trial, outcome in results if of is family]
    return "\n".join([*lines, ""])


def put_rows_into(path: Path, results: Results) -> None:
    """Replace the rows of these trials alone, where not all were made.

    Raises:
        ValueError: one has no row yet.
    """
    rows = {
        (f"### {family.attacker}", _cell(trial.tried)): _row(trial, outcome)
        for family, trial, outcome in results
    }
    lines = path.read_text().splitlines()
    heading = ""
    for number, line in enumerate(lines):
        heading = line if line.startswith("### ") else heading
        tried = line.removeprefix("| ").partition(" | ")[0]
        lines[number] = rows.pop((heading, tried), line)
    if rows:
        raise ValueError(f"{path} has no row for {', '.join(tried for _, tried in rows)}: write them all")
    path.write_text("\n".join(lines) + "\n")


def put_into(path: Path, markdown: str) -> None:
    """Replace what stands between the marks in a file.

    Raises:
        ValueError: there are no marks.
    """
    text = path.read_text()
    pattern = re.compile(f"{re.escape(_BEGIN)}.*{re.escape(_END)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{path} has no place for the results: {_BEGIN} … {_END}")
    path.write_text(pattern.sub(lambda _: f"{_BEGIN}\n{markdown}\n{_END}", text))


def _row(trial: Trial, outcome: Outcome) -> str:
    cells = (trial.tried, trial.must, outcome.measured)
    return f"| {' | '.join(map(_cell, cells))} | {_WORDS[outcome.held]} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def ratio(hostile: Iterable[float], calm: Iterable[float]) -> float:
    """The median of how many times as much something took under attack as right before it."""
    ratios = sorted(one / max(other, 1e-9) for one, other in zip(hostile, calm, strict=True))
    return ratios[len(ratios) // 2]


def is_bearable(hostile: Sequence[float], calm: Sequence[float], most_times: float) -> bool:
    """Whether echoes take at most so many times as long as right before it, or never what anybody notices.

    How calm a machine is right before says little of an attack: it may be 2 ms or 20.
    """
    return ratio(hostile, calm) <= most_times or max(hostile) <= UNNOTICED


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"
