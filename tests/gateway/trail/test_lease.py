"""A worker whose lease has run out opens nothing, and carries nothing that may have been entered as ended."""

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from tests.gateway.account import StoredAccount, stored_account
from tests.transport.harness import until

from hatchway.audit.group_commit import GroupCommit
from hatchway.domain.tunnel import GRACE, LEASE, Tunnel
from hatchway.gateway.trail.lease import LONGEST_UNCERTAINTY, Lease
from hatchway.store import Transaction

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for pause in ("RENEWAL", "RETRY", "LOOK"):
        monkeypatch.setattr(f"hatchway.gateway.trail.lease.{pause}", 0.01)


@dataclass
class World:
    account: StoredAccount
    seconds: float = 1000.0
    writable: bool = True
    readable: bool = True
    ended: list[Collection[str] | None] = field(default_factory=list)
    """What `end_all_but` was called with."""
    recorded: set[str] = field(default_factory=set)

    def make_lease(self, commits: GroupCommit) -> Lease:
        def end(tunnel_ids: Collection[str] | None) -> int:
            self.ended.append(tunnel_ids)
            return 1

        return Lease(
            self.account.store,
            commits,
            lambda: NOW + timedelta(seconds=self.seconds),
            lambda: self.seconds,
            end=end,
            recorded=lambda: frozenset(self.recorded),
            worker_id="gw-1",
            host="h",
            port=443,
        )

    def carry(self, *tunnel_ids: str) -> None:
        for tunnel_id in tunnel_ids:
            tunnel = Tunnel(
                id=tunnel_id,
                gateway_id="gw-1",
                endpoint_id="eice-1",
                instance_id=None,
                principal_arn="arn",
                access_key_id="AKIA",
                source_ip="192.0.2.7",
                private_ip="10.0.1.1",
                remote_port=22,
                opened_at=NOW,
                expires_at=NOW,
            )
            self.recorded.add(tunnel_id)
            with self.account.store.write() as tx:
                tx.tunnels.put(tunnel)

    @property
    def tunnels(self) -> dict[str, str]:
        """The workers of the tunnels that are entered."""
        with self.account.store.read() as tx:
            return {tunnel.id: tunnel.gateway_id for tunnel in tx.tunnels.find()}

    def bury(self) -> None:
        """As the control plane does: the worker goes, and one of its tunnels so far."""
        with self.account.store.write() as tx:
            tx.gateway_workers.delete("gw-1")
            tx.tunnels.delete("tun-1")

    @property
    def entered(self) -> bool:
        with self.account.store.write() as tx:
            return tx.gateway_workers.get("gw-1") is not None


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with stored_account() as account:
        made = World(account)
        record, read = account.store.record, account.store.read

        @contextmanager
        def recording(*, in_pipeline: bool = False) -> Iterator[Transaction]:
            if not made.writable:
                raise OSError("locked")
            with record(in_pipeline=in_pipeline) as tx:
                yield tx

        @contextmanager
        def reading() -> Iterator[Transaction]:
            if not made.readable:
                raise OSError("gone")
            with read() as tx:
                yield tx

        monkeypatch.setattr(account.store, "record", recording)
        monkeypatch.setattr(account.store, "read", reading)
        yield made


@pytest.fixture
def commits(world: World) -> Iterator[GroupCommit]:
    made = GroupCommit(world.account.store)
    yield made
    made.close()


def runs(lease: Lease) -> bool:
    return lease.runs


async def seen_to(lease: Lease) -> tuple[asyncio.Task[None], ...]:
    await lease.renew()
    return asyncio.create_task(lease.run()), asyncio.create_task(lease.watch())


def test_a_lease_that_is_not_renewed_runs_out_and_one_that_is_runs_again(
    world: World, commits: GroupCommit
) -> None:
    async def test() -> None:
        lease = world.make_lease(commits)
        assert not runs(lease)
        tasks = await seen_to(lease)
        world.writable = False
        world.seconds += LEASE.total_seconds() - 1
        assert runs(lease)
        world.seconds += 1
        assert not runs(lease)
        world.writable = True
        await until(lambda: runs(lease))
        for task in tasks:
            task.cancel()

    asyncio.run(test())


