from hatchway.doctor.findings import Status, error, ok, unknown, warning, worst


def test_the_worst_of_all_counts() -> None:
    well, open_question = ok("a", "fine"), unknown("b", "hidden")
    assert worst([]) is Status.OK
    assert worst([well, open_question]) is Status.UNKNOWN
    assert worst([warning("c", "so", "do"), open_question]) is Status.WARNING
    assert worst([error("d", "bad", "mend"), warning("c", "so", "do")]) is Status.ERROR
