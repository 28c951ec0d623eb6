"""What a tunnel does at each end of its life: no target, no record, cut, drained, closed by either side."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from tests.gateway.harness import (
    Remembers,
    Running,
    Says,
    echo,
    event_source,
    running_gateway,
    target,
)
from tests.gateway.hostile_frames import Wire, update_keys
from tests.transport.harness import (
    CLOSE,
    LOOPBACK,
    TEXT,
    Closed,
    WebSocket,
    client_tls,
    frame,
    request,
    run,
    silent_port,
    until,
)

from hatchway.domain.tunnel_protocol import END_OF_DATA, HALF_CLOSE
from hatchway.gateway.admission.decision import Admitted, Call, Refused
from hatchway.gateway.admission.refusal import ENDPOINT_FULL, unauthenticated
from hatchway.gateway.trail.trail import QuotaReached
from hatchway.gateway.tunnel.closures import ACCESS_REVOKED, GATEWAY_STOPPING

ESTABLISHED = 1


def connection_state(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


@contextmanager
def refusal() -> Iterator[int]:
    """The port of a target that refuses. It is taken, so that nobody else can listen there."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        yield sock.getsockname()[1]


async def bye(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A target that says so and ends."""
    writer.write(b"bye")
    writer.close()


async def closed_by(gateway: Running) -> Closed:
    return (await (await WebSocket.open(gateway.port)).rest())[1]


def test_a_target_that_refuses_closes_with_the_words_of_aws() -> None:
    async def test() -> None:
        with refusal() as port:
            async with running_gateway(Says(port)) as gateway:
                client = await WebSocket.open(gateway.port)
                closed = (await client.rest())[1]
                assert (closed.code, closed.reason) == (1011, "Unable to connect to target")
                # The AWS CLI shows the reason and no header.
                assert f"x-amzn-requestid: {closed.request_id}\r\n" in client.answer.decode()
                assert (await gateway.trail.end()).closure.code == 1011

    run(test)


def test_a_tunnel_that_is_open_has_no_task_that_waits_for_its_end() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"
            names = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]
            assert not [name for name in names if name.startswith("TunnelHandler.")]
            await client.close()
            assert (await gateway.trail.end()).closure.code == 1000

    run(test)


def test_a_target_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.transport.connection.connecting.CONNECT_TIMEOUT", 0.3)

    async def test() -> None:
        with silent_port() as port:
            async with running_gateway(Says(port)) as gateway:
                closed = await closed_by(gateway)
            assert (closed.code, closed.reason) == (1011, "Unable to connect to target")

    run(test)


def test_a_client_that_cannot_be_served_for_whatever_reason_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        problems: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: problems.append(context["exception"]))
        says = Says(1)
        monkeypatch.setattr(says, "decide", lambda *_arguments, **_named: 1 // 0)
        async with running_gateway(says) as gateway:
            client = await WebSocket.connect(gateway.port)
            client.writer.write(request())
            with pytest.raises(ConnectionResetError):
                await client.reader.read()
            assert [type(problem) for problem in problems] == [ZeroDivisionError]

    run(test)


def too_new() -> Refused:
    """The answer to temporary credentials that nobody knows, or not yet."""
    return Refused(
        refusal=unauthenticated("InvalidClientTokenId", "It is invalid."),
        call=Call(source=event_source(), request=None, resources=()),
        authenticated=False,
        perhaps_too_new=True,
    )


def test_a_request_that_comes_before_the_news_of_its_credentials_is_decided_on_when_that_is_there() -> None:
    async def test() -> None:
        async with target(echo) as port:
            says = Says(port, refused=too_new())

            def news() -> None:
                says.refused = None

            says.news = news
            async with running_gateway(says) as gateway:
                client = await WebSocket.open(gateway.port)
                await client.send(b"hello")
                assert await client.receive(5) == b"hello"
                assert (len(says.heads), gateway.trail.refusals) == (2, [])

    run(test)


@pytest.mark.parametrize(("most", "decisions"), [(64, 2), (0, 1)])
def test_credentials_that_stay_unknown_are_refused_once_and_only_so_many_wait(
    monkeypatch: pytest.MonkeyPatch, most: int, decisions: int
) -> None:
    monkeypatch.setattr("hatchway.gateway.lifecycle.MOST_WAITING", most)

    async def test() -> None:
        says = Says(9, refused=too_new())
        async with running_gateway(says) as gateway:
            client = await WebSocket.connect(gateway.port)
            client.writer.write(request())
            assert b"InvalidClientTokenId" in await client.reader.read()
            assert (len(says.heads), len(gateway.trail.refusals)) == (decisions, 1)

    run(test)


def test_a_client_that_leaves_while_it_waits_for_news_keeps_no_tunnel() -> None:
    async def test() -> None:
        async with target(echo) as port:
            says = Says(port, refused=too_new())

            def news() -> None:
                says.refused = None
                client.writer.transport.abort()

            says.news = news
            async with running_gateway(says) as gateway:
                client = await WebSocket.connect(gateway.port)
                client.writer.write(request())
                await gateway.trail.end()
                await gateway.registry.wait_until_empty()

    run(test)


def test_a_connection_that_is_given_up_while_it_waits_for_news_is_not_decided_on_again() -> None:
    async def test() -> None:
        says = Says(9, refused=too_new())
        async with running_gateway(says) as gateway:
            gone: Any = SimpleNamespace(is_gone=True)
            head: Any = None
            with pytest.raises(ConnectionResetError):
                await gateway.handler._decide(gone, head, LOOPBACK, "request")
            assert len(says.heads) == 1

    run(test)


def test_a_worker_that_is_told_to_stop_meanwhile_opens_nothing() -> None:
    async def test() -> None:
        says = Says(9, refused=too_new())
        async with running_gateway(says) as gateway:

            def news() -> None:
                says.refused, gateway.handler.draining = None, True

            says.news = news
            client = await WebSocket.connect(gateway.port)
            client.writer.write(request())
            assert b" 503 " in await client.reader.read()
            assert gateway.trail.tunnels == {}

    run(test)


def test_a_target_that_the_network_forbids_is_not_told_from_one_that_does_not_answer() -> None:
    reached = []

    async def notice(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(True)
        writer.close()

    async def test() -> None:
        async with target(notice) as port, running_gateway(Says(port, unreachable="no rule")) as gateway:
            closed = await closed_by(gateway)
            assert (closed.code, closed.reason) == (1011, "Unable to connect to target")
            assert not reached

    run(test)


def test_a_tunnel_that_cannot_be_recorded_reaches_no_target() -> None:
    reached = []

    async def notice(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(True)
        writer.close()

    async def test() -> None:
        trail = Remembers(failure=OSError("disk full"))
        async with target(notice) as port, running_gateway(Says(port), trail=trail) as gateway:
            closed = await closed_by(gateway)
            assert (closed.code, closed.reason) == (
                1011,
                "The tunnel could not be recorded in the audit trail",
            )
            assert not reached
            assert not trail.tunnels

    run(test)


@pytest.mark.parametrize("fails", ["hatchway.gateway.lifecycle.Attempt", "hatchway.gateway.lifecycle.Target"])
def test_a_tunnel_that_was_recorded_and_cannot_be_connected_for_whatever_reason_has_its_end_recorded(
    fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fails, lambda *_arguments: 1 // 0)

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.hung_up()
            assert (await gateway.trail.end()).closure.code == 1006
            await gateway.registry.wait_until_empty()
            assert gateway.registry.on_endpoint("eice-1") == 0

    run(test)


def test_a_quota_seen_only_after_the_upgrade_closes_with_4029() -> None:
    async def test() -> None:
        trail = Remembers(failure=QuotaReached(ENDPOINT_FULL))
        async with target(echo) as port, running_gateway(Says(port), trail=trail) as gateway:
            closed = await closed_by(gateway)
            assert (closed.code, closed.reason) == (4029, "Too many tunnels on this endpoint")

    run(test)


class Hesitates(Remembers):
    """A trail that keeps nothing before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_keep = asyncio.Event()

    async def opened(self, admitted: Admitted, now: datetime) -> None:
        await self.may_keep.wait()
        await super().opened(admitted, now)


def test_nothing_is_connected_before_the_record_is_kept() -> None:
    async def test() -> None:
        connected = asyncio.Event()

        async def notice(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            writer.close()

        trail = Hesitates()
        async with target(notice) as port, running_gateway(Says(port), trail=trail) as gateway:
            client = await WebSocket.open(gateway.port)
            waiting = asyncio.create_task(connected.wait())
            await asyncio.wait({waiting}, timeout=0.15)
            assert not connected.is_set()
            trail.may_keep.set()
            await waiting
            assert trail.tunnels
            await client.close()
            await gateway.trail.end()

    run(test)


def test_a_tunnel_is_cut_when_its_duration_is_reached() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port, duration=1)) as gateway:
            began = time.monotonic()
            client = await WebSocket.open(gateway.port)
            await client.send(b"x")
            received, closed = await client.rest()
            assert received == b"x"
            assert (closed.code, closed.reason) == (4001, "Tunnel reached its maximum duration of 1 seconds")
            assert time.monotonic() - began > 0.99
            await client.hung_up()
            assert (await gateway.trail.end()).closure.code == 4001

    run(test)


