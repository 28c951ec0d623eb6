"""Those who fail to authenticate again and again, and floods: neither disturbs a tunnel that is open."""

import asyncio
import json
import multiprocessing
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
import uvloop
from tests.gateway.account import StoredAccount, allow, stored_account
from tests.gateway.harness import (
    LOOPBACK,
    PATIENCE,
    Says,
    WebSocket,
    echo,
    event_source,
    gateway_process,
    request,
    run,
    running_gateway,
    target,
    until,
)
from tests.gateway.workers import events, open_tunnel, worker

from hatchway.gateway.admission import Call, Refused
from hatchway.gateway.failures import MOST, FailureLimit
from hatchway.gateway.refusal import unauthenticated


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(limit: FailureLimit, address: str, times: int) -> None:
    for _ in range(times):
        limit.failed(address)


def test_a_source_is_not_heard_after_too_many_failures_until_the_window_ends(clock: Clock) -> None:
    limit = FailureLimit(clock, most=3, window=60)
    fail(limit, "192.0.2.1", 2)
    assert not limit.reached("192.0.2.1")
    clock.now += 59
    fail(limit, "192.0.2.1", 1)
    assert limit.reached("192.0.2.1")
    assert not limit.reached("192.0.2.2")
    clock.now += 1
    assert not limit.reached("192.0.2.1")
    fail(limit, "192.0.2.1", 2)
    assert not limit.reached("192.0.2.1")


def test_the_addresses_of_one_ipv6_site_are_one_source(clock: Clock) -> None:
    limit = FailureLimit(clock, most=2)
    fail(limit, "2001:db8:0:1::1", 1)
    fail(limit, "2001:db8:0:1:ffff::2", 1)
    assert limit.reached("2001:db8:0:1::3")
    assert not limit.reached("2001:db8:0:2::1")


def test_only_so_many_sources_are_remembered(clock: Clock) -> None:
    limit = FailureLimit(clock, most=1, sources=100)
    for number in range(1000):
        clock.now += 0.001
        fail(limit, f"10.0.{number // 256}.{number % 256}", 1)
    assert len(limit) == 100
    assert limit.reached("10.0.3.231")
    assert not limit.reached("10.0.0.1")


async def answer(port: int) -> bytes:
    client = await WebSocket.connect(port)
    client.writer.write(request())
    whole = await client.reader.read()
    client.vanish()
    return whole


def test_after_too_many_failures_nothing_is_examined_and_open_tunnels_go_on() -> None:
    refused = Refused(
        refusal=unauthenticated("SignatureDoesNotMatch", "no"),
        call=Call(source=event_source(), request=None, resources=()),
        authenticated=False,
    )

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            gateway.says.refused = refused
            for _ in range(MOST):
                assert (await answer(gateway.port)).startswith(b"HTTP/1.1 403 ")
            examined = len(gateway.says.heads)
            told = await answer(gateway.port)
            assert told.startswith(b"HTTP/1.1 429 ")
            assert json.loads(told.partition(b"\r\n\r\n")[2])["ErrorCode"] == "ThrottlingException"
            assert len(gateway.says.heads) == examined
            assert len(gateway.trail.refusals) == MOST
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"

    run(test)


def test_denied_requests_are_no_failures_to_authenticate() -> None:
    refused = Refused(
        refusal=unauthenticated("AccessDeniedException", "no"),
        call=Call(source=event_source(), request=None, resources=()),
    )

    async def test() -> None:
        async with running_gateway(Says(9, refused=refused)) as gateway:
            for _ in range(MOST + 5):
                assert (await answer(gateway.port)).startswith(b"HTTP/1.1 403 ")

    run(test)


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


