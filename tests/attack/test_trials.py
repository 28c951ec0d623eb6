"""The trials that depend on no machine's speed hold; and what came of trials is told as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.attack.families import FAMILIES
from tests.attack.site import running
from tests.attack.trial import Family, Outcome, Trial, as_markdown, put_into, ratio

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


def test_a_ratio_is_the_median_of_neighbours() -> None:
    assert ratio([2.0, 30.0, 4.0], [1.0, 1.0, 2.0]) == 2.0