def test_a_tunnel_is_cut_although_the_client_reads_nothing() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    async def test() -> None:
        async with target(flood) as port, running_gateway(Says(port, duration=1)) as gateway:
            began = time.monotonic()
            client = await WebSocket.open(gateway.port)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            sock = client.writer.transport.get_extra_info("socket")
            await until(lambda: connection_state(sock) != ESTABLISHED)
            assert time.monotonic() - began > 0.99
            client.vanish()
            assert (await gateway.trail.end()).closure.code == 4001
            await gateway.registry.wait_until_empty()

    run(test)


def test_a_tunnel_is_cut_while_it_still_connects() -> None:
    async def test() -> None:
        with silent_port() as port:
            async with running_gateway(Says(port, duration=1)) as gateway:
                closed = await closed_by(gateway)
                assert closed.code == 4001
                await gateway.trail.end()

    run(test)


def test_access_that_is_taken_away_cuts_at_once() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(b"before")
            assert await client.receive(6) == b"before"
            gateway.registry.cut_all(ACCESS_REVOKED)
            await client.send(b"after")
            received, closed = await client.rest()
            assert (received, closed.code, closed.reason) == (b"", 4003, "Access revoked")
            assert (await gateway.trail.end()).bytes_in == 6

    run(test)


def test_a_draining_gateway_takes_no_new_tunnels_and_ends_the_old_with_1001() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            old = await WebSocket.open(gateway.port)
            gateway.handler.draining = True
            await old.send(b"still works")
            assert await old.receive(11) == b"still works"
            with pytest.raises(AssertionError, match="503"):
                await WebSocket.open(gateway.port)
            gateway.registry.cut_all(GATEWAY_STOPPING)
            _, closed = await old.rest()
            assert (closed.code, closed.reason) == (1001, "Gateway is shutting down")
            await gateway.registry.wait_until_empty()

    run(test)


