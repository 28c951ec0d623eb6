"""A gateway that runs on while its store is restored enforces what was restored."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.gateway.account import StoredAccount, allow, put_policy, stored_account
from tests.gateway.harness import echo, target
from tests.gateway.workers import Worker, echoes, open_tunnel, worker
from tests.transport.harness import WebSocket, run

from hatchway.store import copy_store


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


async def opened(gateway: Worker, account: StoredAccount, port: int, user: str) -> WebSocket:
    """A tunnel, once the gateway knows that the user may open one."""
    while True:
        with suppress(AssertionError):
            return await open_tunnel(gateway, account, port, user=user)


def put_back(copy: Path, path: Path) -> None:
    for name in ("-wal", "-shm"):
        Path(f"{path}{name}").unlink()
    copy.replace(path)


def test_a_right_that_is_no_more_ends_its_tunnels_and_one_that_is_again_opens_them(
    account: StoredAccount, tmp_path: Path
) -> None:
    path = Path(str(account.store.engine.url.database))

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                kept = await open_tunnel(gateway, account, port)
                assert await echoes(kept)
                copy_store(account.store, tmp_path / "copy.db")
                account.user("bob", allow())
                lost = await opened(gateway, account, port, "bob")
                assert await echoes(lost)
                with account.store.write() as tx:
                    put_policy(tx, "alice", allow({"NumericEquals": {"ec2-instance-connect:remotePort": 1}}))
                _, closed = await kept.rest()
                assert closed.code == 4003

                put_back(tmp_path / "copy.db", path)
                _, closed = await lost.rest()
                assert closed.code == 4003

                assert await echoes(await opened(gateway, account, port, "alice"))
                with account.store.read() as tx:
                    assert [user.name for user in tx.users.find()] == ["alice"]

    run(test)
