"""The tables say what was measured, the command fails when a promise is not kept, and README quotes a run."""

import json
from pathlib import Path

import pytest
from bench.gateway.bulk import DOWN, UP
from bench.gateway.circumstances import BUSY, PACE, bulk_in
from bench.gateway.ordinary import AT_ONCE, PACES, at_once, at_pace, beyond, encryption
from bench.gateway.promises import GROUPS, PROMISES, Promise
from bench.gateway.report import (
    DEFAULT,
    PAGE,
    README,
    as_json,
    broken,
    in_short,
    note_unmeasured,
    section,
    tables,
    with_figures,
    with_promises,
    write,
)
from bench.gateway.samples import Samples

MACHINE = {"date": "2026-01-31", "processor": "2 cores of a Model T"}
ECHO = next(promise for promise in PROMISES if promise.quantity == "echo p50 µs")
OPENINGS = next(promise for promise in PROMISES if promise.quantity == f"{beyond(1)} CPU ms")


def measured(**medians: float) -> Samples:
    """An echo, at each side so many µs."""
    samples = Samples()
    for side, median in medians.items():
        for value in (median - 1, median, median + 1):
            samples.add("echo p50 µs", side, value)
            samples.busy["echo p50 µs"][side].append((0.5, 0.25))
    return samples


def test_a_line_has_load_medians_ratio_and_promise() -> None:
    lines = tables(measured(Hatchway=220, HAProxy=200)).splitlines()
    assert lines[-1] == (
        "| echo p50, µs | 1 tunnel, 64 bytes there and back, one at a time | Hatchway 220 (219 to 221) |"
        " HAProxy 200 (199 to 201) | 1.10 | ≤ 1.1 | yes | gateway 50%, load 25% |"
    )


def test_what_was_not_measured_has_no_line() -> None:
    assert tables(Samples()) == ""
    assert broken(Samples()) == []


def test_a_promise_that_is_not_kept_is_named_with_its_load() -> None:
    samples = measured(Hatchway=221, HAProxy=200)
    assert "| 1.10 | ≤ 1.1 | **no** |" in tables(samples)
    [told] = broken(samples)
    assert told.startswith(f"echo p50, µs ({ECHO.load}): Hatchway to HAProxy 1.10, not ≤ 1.1")


def test_a_promise_that_could_not_be_measured_is_not_kept() -> None:
    samples = Samples()
    samples.unmeasured[ECHO.quantity] = "the cable was cut"
    assert "| not measured: the cable was cut | | | ≤ 1.1 | **no** | |" in tables(samples)
    assert broken(samples) == [f"{ECHO.what} ({ECHO.load}): not measured"]


def test_a_line_without_promise_that_could_not_be_measured_breaks_none() -> None:
    free = next(promise for promise in PROMISES if promise.bound is None)
    samples = Samples()
    samples.unmeasured[free.quantity] = "there is none"
    of_it = [promise for promise in PROMISES if promise.quantity == free.quantity and promise.bound]
    assert len(broken(samples)) == len(of_it)


def test_what_is_left_beyond_the_commits_may_be_nothing() -> None:
    samples = Samples()
    samples.add(OPENINGS.quantity, OPENINGS.side, -0.05)
    samples.add(OPENINGS.quantity, OPENINGS.reference, 0.8)
    ratio = OPENINGS.ratio(samples)
    assert ratio is not None
    assert OPENINGS.kept(ratio)


BOUNDS = {
    **{f"{at_pace(way, pace)} CPU s/GB": 0.85 for way in (UP, DOWN) for pace in PACES},
    **{f"{at_pace(way, None)} MB/s": 1.2 for way in (UP, DOWN)},
    encryption(DOWN): 1.6,
    encryption(UP): 2.5,
    **{f"{name} {part} µs": 1.1 for name in ("echo", "echo amid") for part in ("p50", "p99")},
    **{f"{at_once(count)} CPU ms": 1.4 for count in AT_ONCE if count >= 16},
    **{f"{beyond(count)} CPU ms": 1.4 for count in AT_ONCE if count < 16},
    "opens CPU ms": 1.4,
    "idle KiB": 1.1,
    **{f"{bulk_in(BUSY, way)} CPU s/GB": 0.85 for way in (UP, DOWN)},
    f"{BUSY}, opens CPU ms": 1.4,
}


