"""The trials that depend on no machine's speed hold; and what came of trials is told as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.attack.families import FAMILIES
from tests.attack.site import running
from tests.attack.trial import (
    Family,
    Outcome,
    Trial,
    as_markdown,
    is_bearable,
    put_into,
    put_rows_into,
    ratio,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.attack.site import Site

TRIALS = {trial.name: trial for family in FAMILIES for trial in family.trials}
SURE = (
    "clock_beyond",
    "clock_within_5_minutes",
    "deny_one_value_unresolved",
    "deny_source_address",
    "file_modes",
    "own_addresses",
    "overlapping_vpcs",
    "simulation_agrees",
    "stolen_store",
    "tags_that_evade",
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with running() as made:
        yield made


@pytest.mark.parametrize("name", SURE)
def test_a_trial_that_needs_no_clock_holds(site: Site, name: str) -> None:
    outcome = TRIALS[name].run(site)
    assert outcome.held, outcome.measured


def test_each_trial_has_a_name_of_its_own() -> None:
    names = [trial.name for family in FAMILIES for trial in family.trials] + [one.name for one in FAMILIES]
    assert len(set(names)) == len(names)


def test_what_did_not_hold_stands_in_the_table_as_such(tmp_path: Path) -> None:
    trials = [Trial(name, f"a|{name}", "nothing breaks", lambda _: Outcome(None, "")) for name in "xyz"]
    family = Family("some", "Somebody", trials)
    outcomes = (Outcome(True, "1 ms"), Outcome(False, "2 s"), Outcome(None, "not root"))
    markdown = as_markdown(
        [(family, trial, outcome) for trial, outcome in zip(trials, outcomes, strict=True)]
    )
    assert "### Somebody" in markdown
    assert "| a\\|x | nothing breaks | 1 ms | held |" in markdown
    assert "| a\\|y | nothing breaks | 2 s | **did not hold** |" in markdown
    assert "| a\\|z | nothing breaks | not root | not tried |" in markdown

    page = tmp_path / "page.md"
    page.write_text("before\n<!-- make attack: begin -->\nformer\n<!-- make attack: end -->\nafter\n")
    put_into(page, markdown)
    assert "former" not in page.read_text()
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("\nafter\n")
    page.write_text("no place\n")
    with pytest.raises(ValueError, match="no place"):
        put_into(page, markdown)


def test_some_trials_change_their_own_rows_alone(tmp_path: Path) -> None:
    trials = [Trial(name, f"6 {name}: (x)", "all", lambda _: Outcome(None, "")) for name in "xy"]
    families = [Family(name, f"{name} with a key", trials) for name in ("who", "somebody")]
    first = [(family, trial, Outcome(False, "1 s")) for family in families for trial in trials]
    page = tmp_path / "page.md"
    page.write_text(
        f"before\n<!-- make attack: begin -->\n{as_markdown(first)}\n<!-- make attack: end -->\nafter\n"
    )
    put_rows_into(page, [(families[1], trials[0], Outcome(True, r"\1 ms"))])
    second = [*first[:2], (families[1], trials[0], Outcome(True, r"\1 ms")), first[3]]
    assert as_markdown(second) in page.read_text()
    assert page.read_text().startswith("before\n") and page.read_text().endswith("\nafter\n")
    with pytest.raises(ValueError, match="no row for z"):
        put_rows_into(page, [(families[0], Trial("z", "z", "", trials[0].run), Outcome(True, ""))])


@pytest.mark.parametrize(
    ("hostile", "calm", "bearable"),
    [
        ([0.006, 0.009], [0.002, 0.002], True),
        # Three and a half times of next to nothing.
        ([0.007, 0.007], [0.002, 0.002], True),
        ([0.050, 0.050], [0.020, 0.020], True),
        ([0.007, 0.021], [0.002, 0.002], False),
    ],
)
def test_what_nobody_notices_is_borne_however_calm_it_was_before(
    hostile: list[float], calm: list[float], bearable: bool
) -> None:
    assert is_bearable(hostile, calm, 3.0) is bearable


def test_a_ratio_is_the_median_of_neighbours() -> None:
    assert ratio([2.0, 30.0, 4.0], [1.0, 1.0, 2.0]) == 2.0
