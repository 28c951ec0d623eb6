"""A whole worker, as a process, with a store: tunnels signed for, recorded, drained, and killed."""

import asyncio
import base64
import http.client
import json
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.e2e.waiting import free_port
from tests.gateway.account import ELSEWHERE, GATEWAY_KEY, StoredAccount, allow, stored_account
from tests.gateway.harness import echo, target
from tests.gateway.workers import answer_to, echoes, events, open_tunnel, serve, worker
from tests.transport.harness import LOOPBACK, WebSocket, certificate, client_tls, request, run, until

from hatchway.domain.identity import KeyStatus
from hatchway.domain.machine import KeyState
from hatchway.failures import failure_of
from hatchway.gateway import run_gateway
from hatchway.gateway.tunnel.liveness import LivenessCheck
from hatchway.gateway.worker import startup_checks
from hatchway.keys.key_files import KeyProblem
from hatchway.keys.machines import GATEWAY
from hatchway.keys.vault import Vault
from hatchway.settings import Address, Cipher, DataDirectory, Settings
from hatchway.transport.core.loading import CoreProblem


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


def test_a_tunnel_is_recorded_before_its_first_byte_and_when_it_ends(
    account: StoredAccount, tmp_path: Path
) -> None:
    async def test() -> None:
        recorded: list[int] = []

        async def count_and_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            recorded.append(len(events(account, "OpenTunnel")))
            await echo(reader, writer)

        async with target(count_and_echo) as port:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert b"x-amzn-requestid" in client.answer
                assert await echoes(client)
                assert recorded == [1]
                with account.store.read() as tx:
                    (tunnel,) = tx.tunnels.find()
                assert tunnel.principal_arn.endswith("user/alice")
                await client.close()
                await client.rest()
                await until(lambda: events(account, "CloseTunnel"))
                (closed,) = events(account, "CloseTunnel")
                assert closed["additionalEventData"]["bytesIn"] == 5
                with account.store.read() as tx:
                    assert not tx.tunnels.find()

    run(test)


def settings_with_another_key(store_url: str, directory: Path) -> Settings:
    pem, key = directory / "server.pem", directory / "gateway.key"
    pem.write_bytes(certificate())
    key.touch(mode=0o600)
    key.write_bytes(base64.b64encode(bytes(32)))
    return Settings(
        data_directory=DataDirectory(directory),
        store_url=store_url,
        gateway=Address(LOOPBACK, 0),
        api_certificate=pem,
        api_key=pem,
        gateway_certificate=pem,
        gateway_tls_key=pem,
    )


def test_a_gateway_with_a_key_that_opens_no_signing_key_does_not_start(
    account: StoredAccount, tmp_path: Path
) -> None:
    settings = settings_with_another_key(account.url, tmp_path)
    with pytest.raises(KeyProblem, match=r"is not the one of this store.*hatchway join --again"):
        run_gateway(settings, lambda address: pytest.fail(f"it listens at {address}"))


def test_a_gateway_does_not_start_on_anothers_store_that_has_no_signing_key_yet(tmp_path: Path) -> None:
    with stored_account() as another:
        with another.store.write() as tx:
            tx.key_states.put(KeyState(kind=GATEWAY, key_ids=GATEWAY_KEY.key_ids))
        settings = settings_with_another_key(another.url, tmp_path)
        with pytest.raises(KeyProblem, match=r"HATCHWAY_STORE_URL or store\.url leads to the right store"):
            run_gateway(settings, lambda address: pytest.fail(f"it listens at {address}"))


def with_a_core_that_is_of_no_use() -> Any:
    return mock.patch.multiple(startup_checks, CORE=None, IS_BUILT=True, PROBLEM="run make core")


def serve_with_a_core_that_is_of_no_use(
    settings: Settings, environment: dict[str, str], ready: Connection
) -> None:
    with (
        (settings.data_directory.path / "log").open("w", buffering=1) as told,
        redirect_stdout(told),
        with_a_core_that_is_of_no_use(),
    ):
        serve(settings, environment, ready)