def test_bad_signatures_are_throttled_and_recorded_so_far(account: StoredAccount, tmp_path: Path) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, port)
                forged = request(account.target("alice")[:-1] + "x")
                statuses = []
                for _ in range(MOST + 5):
                    guess = await WebSocket.connect(gateway.port)
                    guess.writer.write(forged)
                    statuses.append((await guess.reader.readline())[9:12])
                    guess.vanish()
                assert statuses == [b"403"] * MOST + [b"429"] * 5
                refusals = [event for event in events(account, "OpenTunnel") if event.get("errorCode")]
                assert len(refusals) == MOST
                await client.send(b"hello")
                assert await client.receive(5) == b"hello"

    run(test)


async def connection(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (LOOPBACK, port))
    return sock


async def half_open_tls(port: int) -> None:
    """Connect, begin a TLS handshake, and say no more."""
    loop = asyncio.get_running_loop()
    sock = await connection(port)
    with sock:
        # The beginning of a ClientHello of 508 bytes.
        await loop.sock_sendall(sock, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        await loop.sock_recv(sock, 1)


async def slow_loris(port: int) -> None:
    """A request that comes byte by byte."""
    client = await WebSocket.connect(port)
    for byte in request():
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0.5)


Attack = Callable[[int], Awaitable[None]]
FLOOD = 200
SPAWNING = multiprocessing.get_context("spawn")


def attack_without_end(attack: Attack, port: int, started: Event) -> None:
    """Keep up so many connections, each opened again when it is hung up on.

    What the attackers themselves cost must not count against the gateway: they stand back for it.
    """
    os.nice(19)

    async def attacker() -> None:
        while True:
            try:
                await attack(port)
            except OSError:
                await asyncio.sleep(0.1)

    async def attackers() -> None:
        asyncio.get_running_loop().call_later(2, started.set)
        await asyncio.gather(*(attacker() for _ in range(FLOOD)))

    uvloop.run(attackers())


@contextmanager
def flood(attack: Attack, port: int) -> Iterator[None]:
    started = SPAWNING.Event()
    process = SPAWNING.Process(target=attack_without_end, args=(attack, port, started), daemon=True)
    process.start()
    try:
        assert started.wait(PATIENCE)
        yield
    finally:
        process.kill()
        process.join()


def cpu_seconds(pid: int) -> float:
    """What the main thread of a process, its event loop, has used (proc(5), schedstat)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def cost_of_carrying(client: WebSocket, gateway: int) -> float:
    """CPU seconds of the gateway for 24 MB, there and back."""
    block = bytes(60_000)
    began = cpu_seconds(gateway)
    for _ in range(400):
        await client.send(block)
        await client.receive(len(block))
    return cpu_seconds(gateway) - began


@pytest.mark.parametrize("attack", [half_open_tls, slow_loris])
def test_a_flood_of_connections_that_ask_for_nothing_leaves_a_tunnel_its_throughput(attack: Attack) -> None:
    async def test() -> None:
        async with target(echo) as target_port:
            with gateway_process(target_port) as (port, pid):
                client = await WebSocket.open(port)
                await cost_of_carrying(client, pid)
                before = await cost_of_carrying(client, pid)
                with flood(attack, port):
                    # CPU, for others use the same cores; what the gateway spends on the flood is in it.
                    during = await cost_of_carrying(client, pid)
                assert during < 3 * before, f"{during / before:.2f} times as much"

    run(test)


def test_a_connection_that_stays_half_open_is_hung_up_on_and_counted_no_more() -> None:
    async def test() -> None:
        async with running_gateway(Says(9), request_deadline=0.3, max_pending=5) as gateway:
            silent = [await connection(gateway.port) for _ in range(5)]
            await until(lambda: gateway.listener.pending == 5)
            # One more is turned away at once, and none of the five has been.
            with pytest.raises(OSError):
                await WebSocket.connect(gateway.port)
            await until(lambda: not gateway.listener.pending)
            for sock in silent:
                sock.close()
            assert (await answer(gateway.port)).startswith(b"HTTP/1.1 101 ")

    run(test)
