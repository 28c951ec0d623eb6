import asyncio
import errno
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from tests.gateway.account import StoredAccount, stored_account
from tests.gateway.harness import Says
from tests.transport.harness import until

from hatchway.audit.group_commit import GroupCommit
from hatchway.audit.log import safe_line, to_json
from hatchway.audit.refusals import AT_ONCE
from hatchway.domain.tunnel import GatewayWorker
from hatchway.gateway.admission.decision import Admitted, Refused
from hatchway.gateway.admission.refusal import access_denied
from hatchway.gateway.trail.pending_records import PendingRecords
from hatchway.gateway.trail.trail import QuotaReached, Trail, TunnelSummary
from hatchway.gateway.tunnel.closures import NOT_RECORDED
from hatchway.store import Transaction
from hatchway.transport.websocket.close import Closure
from hatchway.transport.websocket.handshake import Head

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        yield made


@pytest.fixture
def commits(account: StoredAccount) -> Iterator[GroupCommit]:
    made = GroupCommit(account.store)
    yield made
    made.close()


def trail(commits: GroupCommit, worker: str = "gw-1", pending_records: PendingRecords | None = None) -> Trail:
    ids = (f"event-{worker}-{number}" for number in range(1000))
    return Trail(
        commits,
        worker,
        lambda: next(ids),
        PendingRecords(commits) if pending_records is None else pending_records,
    )


def worker(account: StoredAccount, worker_id: str, lease_until: datetime) -> None:
    with account.store.record() as tx:
        tx.gateway_workers.put(
            GatewayWorker(id=worker_id, host="h", port=443, started_at=NOW, lease_until=lease_until)
        )


def admitted(tunnel_id: str) -> Admitted:
    answer = Says(22).decide(_head(), source_ip="192.0.2.7", request_id="r", tunnel_id=tunnel_id, now=NOW)
    assert isinstance(answer, Admitted)
    return answer


def _head() -> Head:
    return Head("/openTunnel", "", ())


def events(account: StoredAccount) -> list[dict[str, Any]]:
    with account.store.read() as tx:
        return [json.loads(record.body) for record in tx.audit_records.find()]


def test_a_tunnel_is_entered_when_it_opens_and_struck_out_when_it_ends(
    account: StoredAccount, commits: GroupCommit
) -> None:
    books = trail(commits)
    asyncio.run(books.opened(admitted("tun-1"), NOW))
    with account.store.read() as tx:
        (tunnel,) = tx.tunnels.find()
    assert (tunnel.id, tunnel.gateway_id, tunnel.source_ip) == ("tun-1", "gw-1", "192.0.2.7")
    assert tunnel.expires_at - tunnel.opened_at == timedelta(seconds=3600)

    carried = TunnelSummary(12.3456, 10, 20, Closure(4003, "Access revoked"))
    asyncio.run(books.closed(admitted("tun-1"), carried, NOW))
    with account.store.read() as tx:
        assert not tx.tunnels.find()
    opened, closed = events(account)
    assert (opened["eventName"], closed["eventName"]) == ("OpenTunnel", "CloseTunnel")
    assert opened["requestParameters"] == closed["requestParameters"]
    assert closed["additionalEventData"] == {
        "tunnelId": "tun-1",
        "durationSeconds": 12.346,
        "bytesIn": 10,
        "bytesOut": 20,
        "closeCode": 4003,
        "closeReason": "Access revoked",
    }


def test_the_end_of_a_tunnel_that_was_cut_says_why_as_any_record_is_written(
    account: StoredAccount, commits: GroupCommit
) -> None:
    books = trail(commits)
    cause = {"revocation": {"reason": 'a "key"\n', "checks": [1, None]}}
    asyncio.run(books.opened(admitted("tun-1"), NOW))
    carried = TunnelSummary(1e-7, 0, 2**40, Closure(4003, 'Access "revoked"\u2028'), cause)
    asyncio.run(books.closed(admitted("tun-1"), carried, NOW))
    with account.store.read() as tx:
        (body,) = [record.body for record in tx.audit_records.find() if record.event_name == "CloseTunnel"]
    event = json.loads(body)
    assert event["additionalEventData"] == {
        "tunnelId": "tun-1",
        "durationSeconds": 0.0,
        "bytesIn": 0,
        "bytesOut": 2**40,
        "closeCode": 4003,
        "closeReason": 'Access "revoked"\u2028',
        **cause,
    }
    assert body == safe_line(to_json(event))


def test_a_refusal_is_entered_with_its_error(account: StoredAccount, commits: GroupCommit) -> None:
    refused = Refused(
        refusal=access_denied("User: x is not authorized"),
        call=admitted("tun-1").call,
        additional={"decision": {"checks": []}},
    )
    asyncio.run(trail(commits).refused(refused, NOW))
    (event,) = events(account)
    assert (event["errorCode"], event["errorMessage"]) == (
        "AccessDeniedException",
        "User: x is not authorized",
    )