@pytest.mark.parametrize("wanted", [None, False])
def test_where_the_compiled_core_cannot_be_used_python_carries_and_a_line_says_so_unless_that_is_wanted(
    account: StoredAccount, tmp_path: Path, wanted: bool | None
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            serves = serve_with_a_core_that_is_of_no_use
            with worker(account, tmp_path, serve=serves, compiled_core=wanted) as gateway:
                assert await echoes(await open_tunnel(gateway, account, port))
        said = [line for line in (tmp_path / "log").read_text().splitlines() if "core" in line]
        assert len(said) == (1 if wanted is None else 0)
        assert all("run make core" in line for line in said)

    run(test)


def test_a_gateway_for_which_the_compiled_core_is_asked_for_does_not_start_without_it(
    account: StoredAccount, tmp_path: Path
) -> None:
    settings = replace(settings_with_another_key(account.url, tmp_path), compiled_core=True)
    with (
        with_a_core_that_is_of_no_use(),
        pytest.raises(CoreProblem, match=r"--compiled-core on.*run make core") as problem,
    ):
        run_gateway(settings, lambda address: pytest.fail(f"it listens at {address}"))
    failure = failure_of(problem.value)
    assert failure is not None
    assert str(failure) == str(problem.value)


@pytest.mark.parametrize(
    ("prefers", "suite"),
    [(Cipher.AES_128, "ECDHE-ECDSA-AES128-GCM-SHA256"), (Cipher.AES_256, "ECDHE-ECDSA-AES256-GCM-SHA384")],
)
def test_a_gateway_chooses_the_cipher_that_it_is_told_to_prefer(
    account: StoredAccount, tmp_path: Path, prefers: Cipher, suite: str
) -> None:
    older = client_tls.__wrapped__()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        worker(account, tmp_path, tls_prefer=prefers) as gateway,
        socket.create_connection((LOOPBACK, gateway.port)) as sock,
        older.wrap_socket(sock) as client,
    ):
        cipher = client.cipher()
    assert cipher is not None
    assert cipher[0] == suite


def test_a_gateway_that_is_a_step_behind_in_a_rotation_starts(account: StoredAccount, tmp_path: Path) -> None:
    next_key = Vault(bytes(32)).key_id
    with account.store.write() as tx:
        key_ids = (next_key, GATEWAY_KEY.key_id)
        tx.key_states.put(KeyState(kind=GATEWAY, key_ids=key_ids, other="former"))
    with worker(account, tmp_path) as gateway:
        assert gateway.port


def test_a_refused_tunnel_is_recorded_and_told_in_json(account: StoredAccount, tmp_path: Path) -> None:
    account.user("bob", ELSEWHERE)

    async def test() -> None:
        with worker(account, tmp_path) as gateway:
            client = await WebSocket.connect(gateway.port)
            client.writer.write(request(account.target("bob")))
            answer = await client.reader.read()
            assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert body["ErrorCode"] == "AccessDeniedException"
            assert "user/bob is not authorized" in body["Message"]
            (event,) = events(account, "OpenTunnel")
            assert event["errorCode"] == "AccessDeniedException"
            assert event["errorMessage"] == body["Message"]
            assert event["sourceIPAddress"] == LOOPBACK

    run(test)


def test_a_change_in_the_store_counts_without_a_restart(account: StoredAccount, tmp_path: Path) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                with account.store.write() as tx:
                    tx.access_keys.put(replace(account.keys["alice"].key, status=KeyStatus.INACTIVE))
                # No longer than `run` lets it.
                while await answer_to(gateway, account, port) != b"HTTP/1.1 403 Forbidden":
                    pass

    run(test)


def says_ready(metrics: Address) -> int:
    """The status of the answer to whether it would open a tunnel."""
    return told(metrics, "GET", "/readyz")


def told(metrics: Address, method: str, path: str = "/drain") -> int:
    asking = http.client.HTTPConnection(metrics.host, metrics.port, timeout=30)
    try:
        asking.request(method, path)
        return asking.getresponse().status
    finally:
        asking.close()


