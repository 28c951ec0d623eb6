"""Whoever shares a store goes by the clock of its server, whatever the own one says."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from hatchway.sigv4.verification import CLOCK_SKEW as SKEW_OF_SIGNATURES
from hatchway.store import ClockCheck, NowThere, ServerTime, Store
from hatchway.store.processes import server_time
from hatchway.store.processes.server_time import ASKED_EVERY, CLOCK_SKEW

WRONG = datetime(2036, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_a_statement_knows_the_servers_time_and_in_sqlite_the_own_one(store: Store) -> None:
    with store.read() as tx:
        (prepared,) = tx.accounts.rows(select(NowThere("now")), now=WRONG)
        (literal,) = tx.accounts.rows(select(NowThere(WRONG)))
        there = tx.server_time()
    if store.is_sqlite:
        assert (prepared, literal, there) == ((WRONG,), (WRONG,), None)
    else:
        assert there is not None
        for moment in (*prepared, *literal, there):
            assert moment.utcoffset() == timedelta(0)
            assert abs(moment - datetime.now(UTC)) < HOUR


def test_the_time_is_the_servers_and_in_sqlite_the_own_one(store: Store) -> None:
    with capture_logs() as logs:
        time = ServerTime(store.server_time, lambda: WRONG, lambda: 0.0)
        if store.is_sqlite:
            assert (time(), time.earlier(), logs) == (WRONG, WRONG, [])
        else:
            assert abs(time() - datetime.now(UTC)) < HOUR
            assert time.earlier() == time()
            assert [line["event"] for line in logs] == ["clocks differ"]


class Clocks:
    """Three that can be set: the server's, the own one, and that which nobody sets."""

    def __init__(self) -> None:
        self.there = self.own = datetime(2026, 11, 30, tzinfo=UTC)
        self.seconds = 0.0
        self.asked = 0

    def ask(self) -> datetime:
        self.asked += 1
        return self.there


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_a_clock_that_is_set_changes_nothing_of_it(clocks: Clocks) -> None:
    time = ServerTime(clocks.ask, lambda: clocks.own, lambda: clocks.seconds)
    before = time()
    clocks.own += 9 * HOUR
    clocks.seconds = ASKED_EVERY - 1
    assert time() == time.earlier() == before + timedelta(seconds=clocks.seconds)
    clocks.own -= 18 * HOUR
    assert time.earlier() == clocks.own
    assert clocks.asked == 1


def test_that_they_are_apart_is_told_once_and_that_they_agree_again(clocks: Clocks) -> None:
    time = ServerTime(clocks.ask, lambda: clocks.own, lambda: clocks.seconds)
    told = []
    for apart in (HOUR, HOUR, timedelta(0), -HOUR):
        clocks.seconds += ASKED_EVERY
        clocks.own = clocks.there + apart
        with capture_logs() as logs:
            time()
        told += [(line["event"], line.get("seconds_ahead")) for line in logs]
    assert told == [("clocks differ", 3600), ("clocks agree again", None), ("clocks differ", -3600)]


def test_a_clock_that_refuses_every_signature_is_useless_unless_something_keeps_it_right(
    monkeypatch: pytest.MonkeyPatch, clocks: Clocks
) -> None:
    check = ClockCheck()

    def compared(ahead: timedelta, *, kept: bool | None) -> bool:
        monkeypatch.setattr(server_time, "kept_right", lambda: kept)
        check.compare(clocks.there + ahead, clocks.there)
        return check.useless

    assert CLOCK_SKEW == SKEW_OF_SIGNATURES
    assert not compared(CLOCK_SKEW, kept=False)
    # Then it is the server's that is wrong, and all machines would say that they are not ready.
    assert not compared(2 * CLOCK_SKEW, kept=True)
    assert compared(2 * CLOCK_SKEW, kept=False)
    assert compared(-2 * CLOCK_SKEW, kept=None)
    assert not compared(timedelta(0), kept=False)
