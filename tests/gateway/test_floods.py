"""Floods: what they cost is bounded, open tunnels go on, and who means well gets in."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from math import inf
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs
from tests.forks import FORKS
from tests.gateway.harness import Running, Says, echo, event_source, gateway_process, running_gateway, target
from tests.gateway.telemetry.test_metrics import samples, watched
from tests.transport.harness import LOOPBACK, TIMEOUT, WebSocket, client_tls, request, run, server_tls, until

from hatchway.gateway.admission.decision import Call, Refused
from hatchway.gateway.admission.refusal import unauthenticated
from hatchway.transport.listening.listener import MAX_ACCEPTS
from hatchway.transport.listening.sources import MAY_WASTE, Sources

ATTACKER, NEWCOMER = "127.6.6.6", "127.0.0.9"
UNAUTHENTICATED = Refused(
    refusal=unauthenticated("SignatureDoesNotMatch", "no"),
    call=Call(source=event_source(), request=None, resources=()),
    authenticated=False,
)


class Handshakes:
    """Counts the TLS handshakes that the gateway begins."""

    def __init__(self) -> None:
        self.begun = 0

    def __call__(self) -> ssl.SSLContext:
        self.begun += 1
        return server_tls()


def frozen() -> float:
    """A clock that stands still: nothing grows again."""
    return 100.0


def connection(port: int, source: str = LOOPBACK) -> socket.socket:
    """The kernel makes it, whether the gateway will have it or not."""
    sock = socket.create_connection((LOOPBACK, port), source_address=(source, 0))
    sock.setblocking(False)
    return sock


async def connect(port: int, source: str) -> WebSocket:
    """Connect from this address, TLS included."""
    return WebSocket(
        *await asyncio.open_connection(
            LOOPBACK, port, ssl=client_tls(), local_addr=(source, 0), limit=1 << 20
        )
    )


async def opens(port: int, source: str) -> bool:
    """Whether a tunnel can be opened from this address; it is closed again."""
    try:
        client = await connect(port, source)
    except OSError:
        return False
    client.writer.write(request())
    answer = await client.reader.readuntil(b"\r\n\r\n")
    client.vanish()
    return answer.startswith(b"HTTP/1.1 101 ")


async def status(port: int, source: str) -> str:
    """The status of the answer to a request from this address; `reset` when there is no answer."""
    try:
        client = await connect(port, source)
        client.writer.write(request())
        line = await client.reader.readline()
    except OSError:
        return "reset"
    client.vanish()
    return line[9:12].decode()


async def was_reset(sock: socket.socket) -> bool:
    """Whether the gateway resets this connection; False when it answers."""
    try:
        return not await asyncio.get_running_loop().sock_recv(sock, 1)
    except ConnectionError:
        return True


def client_hello() -> bytes:
    """A whole one, good for a handshake that goes no further."""
    outgoing = ssl.MemoryBIO()
    tls = client_tls().wrap_bio(ssl.MemoryBIO(), outgoing)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def half_open(port: int, source: str) -> socket.socket:
    """Have the gateway make its half of a TLS handshake, if it will."""
    sock = connection(port, source)
    sock.sendall(client_hello())
    return sock


@asynccontextmanager
async def flooded(sources: Sources, **limits: Any) -> AsyncIterator[tuple[Running, Handshakes]]:
    """A gateway that gives hundreds who come at once the time that all of them take on a busy machine."""
    handshakes = Handshakes()
    limits = {"request_deadline": TIMEOUT, **limits}
    async with (
        target(echo) as port,
        running_gateway(Says(port), sources=sources, tls=handshakes, **limits) as gateway,
    ):
        yield gateway, handshakes


def test_a_flood_of_half_open_tls_from_one_source_costs_so_many_handshakes_and_no_more() -> None:
    async def test() -> None:
        async with flooded(Sources(frozen, may_waste=5)) as (gateway, handshakes):
            flood = [half_open(gateway.port, ATTACKER) for _ in range(60)]
            served = [sock for sock in flood if not await was_reset(sock)]
            assert len(served) == handshakes.begun == 5
            assert gateway.listener.shed["source_wastes"] == 55
            assert await opens(gateway.port, NEWCOMER)
            for sock in flood:
                sock.close()
            assert await status(gateway.port, ATTACKER) == "reset"
            assert handshakes.begun == 6

    run(test)


def test_a_flood_of_bad_signatures_from_one_source_is_turned_away_before_tls() -> None:
    async def test() -> None:
        async with flooded(Sources(frozen, may_waste=30)) as (gateway, handshakes):
            tunnel = await WebSocket.open(gateway.port)
            gateway.says.refused = UNAUTHENTICATED
            told = [await status(gateway.port, ATTACKER) for _ in range(60)]
            assert told == ["403"] * 20 + ["429"] * 10 + ["reset"] * 30
            assert handshakes.begun == 1 + 30
            await tunnel.send(b"hello")
            assert await tunnel.receive(5) == b"hello"
            gateway.says.refused = None
            assert await opens(gateway.port, NEWCOMER)

    run(test)


def test_a_source_that_was_turned_away_is_served_as_soon_as_it_may_waste_something_again() -> None:
    now = frozen()

    async def test() -> None:
        nonlocal now
        async with flooded(Sources(lambda: now, may_waste=3, may_waste_rate=2)) as (gateway, _):
            for sock in [half_open(gateway.port, ATTACKER) for _ in range(10)]:
                sock.close()
            assert not await opens(gateway.port, ATTACKER)
            now += 0.5
            # It costs nothing, so all who mean well come after each other.
            assert [await opens(gateway.port, ATTACKER) for _ in range(20)] == [True] * 20

    run(test)


def test_hundreds_of_tunnels_opened_at_once_from_one_address_all_succeed() -> None:
    async def test() -> None:
        async with flooded(Sources(frozen)) as (gateway, handshakes):
            many = MAY_WASTE - 6
            assert all(await asyncio.gather(*(opens(gateway.port, NEWCOMER) for _ in range(many))))
            assert handshakes.begun == many
            assert not any(gateway.listener.shed.values())
            await until(lambda: not gateway.listener.pending)

    run(test)


def test_a_newcomer_has_his_turn_among_many_sources_of_a_network_that_flood() -> None:
    now = frozen()

    async def test() -> None:
        nonlocal now
        sources = Sources(lambda: now, all_may_waste=10, all_may_waste_rate=1)
        async with flooded(sources) as (gateway, handshakes):
            attackers = [f"127.6.0.{number}" for number in range(1, 11)]
            flood = [half_open(gateway.port, source) for _ in range(10) for source in attackers]
            await until(lambda: gateway.listener.pending == 100)
            assert handshakes.begun == 10
            newcomer = asyncio.create_task(opens(gateway.port, NEWCOMER))
            await until(lambda: gateway.listener.pending == 101)
            # He waits for one of their network, not for the ninety who came before.
            for turn in (1, 2):
                assert not newcomer.done()
                now += 1
                await until(lambda: handshakes.begun == 10 + turn)  # noqa: B023 - awaited at once
            assert await newcomer
            for sock in flood:
                sock.close()

    run(test)


def test_an_address_from_which_a_tunnel_was_opened_never_waits_for_newcomers() -> None:
    async def test() -> None:
        async with flooded(Sources(frozen, all_may_waste=3)) as (gateway, handshakes):
            assert await opens(gateway.port, NEWCOMER)
            flood = [half_open(gateway.port, f"127.6.0.{number}") for number in range(1, 51)]
            await until(lambda: gateway.listener.pending == len(flood))
            assert handshakes.begun == 1 + 3
            assert [await opens(gateway.port, NEWCOMER) for _ in range(5)] == [True] * 5
            for sock in flood:
                sock.close()

    run(test)


@pytest.mark.parametrize("all_may_waste", [3, 1000], ids=["waiting", "begun"])
def test_strangers_have_not_all_the_room_that_there_is(all_may_waste: int) -> None:
    async def test() -> None:
        sources = Sources(frozen, all_may_waste=all_may_waste)
        async with flooded(sources, max_pending=40) as (gateway, _):
            assert await opens(gateway.port, NEWCOMER)
            flood = [half_open(gateway.port, f"127.6.0.{number}") for number in range(1, 101)]
            await until(lambda: sum(gateway.listener.shed.values()) == 70)
            assert gateway.listener.pending == 30
            assert [await opens(gateway.port, NEWCOMER) for _ in range(5)] == [True] * 5
            for sock in flood:
                sock.close()

    run(test)


def test_who_waited_too_long_for_his_turn_is_turned_away() -> None:
    now = frozen()

    async def test() -> None:
        nonlocal now
        sources = Sources(lambda: now, all_may_waste=1)
        async with flooded(sources, queue_timeout=0.05) as (gateway, handshakes):
            flood = [half_open(gateway.port, ATTACKER) for _ in range(3)]
            await until(lambda: gateway.listener.pending == 3)
            await asyncio.sleep(0.1)
            now += 1
            assert [await was_reset(sock) for sock in flood] == [False, True, True]
            assert handshakes.begun == 1
            assert gateway.listener.shed["no_turn"] == 2
            for sock in flood:
                sock.close()

    run(test)


def test_a_silent_connection_holds_what_its_source_may_waste_and_is_hung_up_on_in_time() -> None:
    async def test() -> None:
        async with flooded(Sources(frozen, may_waste=5), request_deadline=0.5) as (gateway, handshakes):
            silent = [connection(gateway.port, ATTACKER) for _ in range(10)]
            await until(lambda: handshakes.begun == 5)
            await until(lambda: not gateway.listener.pending)
            assert gateway.listener.shed["source_wastes"] == 5
            for sock in silent:
                sock.close()
            # However long a busy machine takes to open a tunnel.
            gateway.listener._request_deadline = TIMEOUT
            assert await opens(gateway.port, NEWCOMER)

    run(test)


def test_a_connection_that_stays_half_open_is_hung_up_on_and_counted_no_more() -> None:
    async def test() -> None:
        # However long a busy machine takes, none of the three has been hung up on when one more comes.
        async with running_gateway(Says(9), request_deadline=TIMEOUT, max_pending=3) as gateway:
            silent = [connection(gateway.port) for _ in range(3)]
            await until(lambda: gateway.listener.pending == 3)
            with pytest.raises(OSError):
                await WebSocket.connect(gateway.port)
            for sock in silent:
                sock.close()
            await until(lambda: not gateway.listener.pending)
            gateway.listener._request_deadline = 0.1
            silent = [connection(gateway.port) for _ in range(3)]
            assert [await was_reset(sock) for sock in silent] == [True] * 3
            await until(lambda: not gateway.listener.pending)
            for sock in silent:
                sock.close()
            gateway.listener._request_deadline = TIMEOUT
            assert await opens(gateway.port, LOOPBACK)

    run(test)


def test_connections_turned_away_are_metrics_by_reason() -> None:
    async def test() -> None:
        async with flooded(Sources(frozen, may_waste=2), max_pending=3) as (gateway, _):
            held = [half_open(gateway.port, ATTACKER) for _ in range(4)]
            held += [half_open(gateway.port, source) for source in ("127.6.0.1", "127.6.0.2")]
            await until(lambda: sum(gateway.listener.shed.values()) == 3)
            now = samples(watched(gateway))
            assert now["hatchway_connections_turned_away_total:source_wastes"] == 2
            assert now["hatchway_connections_turned_away_total:too_many_pending"] == 1
            assert now["hatchway_connections_turned_away_total:no_turn"] == 0
            for sock in held:
                sock.close()

    run(test)


BALANCER = "127.0.0.5"


def passed_on(port: int, header: bytes) -> socket.socket:
    """What a load balancer passes on: a header, then the client's half of a TLS handshake."""
    sock = connection(port, BALANCER)
    sock.sendall(header + client_hello())
    return sock