def test_a_worker_asked_to_drain_says_so_first_then_refuses_and_takes_tunnels_again_when_asked_to(
    account: StoredAccount, tmp_path: Path
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            metrics = Address(LOOPBACK, free_port())
            with worker(account, tmp_path, metrics=metrics, drain_notice=1.0) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await asyncio.to_thread(told, metrics, "POST") == 200
                assert await asyncio.to_thread(says_ready, metrics) == 503
                openings = [await answer_to(gateway, account, port)]
                while not openings[-1].startswith(b"HTTP/1.1 503"):
                    # So many at once as its user may have are not to be there.
                    await asyncio.sleep(0.1)
                    openings.append(await answer_to(gateway, account, port))
                assert {answer[:12] for answer in openings[:-1]} == {b"HTTP/1.1 101"}
                assert await echoes(client, b"goes on")
                assert await asyncio.to_thread(told, metrics, "DELETE") == 200
                assert await asyncio.to_thread(says_ready, metrics) == 200
                assert (await answer_to(gateway, account, port)).startswith(b"HTTP/1.1 101")

    run(test)


def test_a_worker_told_to_stop_lets_tunnels_finish_and_takes_no_new_ones(
    account: StoredAccount, tmp_path: Path
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            metrics = Address(LOOPBACK, free_port())
            with worker(account, tmp_path, drain_seconds=30, metrics=metrics) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                assert await asyncio.to_thread(says_ready, metrics) == 200
                gateway.signal(signal.SIGTERM)

                # It has yet to get the signal.
                answer = await answer_to(gateway, account, port)
                while answer.startswith(b"HTTP/1.1 101"):
                    # So many at once as its user may have are not to be there.
                    await asyncio.sleep(0.1)
                    answer = await answer_to(gateway, account, port)
                assert answer == b"HTTP/1.1 503 Service Unavailable"
                assert await asyncio.to_thread(says_ready, metrics) == 503
                assert await echoes(client, b"still works")
                await client.close()
                assert await gateway.ended() == 0
                with account.store.read() as tx:
                    assert not tx.tunnels.find()
                    assert not tx.gateway_workers.find()

    run(test)


def test_tunnels_that_outlast_the_drain_end_with_1001(account: StoredAccount, tmp_path: Path) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path, drain_seconds=0.2) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                gateway.signal(signal.SIGTERM)
                _, closed = await client.rest()
                assert (closed.code, closed.reason) == (1001, "Gateway is shutting down")
                assert await gateway.ended() == 0
                (event,) = events(account, "CloseTunnel")
                assert event["additionalEventData"]["closeCode"] == 1001

    run(test)


async def _fails(self: LivenessCheck) -> None:
    while not list(self._tunnels):  # noqa: ASYNC110 - nobody tells of tunnels
        await asyncio.sleep(0.05)
    raise RuntimeError("no more looks at tunnels")


def serve_until_a_part_fails(settings: Settings, environment: dict[str, str], ready: Connection) -> None:
    with mock.patch.object(LivenessCheck, "run", _fails):
        serve(settings, environment, ready)


def test_a_worker_of_which_a_part_fails_closes_its_tunnels_and_ends(
    account: StoredAccount, tmp_path: Path
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path, serve=serve_until_a_part_fails, drain_seconds=600.0) as gateway:
                client = await open_tunnel(gateway, account, port)
                _, closed = await client.rest()
                assert closed.code == 1001
                assert await gateway.ended() == 1
                await until(lambda: events(account, "CloseTunnel"))

    run(test)


def test_an_end_that_the_store_does_not_take_yet_is_entered_within_the_drain(
    account: StoredAccount, tmp_path: Path
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(impatient(account), tmp_path, drain_seconds=30) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                with account.store.record():
                    await client.close()
                    await client.hung_up()
                    # Longer than the gateway waits for the lock.
                    await asyncio.sleep(0.5)
                    gateway.signal(signal.SIGTERM)
                    await asyncio.sleep(0.5)
                assert await gateway.ended() == 0
                (event,) = events(account, "CloseTunnel")
                assert event["additionalEventData"]["closeCode"] == 1000
                with account.store.read() as tx:
                    assert not tx.tunnels.find()
                    assert not tx.gateway_workers.find()

    run(test)


def test_an_end_that_the_store_does_not_take_at_all_is_left_to_the_control_plane(
    account: StoredAccount, tmp_path: Path
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(impatient(account), tmp_path, drain_seconds=0.1) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                with account.store.record():
                    await client.close()
                    await client.hung_up()
                    gateway.signal(signal.SIGTERM)
                    assert await gateway.ended() == 0
                with account.store.read() as tx:
                    (tunnel,) = tx.tunnels.find()
                    (left,) = tx.gateway_workers.find()
                assert tunnel.gateway_id == left.id

    run(test)


def impatient(account: StoredAccount) -> StoredAccount:
    """The same for a gateway that waits for the store's lock for a moment only."""
    return replace(account, url=f"{account.url}?timeout=0.1")


def test_a_killed_worker_leaves_a_record_of_every_tunnel_that_carried_a_byte(
    account: StoredAccount, tmp_path: Path
) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                carried = 0

                async def use() -> None:
                    nonlocal carried
                    client = await open_tunnel(gateway, account, port)
                    if await echoes(client):
                        carried += 1

                using = [asyncio.create_task(use()) for _ in range(15)]
                await asyncio.wait(using, return_when=asyncio.FIRST_COMPLETED)
                gateway.signal(signal.SIGKILL)
                await asyncio.gather(*using, return_exceptions=True)
                assert carried
                assert len(events(account, "OpenTunnel")) >= carried

    run(test)


def test_two_workers_share_a_port(account: StoredAccount, tmp_path: Path) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as first, worker(account, tmp_path, port=first.port):
                with account.store.read() as tx:
                    assert len(tx.gateway_workers.find()) == 2

                async def use() -> None:
                    client = await open_tunnel(first, account, port)
                    assert await echoes(client)
                    await client.close()

                # So many at once that both get some.
                for _ in range(3):
                    await asyncio.gather(*(use() for _ in range(5)))

    run(test)
