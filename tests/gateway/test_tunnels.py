"""Tunnels as others see them: ended on request, their bytes told, their number bounded."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from tests.gateway.account import THEN, USER_ARN, StoredAccount, allow, stored_account
from tests.gateway.harness import echo, target
from tests.gateway.trail.test_trail import admitted, trail
from tests.gateway.workers import answer_to, echoes, events, open_tunnel, worker
from tests.transport.harness import run, until

from hatchway.audit.group_commit import GroupCommit
from hatchway.domain.account import Quotas
from hatchway.domain.tunnel import Termination, Tunnel
from hatchway.gateway.trail.byte_count_reports import ByteCountReports
from hatchway.gateway.tunnel.registry import Registry

if TYPE_CHECKING:
    from hatchway.gateway.tunnel.relay import Relay


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


def open_tunnels(account: StoredAccount) -> list[Tunnel]:
    with account.store.read() as tx:
        return tx.tunnels.find()


def termination(tunnel_id: str) -> Termination:
    return Termination(
        tunnel_id=tunnel_id,
        requested_by="arn:aws:iam::123456789012:root",
        request_id="request-7",
        requested_at=THEN,
    )


def test_a_tunnel_is_ended_by_an_administrator_and_no_other(account: StoredAccount, tmp_path: Path) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                (doomed,) = open_tunnels(account)
                other = await open_tunnel(gateway, account, port)
                assert await echoes(other)
                with account.store.write() as tx:
                    tx.terminations.put(termination(doomed.id))
                _, closed = await client.rest()
                assert (closed.code, closed.reason) == (4004, "Tunnel terminated by an administrator")
                assert await echoes(other, b"still here")
                await until(lambda: events(account, "CloseTunnel"))
                (event,) = events(account, "CloseTunnel")
                assert event["additionalEventData"]["termination"] == {
                    "requestedBy": "arn:aws:iam::123456789012:root",
                    "requestID": "request-7",
                }

    run(test)


def test_a_worker_carries_as_many_tunnels_as_it_may(account: StoredAccount, tmp_path: Path) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path, max_tunnels=2) as gateway:
                first = await open_tunnel(gateway, account, port)
                second = await open_tunnel(gateway, account, port)
                assert await answer_to(gateway, account, port) == b"HTTP/1.1 429 Too Many Requests"
                await first.close()
                await first.hung_up()
                while await answer_to(gateway, account, port) == b"HTTP/1.1 429 Too Many Requests":
                    continue
                assert await echoes(second)

    run(test)


def test_a_principal_has_as_many_tunnels_as_it_may_through_all_workers(
    account: StoredAccount, tmp_path: Path
) -> None:
    account.user("bob", allow())
    account.role("on-call", allow())
    with account.store.write() as tx:
        (alice,) = tx.users.find(name="alice")
        tx.accounts.put(replace(tx.account(), quotas=Quotas(tunnels_per_principal=3)))
    account.session("on-call", made_by=alice.id)

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as first, worker(account, tmp_path) as second:
                clients = [await open_tunnel(each, account, port) for each in (first, first, second)]
                assert all([await echoes(client) for client in clients])
                # This one knows of one tunnel only: it upgrades, and learns the rest from the store.
                one_too_many = await open_tunnel(second, account, port)
                _, closed = await one_too_many.rest()
                assert (closed.code, closed.reason) == (4029, "Too many tunnels of this principal")
                # A role that the same user has assumed does not give it more.
                by_role = await open_tunnel(second, account, port, user="on-call")
                _, closed = await by_role.rest()
                assert closed.code == 4029
                bobs = await open_tunnel(second, account, port, user="bob")
                assert await echoes(bobs)
                with account.store.read() as tx:
                    (alice,) = tx.users.find(name="alice")
                    assert tx.tunnels.count(principal_arn=USER_ARN) == 3
                    assert tx.tunnels.count(maker_id=alice.id) == 3

    run(test)


class StubRelay:
    """In the place of a relay: so many bytes each way."""

    def __init__(self) -> None:
        self.bytes_in = self.bytes_out = 0


def test_the_store_is_told_of_the_bytes_of_those_tunnels_that_carried_some(account: StoredAccount) -> None:
    commits = GroupCommit(account.store)
    registry = Registry()
    relays = {f"tun-{number}": StubRelay() for number in range(3)}

    async def test() -> None:
        for tunnel_id, relay in relays.items():
            tunnel = admitted(tunnel_id)
            await trail(commits, f"gw-{tunnel_id}").opened(tunnel, THEN)
            registry.add(tunnel, cast("Relay", relay))
        report = ByteCountReports(commits, registry)
        relays["tun-1"].bytes_in, relays["tun-1"].bytes_out = 3_000_000_000, 7
        await report.report_once()
        relays["tun-2"].bytes_out = 11
        with account.store.record() as tx:
            tx.tunnels.delete("tun-1")
        relays["tun-1"].bytes_in += 1
        await report.report_once()

    asyncio.run(test())
    commits.close()
    told = {tunnel.id: (tunnel.bytes_in, tunnel.bytes_out) for tunnel in open_tunnels(account)}
    # A tunnel that has ended meanwhile does not come back.
    assert told == {"tun-0": (0, 0), "tun-2": (0, 11)}


def test_a_report_says_what_has_been_carried_so_far(account: StoredAccount) -> None:
    commits = GroupCommit(account.store)
    registry, relay = Registry(), StubRelay()

    async def test() -> None:
        await trail(commits).opened(admitted("tun-1"), THEN)
        registry.add(admitted("tun-1"), cast("Relay", relay))
        report = ByteCountReports(commits, registry)
        for _ in range(3):
            relay.bytes_in += 3_000_000_000
            await report.report_once()

    asyncio.run(test())
    commits.close()
    assert [tunnel.bytes_in for tunnel in open_tunnels(account)] == [9_000_000_000]
