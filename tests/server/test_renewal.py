"""Keys and certificates are looked after for as long as a server runs."""

from tests.e2e.waiting import wait_until

from hatchway.server.renewal import repeated


def test_a_question_that_nobody_answers_is_asked_again_no_later_than_any_other() -> None:
    asked: list[None] = []
    # It tells of its failure in the log, and returns.
    with repeated(lambda: asked.append(None), 0.01):
        wait_until(lambda: len(asked) >= 15)


def test_a_fault_of_one_question_does_not_end_the_next() -> None:
    asked: list[None] = []

    def ask() -> None:
        asked.append(None)
        raise RuntimeError("a fault")

    with repeated(ask, 0.01):
        wait_until(lambda: len(asked) >= 3)
