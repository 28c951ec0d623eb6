import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.gateway.account import StoredAccount, stored_account
from tests.gateway.harness import Says

from hatchway.audit.group_commit import GroupCommit
from hatchway.domain.tunnel import GatewayWorker
from hatchway.gateway.admission import Admitted, Refused
from hatchway.gateway.handshake import Head
from hatchway.gateway.refusal import Closure, access_denied
from hatchway.gateway.trail import Carried, QuotaReached, Trail
from hatchway.gateway.unrecorded import Unrecorded

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


def trail(commits: GroupCommit, worker: str = "gw-1") -> Trail:
    ids = (f"event-{worker}-{number}" for number in range(1000))
    return Trail(commits, worker, lambda: next(ids), Unrecorded(commits))


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


def events(account: StoredAccount) -> list[dict[str, object]]:
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

    carried = Carried(12.3456, 10, 20, Closure(4003, "Access revoked"))
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
