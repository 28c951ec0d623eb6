"""Group commit in PostgreSQL, where what pieces write goes there together."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import DataError
from tests.audit.test_group_commit import Held, names, put, putting
from tests.gateway.trail.test_trail import CARRIED, admitted, trail
from tests.store.conftest import database_server, migrated_postgresql  # noqa: F401 (fixtures)
from tests.store.line import Line, line_to
from tests.store.postgresql_server import PostgresqlServer

from hatchway.audit import group_commit
from hatchway.audit.group_commit import GroupCommit
from hatchway.domain.tunnel import GatewayWorker
from hatchway.store import Store, Transaction, explain, read_timeout

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
READ_TIMEOUT = 1.0


@pytest.fixture
def led(migrated_postgresql: Callable[[], str], tmp_path: Path) -> Iterator[tuple[str, Line]]:  # noqa: F811
    with line_to(f"{migrated_postgresql()}&connect_timeout=2", tmp_path) as made:
        yield made


@pytest.fixture
def line(led: tuple[str, Line]) -> Line:
    return led[1]


@pytest.fixture
def store(led: tuple[str, Line], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(read_timeout, "IDLE_SECONDS", READ_TIMEOUT / 2)
    with closing(Store.open(led[0], read_timeout=READ_TIMEOUT)) as opened:
        yield opened


@pytest.fixture
def commits(store: Store) -> Iterator[GroupCommit]:
    made = GroupCommit(store)
    # So that the connection is there, and all of it prepared.
    for name in ("i-a", "i-b"):
        made.submit(putting(name), locks=["all"]).result(30)
    yield made
    made.close()


def refused(tx: Transaction) -> None:
    """What the database refuses, and tells when it is asked for something else."""
    tx.host_tokens.put(put("i" * 65))


def test_openings_and_ends_of_a_commit_take_two_round_trips_however_many(
    store: Store, commits: GroupCommit, line: Line
) -> None:
    with store.record() as tx:
        tx.gateway_workers.put(
            GatewayWorker(
                id="gw-1",
                host="h",
                port=1,
                started_at=NOW,
                lease_until=datetime.now(UTC) + timedelta(hours=1),
            )
        )

    async def test() -> None:
        books, taken = trail(commits), list[int]()
        for turn in range(3):
            held = Held(commits)
            before = [admitted(f"tun-{turn - 1}-{number}") for number in range(5)] if turn else []
            ends = [asyncio.ensure_future(books.closed(each, CARRIED, NOW)) for each in before]
            opening = [
                asyncio.ensure_future(books.opened(admitted(f"tun-{turn}-{number}"), NOW))
                for number in range(5)
            ]
            await asyncio.sleep(0)
            started = line.round_trips
            held.release()
            await asyncio.gather(*ends, *opening)
            taken.append(line.round_trips - started)
        assert taken == [2, 2, 2]

    asyncio.run(test())
    with store.read() as tx:
        assert tx.tunnels.count() == 5
        assert tx.audit_records.count() == 25


def test_a_piece_that_the_database_refuses_with_the_commit_is_undone_alone(
    store: Store, commits: GroupCommit
) -> None:
    held = Held(commits)
    futures = [commits.submit(putting(f"i-{number}"), locks=["all"]) for number in range(3)]
    failing = commits.submit(refused)
    futures.append(commits.submit(putting("i-3")))
    held.release()
    assert isinstance(failing.exception(30), DataError)
    for future in futures:
        future.result(30)
    assert names(store) == ["i-0", "i-1", "i-2", "i-3", "i-a", "i-b"]


def test_pieces_whose_connection_is_lost_before_the_commit_are_committed_on_another(
    store: Store, commits: GroupCommit, line: Line
) -> None:
    cuts = [b"i-1"]

    def cut(tx: Transaction) -> None:
        line.cut_at = cuts.pop() if cuts else None
        tx.host_tokens.count()

    held = Held(commits)
    futures = [commits.submit(putting("i-1"), locks=["all"]), commits.submit(cut)]
    held.release()
    for future in futures:
        future.result(30)
    assert names(store) == ["i-1", "i-a", "i-b"]


def test_pieces_whose_connection_is_lost_with_the_commit_are_told_of_it_and_the_next_are_committed(
    store: Store, commits: GroupCommit, line: Line
) -> None:
    def cut(_: Transaction) -> None:
        line.cut_at = b"i-1"

    held = Held(commits)
    futures = [commits.submit(cut), commits.submit(putting("i-1"))]
    held.release()
    for future in futures:
        problem = future.exception(30)
        assert problem is not None
        assert str(explain(problem)).startswith("the database server cannot be reached")
    line.cut_at = None
    commits.submit(putting("i-2")).result(30)
    assert names(store) == ["i-2", "i-a", "i-b"]


def test_a_server_that_falls_silent_holds_the_commits_up_for_so_long_and_no_longer(
    store: Store,
    commits: GroupCommit,
    database_server: PostgresqlServer,  # noqa: F811
) -> None:
    with database_server.suspended():
        problem = commits.submit(putting("i-1")).exception(60)
        assert problem is not None
        assert "the store does not answer" in str(explain(problem))
    commits.submit(putting("i-2")).result(60)
    assert {"i-2", "i-a", "i-b"} <= {*names(store)}


def test_a_lone_piece_waits_for_no_other_and_among_others_it_waits_while_more_come(
    commits: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    coming: list[int] = []

    def note(seconds: float) -> None:
        slept.append(seconds)
        if coming:
            coming.pop()
            commits.submit(lambda tx: None)

    monkeypatch.setattr(time, "sleep", note)
    for _ in range(3):
        commits.submit(lambda tx: None).result(30)
    assert slept == []
    held = Held(commits)
    some = [commits.submit(lambda tx: None) for _ in range(2)]
    held.release()
    for each in some:
        each.result(30)
    coming += range(1)
    slept.clear()
    commits.submit(lambda tx: None).result(30)
    # For as many steps as more has come in, and one.
    assert slept == [group_commit._STEP] * 2
    coming += range(100)
    slept.clear()
    commits.submit(lambda tx: None).result(30)
    coming.clear()
    assert sum(slept) == pytest.approx(group_commit._LONGEST_GATHERING)


def test_after_lone_pieces_it_is_forgotten_that_there_were_several(
    commits: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(commits)
    some = [commits.submit(lambda tx: None) for _ in range(2)]
    held.release()
    for each in some:
        each.result(30)
    for _ in range(group_commit._REMEMBERED):
        commits.submit(lambda tx: None).result(30)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    commits.submit(lambda tx: None).result(30)
    assert slept == []