def test_the_quota_counts_the_tunnels_of_all_gateways_that_are_alive(
    account: StoredAccount, commits: GroupCommit
) -> None:
    worker(account, "gw-1", NOW + timedelta(seconds=10))
    worker(account, "gw-2", NOW + timedelta(seconds=10))
    worker(account, "gw-dead", NOW - timedelta(seconds=1))

    async def test() -> None:
        for number in range(15):
            await trail(commits, "gw-dead").opened(admitted(f"tun-dead-{number}"), NOW)
        for number in range(10):
            await trail(commits, "gw-2").opened(admitted(f"tun-b-{number}"), NOW)
        first = trail(commits, "gw-1")
        for number in range(10):
            await first.opened(admitted(f"tun-a-{number}"), NOW)
        with pytest.raises(QuotaReached):
            await first.opened(admitted("tun-one-too-many"), NOW)

    asyncio.run(test())
    with account.store.read() as tx:
        assert tx.tunnels.get("tun-one-too-many") is None
    assert [event for event in events(account) if event.get("errorCode") == "ServiceQuotaExceededException"]


class Disturbed:
    """Makes the commits of a store fail, before they are done or after."""

    def __init__(self, account: StoredAccount, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails_before = self.fails_after = False
        self.answers = threading.Event()
        self.answers.set()
        record = account.store.record

        @contextmanager
        def failing(*, in_pipeline: bool = False) -> Iterator[Transaction]:
            if self.fails_before:
                raise OSError(errno.ENOSPC, "disk full")
            with record(in_pipeline=in_pipeline) as tx:
                yield tx
                self.answers.wait(60)
            if self.fails_after:
                raise ConnectionError("gone within the commit")

        monkeypatch.setattr(account.store, "record", failing)


@pytest.fixture
def failing(account: StoredAccount, monkeypatch: pytest.MonkeyPatch) -> Disturbed:
    monkeypatch.setattr("hatchway.gateway.trail.pending_records.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("hatchway.gateway.trail.pending_records.LONGEST_PAUSE", 0.05)
    return Disturbed(account, monkeypatch)


async def settled(pending_records: PendingRecords) -> None:
    keeping = asyncio.create_task(pending_records.run())
    async with asyncio.timeout(60):
        await pending_records.wait_until_empty()
    keeping.cancel()


CARRIED = TunnelSummary(1.5, 10, 20, Closure(1000))


def test_an_end_that_cannot_be_entered_is_entered_once_it_can(
    account: StoredAccount, commits: GroupCommit, failing: Disturbed
) -> None:
    async def test() -> None:
        pending_records = PendingRecords(commits)
        books = trail(commits, pending_records=pending_records)
        ids = [f"tun-{number}" for number in range(20)]
        for tunnel_id in ids:
            await books.opened(admitted(tunnel_id), NOW)
        failing.fails_before = True
        for tunnel_id in ids:
            await books.closed(admitted(tunnel_id), CARRIED, NOW)
        keeping = asyncio.create_task(pending_records.run())
        await asyncio.sleep(0.2)
        assert len(pending_records) == 20
        keeping.cancel()
        failing.fails_before = False
        await settled(pending_records)
        with account.store.read() as tx:
            assert not tx.tunnels.find()
        closed = [event for event in events(account) if event["eventName"] == "CloseTunnel"]
        assert sorted(event["additionalEventData"]["tunnelId"] for event in closed) == sorted(ids)
        assert {event["additionalEventData"]["bytesOut"] for event in closed} == {20}

    asyncio.run(test())


def test_an_end_is_entered_although_the_worker_that_ends_does_not_wait_for_it(
    account: StoredAccount, commits: GroupCommit, failing: Disturbed
) -> None:
    async def test() -> None:
        books = trail(commits)
        await books.opened(admitted("tun-1"), NOW)
        failing.answers.clear()
        # While this one's commit is under way, the end waits for its turn.
        waiting = asyncio.create_task(books.opened(admitted("tun-2"), NOW))
        await asyncio.sleep(0.1)
        closing = asyncio.create_task(books.closed(admitted("tun-1"), CARRIED, NOW))
        await asyncio.sleep(0)
        closing.cancel()
        failing.answers.set()
        await waiting

    asyncio.run(test())
    commits.close()
    assert [event["eventName"] for event in events(account)] == ["OpenTunnel", "OpenTunnel", "CloseTunnel"]


def test_an_end_that_was_entered_although_it_seemed_not_is_entered_once(
    account: StoredAccount, commits: GroupCommit, failing: Disturbed
) -> None:
    async def test() -> None:
        pending_records = PendingRecords(commits)
        books = trail(commits, pending_records=pending_records)
        await books.opened(admitted("tun-1"), NOW)
        failing.fails_after = True
        await books.closed(admitted("tun-1"), CARRIED, NOW)
        assert len(pending_records) == 1
        failing.fails_after = False
        await settled(pending_records)
        assert [event["eventName"] for event in events(account)] == ["OpenTunnel", "CloseTunnel"]

    asyncio.run(test())


def test_a_tunnel_that_was_entered_although_it_seemed_not_is_entered_as_closed(
    account: StoredAccount, commits: GroupCommit, failing: Disturbed
) -> None:
    async def test() -> None:
        pending_records = PendingRecords(commits)
        books = trail(commits, pending_records=pending_records)
        failing.fails_after = True
        with pytest.raises(ConnectionError):
            await books.opened(admitted("tun-1"), NOW)
        failing.fails_after = False
        await settled(pending_records)
        with account.store.read() as tx:
            assert not tx.tunnels.find()
        opened, closed = events(account)
        assert "errorCode" not in opened
        assert closed["additionalEventData"]["closeReason"] == NOT_RECORDED.reason

    asyncio.run(test())


def test_a_store_that_never_answers_opens_no_tunnel_and_leaves_none_entered_when_it_does(
    account: StoredAccount, commits: GroupCommit, failing: Disturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.gateway.trail.trail.RECORD_TIMEOUT", 0.1)

    async def test() -> None:
        pending_records = PendingRecords(commits)
        books = trail(commits, pending_records=pending_records)
        failing.answers.clear()
        for tunnel_id in ("tun-under-way", "tun-waiting"):
            with pytest.raises(TimeoutError):
                await books.opened(admitted(tunnel_id), NOW)
        failing.answers.set()
        await settled(pending_records)
        with account.store.read() as tx:
            assert not tx.tunnels.find()
        told = [(event["eventName"], event.get("errorCode")) for event in events(account)]
        assert sorted(told, key=str) == [
            ("CloseTunnel", None),
            ("OpenTunnel", "ServiceUnavailable"),
            ("OpenTunnel", None),
        ]

    asyncio.run(test())


def test_a_tunnel_that_could_not_be_entered_is_entered_as_refused(
    account: StoredAccount, commits: GroupCommit, failing: Disturbed
) -> None:
    async def test() -> None:
        pending_records = PendingRecords(commits)
        books = trail(commits, pending_records=pending_records)
        failing.fails_before = True
        with pytest.raises(OSError, match="disk full"):
            await books.opened(admitted("tun-1"), NOW)
        failing.fails_before = False
        await settled(pending_records)
        (event,) = events(account)
        assert (event["eventName"], event["errorCode"]) == ("OpenTunnel", "ServiceUnavailable")

    asyncio.run(test())


def test_a_refusal_that_cannot_be_entered_is_entered_later_if_there_is_room(
    account: StoredAccount, commits: GroupCommit, failing: Disturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.gateway.trail.pending_records.MOST_REFUSALS", 3)

    async def test() -> None:
        pending_records = PendingRecords(commits)
        books = trail(commits, pending_records=pending_records)
        failing.fails_before = True
        for number in range(5):
            call = admitted(f"tun-{number}").call
            await books.refused(Refused(refusal=access_denied("no"), call=call, additional={}), NOW)
        assert len(pending_records) == 3
        failing.fails_before = False
        await settled(pending_records)
        assert [event["errorCode"] for event in events(account)] == ["AccessDeniedException"] * 3

    asyncio.run(test())


def test_a_piece_that_never_succeeds_keeps_no_other_from_being_entered(
    account: StoredAccount, commits: GroupCommit, failing: Disturbed
) -> None:
    async def test() -> None:
        pending_records = PendingRecords(commits)
        done: set[int] = set()

        def never(_tx: Transaction) -> None:
            raise ValueError("never")

        def note(number: int, _tx: Transaction) -> None:
            done.add(number)

        pending_records.add(never)
        for number in range(3):
            pending_records.add(partial(note, number))
        keeping = asyncio.create_task(pending_records.run())
        async with asyncio.timeout(60):
            await until(lambda: done == {0, 1, 2} and len(pending_records) == 1)
        keeping.cancel()

    asyncio.run(test())


def test_refusals_beyond_a_rate_are_counted_and_entered_together(
    account: StoredAccount, commits: GroupCommit
) -> None:
    pending_records = PendingRecords(commits)
    books = trail(commits, pending_records=pending_records)
    answer = admitted("tun-1")
    alice = {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/alice"}
    call = answer.call._replace(source=answer.call.source._replace(user_identity=alice))
    refused = Refused(refusal=access_denied("no"), call=call)

    async def flood() -> None:
        for _ in range(AT_ONCE + 30):
            await books.refused(refused, NOW)
        books.enter_counts()
        books.enter_counts()
        keeping = asyncio.create_task(pending_records.run())
        await pending_records.wait_until_empty()
        keeping.cancel()

    asyncio.run(flood())
    entered = events(account)
    (summary,) = [event for event in entered if event["eventName"] == "RefusedCalls"]
    told = summary["additionalEventData"]["refusals"]
    assert len(entered) - 1 + told["count"] == AT_ONCE + 30
    assert AT_ONCE <= len(entered) - 1 < AT_ONCE + 30
    assert told["eventNames"] == {"OpenTunnel": told["count"]}
    assert summary["userIdentity"] == alice