def test_a_client_that_never_answers_the_close_frame_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.transport.websocket.connection.CLOSE_TIMEOUT", 0.3)

    async def test() -> None:
        async with target(bye) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            assert await client.receive(3) == b"bye"
            assert (await client.frame())[0] == CLOSE
            await client.hung_up()
            assert (await gateway.trail.end()).closure.code == 1000

    run(test)


def test_a_client_that_has_tls_answer_after_the_close_frame_is_hung_up_on_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hatchway.transport.websocket.connection.CLOSE_TIMEOUT", 0.5)

    async def test() -> None:
        async with target(bye) as port, running_gateway(Says(port)) as gateway:
            # It reads nothing more, so answers to key updates stay unsent.
            client = await asyncio.to_thread(
                Wire.open, (LOOPBACK, gateway.port), "/openTunnel", receive_buffer=2304
            )
            ((_, relay),) = gateway.registry
            await until(lambda: relay.closure is not None and not relay.undelivered)
            for _ in range(10):
                update_keys(client.tls, 50)
                client.flush()
                await asyncio.sleep(0.02)
            await gateway.registry.wait_until_empty()
            client.sock.close()

    run(test)


def test_a_client_that_answers_the_close_frame_with_nonsense_is_hung_up_on_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hatchway.transport.websocket.connection.CLOSE_TIMEOUT", 3600.0)

    async def test() -> None:
        async with target(bye) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            assert await client.receive(3) == b"bye"
            assert (await client.frame())[0] == CLOSE
            # Nobody would ever take what follows a frame that cannot be read.
            client.writer.write(b"\x83\x80" + bytes(1 << 20))
            await client.hung_up()
            assert (await gateway.trail.end()).closure.code == 1000

    run(test)