def test_tunnels_go_on_while_the_store_can_be_read_and_nobody_has_entered_them_as_ended(
    world: World, commits: GroupCommit
) -> None:
    async def test() -> None:
        lease = world.make_lease(commits)
        tasks = await seen_to(lease)
        world.writable = False
        for _ in range(60):
            world.seconds += 5
            await until(lambda: lease._certain_at == world.seconds)
        assert not runs(lease)
        assert not world.ended
        world.writable = True
        await until(lambda: runs(lease))
        assert not world.ended
        for task in tasks:
            task.cancel()

    asyncio.run(test())


def test_a_worker_that_only_sees_that_it_was_taken_for_dead_ends_what_is_entered_as_ended(
    world: World, commits: GroupCommit
) -> None:
    async def test() -> None:
        lease = world.make_lease(commits)
        tasks = await seen_to(lease)
        world.carry("tun-1", "tun-2")
        world.writable = False
        world.seconds += 12
        world.bury()
        await until(lambda: world.ended)
        assert world.ended == [{"tun-1"}]
        assert not runs(lease)
        world.writable = True
        await until(lambda: runs(lease))
        assert world.entered
        assert world.ended == [{"tun-1"}]
        for task in tasks:
            task.cancel()

    asyncio.run(test())


def test_a_worker_that_renews_its_lease_after_it_was_taken_for_dead_ends_what_is_entered_as_ended(
    world: World, commits: GroupCommit
) -> None:
    async def test() -> None:
        lease = world.make_lease(commits)
        await lease.renew()
        world.carry("tun-1", "tun-2")
        world.bury()
        await lease.renew()
        assert world.ended == [{"tun-1"}]
        assert world.entered
        assert runs(lease)
        await lease.renew()
        assert len(world.ended) == 1

    asyncio.run(test())


def test_a_worker_that_hears_nothing_of_the_store_ends_its_tunnels_before_others_may_enter_them(
    world: World, commits: GroupCommit
) -> None:
    assert (LEASE + GRACE).total_seconds() > LONGEST_UNCERTAINTY

    async def test() -> None:
        lease = world.make_lease(commits)
        tasks = await seen_to(lease)
        world.writable = world.readable = False
        await asyncio.sleep(0.1)
        world.seconds += LONGEST_UNCERTAINTY - 1
        await asyncio.sleep(0.1)
        assert not world.ended
        world.seconds += 1
        await until(lambda: world.ended)
        assert world.ended[0] is None
        for task in tasks:
            task.cancel()

    asyncio.run(test())


def test_a_worker_that_ends_leaves_its_row_to_the_tunnels_that_it_could_not_enter_as_ended(
    world: World, commits: GroupCommit
) -> None:
    async def test() -> None:
        lease = world.make_lease(commits)
        await lease.renew()
        world.carry("tun-1")
        await lease.give_up()
        with world.account.store.read() as tx:
            (worker,) = tx.gateway_workers.find()
        assert worker.lease_until == NOW + timedelta(seconds=world.seconds)
        with world.account.store.write() as tx:
            tx.tunnels.delete("tun-1")
        await lease.give_up()
        assert not world.entered

    asyncio.run(test())


def test_a_worker_whose_store_was_restored_ends_what_that_does_not_have(
    world: World, commits: GroupCommit
) -> None:
    async def test() -> None:
        lease = world.make_lease(commits)
        await lease.renew()
        world.carry("tun-1", "tun-2")
        world.recorded = {"tun-2", "tun-3"}
        world.seconds += 61
        lease.store_restored()
        world.writable = False
        with pytest.raises(OSError, match="locked"):
            await lease.renew()
        assert not world.ended
        world.writable = True
        await lease.renew()
        assert world.ended == [{"tun-3"}]
        # Of one that had ended the control plane enters the end, as a lost worker's.
        assert world.tunnels == {"tun-1": "gw-1-restored", "tun-2": "gw-1"}
        await lease.renew()
        assert len(world.ended) == 1

    asyncio.run(test())


def test_a_tunnel_that_is_recorded_together_with_the_lease_is_not_ended_for_want_of_a_record(
    world: World, commits: GroupCommit
) -> None:
    async def test() -> None:
        lease = world.make_lease(commits)
        await lease.renew()
        world.carry("tun-1")
        world.recorded = {"tun-1", "tun-lost"}
        lease.store_restored()
        renewing = asyncio.create_task(lease.renew())
        await asyncio.sleep(0)
        # Committed just after the lease has looked, and known to be before the lease is.
        world.recorded.add("tun-2")
        await renewing
        assert world.ended == [{"tun-lost"}]

    asyncio.run(test())
