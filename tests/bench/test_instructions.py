"""What perf and callgrind count is read."""

import pytest
from bench.gateway.instructions import ROWS, CannotCount, count_in, table, total_in


def test_a_count_of_perf_is_read() -> None:
    said = "144,,raw_syscalls:sys_enter,1539883,100.00,,\n2045,,instructions:u,1539883,100.00,,\n"
    assert count_in(said, "raw_syscalls:sys_enter") == 144
    assert count_in(said, "instructions:u") == 2045


def test_what_the_processor_does_not_count_is_told() -> None:
    with pytest.raises(CannotCount, match="<not supported>"):
        count_in("<not supported>,,instructions:u,0,100.00,,\n", "instructions:u")


def test_an_answer_without_the_event_is_told() -> None:
    with pytest.raises(CannotCount, match="nothing of instructions:u: no permission"):
        count_in("no permission\n", "instructions:u")


@pytest.mark.parametrize("line", ["totals: 93113", "summary: 93113"])
def test_the_sum_of_callgrind_is_read(line: str) -> None:
    assert total_in(f"# callgrind format\nevents: Ir\n\nfn=(1) main\n16 400\n\n{line}\n") == 93113


def test_a_profile_without_a_sum_is_told() -> None:
    with pytest.raises(CannotCount):
        total_in("# callgrind format\n")


def test_the_table_has_both_sides_and_their_ratio() -> None:
    told = table(
        "valgrind's callgrind",
        ROWS[:1],
        {"Hatchway": [2_500_000.0], "HAProxy": [1_000_000.0]},
        {"Hatchway": [40.0], "HAProxy": [20.0]},
    )
    assert told.splitlines()[-1] == (
        "| opening, each opening | 1 at once | 2,500,000 | 1,000,000 | 2.50 | 40 | 20 |"
    )


def test_without_system_calls_their_cells_are_empty() -> None:
    told = table("perf's instructions:u", ROWS[:1], {"Hatchway": [2.0], "HAProxy": [1.0]}, {})
    assert told.endswith("| 2 | 1 | 2.00 |  |  |")