def test_a_target_that_never_ends_its_side_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.gateway.tunnel.target.LINGER", 0.3)

    async def stubborn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"and another thing")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def test() -> None:
        async with target(stubborn) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.close()
            await gateway.trail.end()
            await gateway.registry.wait_until_empty()

    run(test)


def test_a_tunnel_that_has_ended_counts_for_as_long_as_its_target_leaves_untaken_what_it_was_sent() -> None:
    reads = asyncio.Event()

    async def dawdles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await reads.wait()
        reader._transport.resume_reading()  # type: ignore[attr-defined]
        while await reader.read(1 << 20):
            pass
        # It never ends its own side.
        await asyncio.Event().wait()

    async def test() -> None:
        async with target(dawdles) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            for _ in range(50):
                await client.send(bytes(60_000))
            await client.close()
            await client.hung_up()
            await gateway.trail.end()
            await asyncio.sleep(0.5)
            assert gateway.registry.on_endpoint("eice-1") == 1
            reads.set()
            await until(lambda: not gateway.registry.on_endpoint("eice-1"))
            assert len(gateway.registry) == 1
            gateway.registry.drop_all()
            await gateway.registry.wait_until_empty()
            assert gateway.registry.on_endpoint("eice-1") == 0

    run(test)


@pytest.mark.parametrize("resets", [True, False])
def test_a_tunnel_that_has_ended_counts_for_as_long_as_its_client_leaves_untaken_what_it_was_sent(
    resets: bool,
) -> None:
    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(40_000))
        await reader.read()
        if resets:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async def test() -> None:
        async with target(answers) as port, running_gateway(Says(port)) as gateway:

            def ask() -> ssl.SSLSocket:
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.connect((LOOPBACK, gateway.port))
                client = client_tls().wrap_socket(sock)
                client.sendall(request(Sec_WebSocket_Protocol=HALF_CLOSE) + frame(TEXT, END_OF_DATA))
                return client

            with await asyncio.to_thread(ask):
                await gateway.trail.end()
                await asyncio.sleep(0.5)
                assert gateway.registry.on_endpoint("eice-1") == 1
            await until(lambda: not gateway.registry.on_endpoint("eice-1"))

    run(test)


@pytest.mark.parametrize("explaining", [True, False])
@pytest.mark.parametrize("unreachable", ["i-1 is stopped", None])
def test_who_may_know_is_told_why_the_target_cannot_be_reached(
    explaining: bool, unreachable: str | None
) -> None:
    why = unreachable or "the host refuses: nothing listens on that port"

    async def test() -> None:
        with refusal() as port:
            says = Says(port, unreachable=unreachable, explaining=explaining)
            async with running_gateway(says) as gateway:
                client = await WebSocket.open(gateway.port)
                opcode, payload = await client.frame()
                id_ = "request id id-0"
                told = f"{why}; {id_}" if explaining else id_
                assert (opcode, payload[2:].decode()) == (CLOSE, f"Unable to connect to target ({told})")
                await client.send(payload, CLOSE)
                # The trail has the reason as ever, whoever was told more.
                assert (await gateway.trail.end()).closure.reason == "Unable to connect to target"

    run(test)