def test_a_connection_passed_on_is_judged_by_the_address_that_the_load_balancer_names() -> None:
    async def test() -> None:
        proxies = {"proxies": (f"{BALANCER}/32",)}
        async with flooded(Sources(frozen, may_waste=5), **proxies) as (gateway, handshakes):
            attacker, newcomer = (
                b"PROXY TCP4 %b 10.0.0.1 4711 443\r\n" % address for address in (b"192.0.2.66", b"192.0.2.7")
            )
            flood = [passed_on(gateway.port, attacker) for _ in range(20)]
            assert sum([not await was_reset(sock) for sock in flood]) == handshakes.begun == 5
            assert gateway.listener.shed["source_wastes"] == 15
            served = passed_on(gateway.port, newcomer)
            assert not await was_reset(served)
            for sock in (*flood, served):
                sock.close()

    run(test)


def test_a_load_balancer_checks_the_gateway_as_often_as_it_likes() -> None:
    async def test() -> None:
        proxies = {"proxies": (f"{BALANCER}/32",)}
        sources = Sources(frozen, may_waste=2, all_may_waste=2)
        async with flooded(sources, **proxies) as (gateway, _):
            checks = [passed_on(gateway.port, b"PROXY UNKNOWN\r\n") for _ in range(20)]
            assert not any([await was_reset(sock) for sock in checks])
            for sock in checks:
                sock.close()
            assert await opens(gateway.port, NEWCOMER)

    run(test)