@pytest.mark.parametrize(("quantity", "bound"), BOUNDS.items())
def test_each_goal_is_the_bound_of_a_line(quantity: str, bound: float) -> None:
    assert bound in {promise.bound for promise in PROMISES if promise.quantity == quantity}


def test_each_line_is_told_from_all_others_of_its_table() -> None:
    for group in GROUPS:
        names = [(each.what, each.load, each.side, each.reference) for each in group.promises]
        assert len(set(names)) == len(names)


def test_each_line_names_its_load() -> None:
    assert all(promise.load for promise in PROMISES)
    assert f"{PACE} MB/s" in next(one.load for one in PROMISES if one.quantity.startswith(BUSY))


def test_what_is_written_reads_as_what_was_measured(tmp_path: Path) -> None:
    samples = measured(Hatchway=220.123456, HAProxy=200)
    samples.profiles["echo, Hatchway"] = "kernel 61 %"
    written = tmp_path / "results.json"
    write(as_json(samples, MACHINE), written)
    told = section(json.loads(written.read_text()))
    assert tables(samples) in told
    assert "processor: 2 cores of a Model T." in told
    assert "- echo, Hatchway: kernel 61 %" in told
    assert max(map(len, written.read_text().splitlines())) < 100


def test_a_page_gets_the_figures_in_their_place() -> None:
    page = "before\n<!-- figures of make bench -->\nold\n<!-- end of figures -->\nafter\n"
    new = with_figures(page, as_json(measured(Hatchway=220, HAProxy=200), MACHINE))
    assert new.startswith("before\n<!-- figures of make bench -->\n\ndate: 2026-01-31;")
    assert new.endswith("\n<!-- end of figures -->\nafter\n")
    assert "old" not in new


def test_a_page_without_a_place_for_figures_is_refused() -> None:
    with pytest.raises(ValueError, match="no one place"):
        with_figures("nothing", as_json(Samples(), MACHINE))


def test_what_a_row_that_ended_early_did_not_measure_is_not_kept() -> None:
    samples = measured(Hatchway=220, HAProxy=200)
    note_unmeasured(samples, "ended early: few")
    assert "| not measured: ended early: few |" in tables(samples)
    assert "| Hatchway 220 (219 to 221) |" in tables(samples)
    assert len(broken(samples)) == sum(one.bound is not None for one in PROMISES) - 1


def test_the_page_of_benchmarks_quotes_the_results_that_are_committed() -> None:
    page = PAGE.read_text()
    assert with_figures(page, json.loads(DEFAULT.read_text())) == page, "python -m bench.gateway.report"


def test_the_first_page_of_benchmarks_says_what_came_of_the_promises() -> None:
    page = README.read_text()
    assert with_promises(page, json.loads(DEFAULT.read_text())) == page, "python -m bench.gateway.report"


def test_in_short_a_promise_that_is_kept_is_counted_and_one_that_is_not_is_told() -> None:
    samples = measured(Hatchway=225, HAProxy=200)
    assert in_short(as_json(samples, MACHINE)).splitlines()[2:] == [
        f"| {GROUPS[0].title} | 1 | 0 |",
        "",
        f"{GROUPS[0].title}, not kept:",
        "",
        f"- {ECHO.what} ({ECHO.load}): **1.12**, promised ≤ 1.1",
    ]
    assert in_short(as_json(measured(Hatchway=220, HAProxy=200), MACHINE)).splitlines()[2:] == [
        f"| {GROUPS[0].title} | 1 | 1 |"
    ]


def test_in_short_a_promise_that_could_not_be_measured_is_told_as_such() -> None:
    samples = Samples()
    samples.unmeasured[ECHO.quantity] = "the cable was cut"
    told = in_short(as_json(samples, MACHINE)).splitlines()
    assert f"- {ECHO.what} ({ECHO.load}): not measured" in told


def test_the_results_that_are_committed_have_every_line_and_no_path() -> None:
    results = json.loads(DEFAULT.read_text())
    missing = {promise.quantity for promise in PROMISES} - results["samples"].keys()
    assert missing <= results["unmeasured"].keys()
    assert "/" not in "".join(results["machine"].values())


def test_a_promise_says_whether_it_is_kept_by_what_it_asks() -> None:
    least = Promise("speed", "", "speed", 1.2, at_least=True)
    assert (least.kept(1.2), least.kept(1.19), least.asked) == (True, False, "≥ 1.2")