class Scarce(socket.socket):
    """A listening socket of a process that, at first, may have no more file descriptors."""

    attempts = 0

    def accept(self) -> tuple[socket.socket, Any]:
        self.attempts += 1
        if self.attempts <= 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_a_gateway_without_file_descriptors_tries_again_soon_but_not_all_the_time() -> None:
    async def test() -> None:
        sock = Scarce()
        sock.bind((LOOPBACK, 0))
        async with target(echo) as port, running_gateway(Says(port), sock=sock) as gateway:
            assert await opens(gateway.port, NEWCOMER)
            assert sock.attempts <= 6

    with capture_logs() as logged:
        run(test)
    # The log is not filled with it.
    assert [line["event"] for line in logged].count("no connection can be accepted") == 1


def test_many_are_accepted_in_portions() -> None:
    class Counting(socket.socket):
        accepted = 0

        def accept(self) -> tuple[socket.socket, Any]:
            self.accepted += 1
            return super().accept()

    async def test() -> None:
        sock = Counting()
        sock.bind((LOOPBACK, 0))
        async with running_gateway(Says(9), sock=sock) as gateway:
            # All are there before the gateway's loop turns again.
            held = [socket.create_connection((LOOPBACK, gateway.port)) for _ in range(3 * MAX_ACCEPTS)]
            turns = []
            while gateway.listener.pending < len(held):
                before = sock.accepted
                await asyncio.sleep(0)
                turns.append(sock.accepted - before)
            # How many, time tells as well.
            assert 0 < max(turns) <= MAX_ACCEPTS
            assert len(turns) >= 3
            for each in held:
                each.close()

    run(test)


async def half_open_tls(port: int) -> None:
    """Connect, begin a TLS handshake, and say no more."""
    loop = asyncio.get_running_loop()
    sock = connection(port)
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
    started = FORKS.Event()
    process = FORKS.Process(target=attack_without_end, args=(attack, port, started), daemon=True)
    process.start()
    try:
        assert started.wait(TIMEOUT)
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
                before, during = await cost_of_carrying(client, pid), inf
                with flood(attack, port):
                    # The longer a busy machine takes, the more of the flood counts: the least of three does.
                    for _ in range(3):
                        # CPU, for others use the same cores; what the gateway spends on the flood is in it.
                        during = min(during, await cost_of_carrying(client, pid))
                        if during < 3 * before:
                            break
                assert during < 3 * before, f"{during / before:.2f} times as much"

    run(test)
