"""A local port with a tunnel for each connection."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport
from tests.client.carriers import MIB
from tests.client.certificates import Certificates, make_certificates
from tests.client.stubs import Answer, StubGateway, refusal, tunnel_plan
from tests.client.tunnel.test_tunnel import Says, bare_gateway
from tests.transport.compiled import needs_core
from tests.transport.harness import TIMEOUT, until

from hatchway.client.errors import InvalidOption
from hatchway.client.tunnel import event_loop, relay_limits
from hatchway.client.tunnel.listener import LOOPBACK, listen

HOUR = 3600.0


@pytest.fixture(autouse=True, params=[pytest.param("on", marks=needs_core), "off"])
def compiled_core(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it and without, all is the same."""
    monkeypatch.setenv(event_loop.COMPILED_CORE, request.param)


class Echo(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            transport.send(WSMsgType.BINARY, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()


def with_listener(
    gateway: StubGateway,
    use: Callable[[int], Awaitable[None]],
    address: str = LOOPBACK,
    *,
    seconds: int = 3600,
    into: list[str] | None = None,
    ca_bundle: str | None = None,
) -> list[str]:
    """Run `use` with the port that was picked; gives the lines that were reported."""
    plan = tunnel_plan(gateway)
    plan = plan._replace(request=plan.request._replace(max_tunnel_duration=seconds))
    if ca_bundle is not None:
        plan = plan._replace(route=plan.route._replace(ca_bundle=ca_bundle))
    lines: list[str] = [] if into is None else into

    async def run() -> None:
        listening = asyncio.Event()

        def report(line: str) -> None:
            lines.append(line)
            listening.set()

        task = asyncio.create_task(listen(plan, 0, report, address))
        await listening.wait()
        try:
            async with asyncio.timeout(TIMEOUT):
                await use(int(lines[0].rstrip(".").rpartition(" ")[2]))
        finally:
            task.cancel()
            await asyncio.wait([task])

    event_loop.run(run())
    return lines


def test_several_connections_have_a_tunnel_each_at_the_same_time(gateway: StubGateway) -> None:
    gateway.answer = Echo

    async def use(port: int) -> None:
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        for number, (_, writer) in enumerate(streams):
            writer.write(b"%d" % number * 100_000)
        for number, (reader, _) in enumerate(streams):
            assert await reader.readexactly(100_000) == b"%d" % number * 100_000
        for _, writer in streams:
            writer.close()

    lines = with_listener(gateway, use)
    assert len(gateway.requests) == 5
    assert lines[0].startswith("Listening for connections on port ")
    assert sum("Accepted new tcp connection" in line for line in lines) == 5


def test_a_refused_tunnel_closes_its_connection_and_says_why(gateway: StubGateway) -> None:
    refused = refusal(403, b'{"ErrorCode": "AccessDeniedException", "Message": "not authorized"}')
    answers: Iterator[Answer] = iter([refused, Echo()])
    gateway.answer = lambda: next(answers)

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        writer.close()

    lines = with_listener(gateway, use)
    assert lines[2].startswith("[1] AccessDeniedException: not authorized: ")
    assert "[1] Closing tcp connection: 0 bytes sent, 0 received, not opened." in lines


def test_a_program_that_still_speaks_when_the_host_closes_gets_all_that_came(gateway: StubGateway) -> None:
    data = os.urandom(MIB)
    gateway.answer = lambda: Says(data, 1000, "")

    async def use(port: int) -> None:
        def speak_and_then_read() -> bytes:
            with socket.socket() as sock:
                # So that most of it waits on the other side.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
                sock.connect(("127.0.0.1", port))
                sock.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    for _ in range(8):
                        sock.sendall(bytes(MIB))
                sock.settimeout(30)
                came = bytearray()
                while part := sock.recv(1 << 16):
                    came += part
                return bytes(came)

        assert await asyncio.to_thread(speak_and_then_read) == data

    with_listener(gateway, use)


def test_a_connection_that_is_closed_ends_its_tunnel(gateway: StubGateway) -> None:
    ended = threading.Event()

    class Notes(Echo):
        def on_ws_disconnected(self, transport: WSTransport) -> None:
            ended.set()

    gateway.answer = Notes

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        assert await asyncio.to_thread(ended.wait, 30)
        await until(lambda: len(lines) == 3)

    lines: list[str] = []
    with_listener(gateway, use, into=lines)
    assert "[1] Closing tcp connection: 5 bytes sent, 5 received, ended here." in lines


def test_half_a_close_leaves_the_answer_its_way(gateway: StubGateway) -> None:
    gateway.answer = Echo

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"question" * 1000)
        writer.write_eof()
        assert await reader.readexactly(8000) == b"question" * 1000
        writer.close()

    with_listener(gateway, use)


class Ponders(WSListener):
    """Answers a question when everything has been silent for a while, and closes."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            asyncio.get_running_loop().call_later(3, self._answer, transport)

    def _answer(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.BINARY, b"answer")
        transport.send_close(WSCloseCode.OK)


def test_half_a_close_leaves_an_answer_that_is_long_in_coming_its_way(gateway: StubGateway) -> None:
    gateway.answer = Ponders

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"question")
        writer.write_eof()
        assert await reader.read() == b"answer"
        writer.close()

    lines = with_listener(gateway, use)
    assert "[1] Closing tcp connection: 8 bytes sent, 6 received, ended by the host." in lines


def test_a_listener_that_is_told_to_end_closes_its_tunnels(gateway: StubGateway) -> None:
    closed = threading.Event()

    class Notes(Echo):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            super().on_ws_frame(transport, frame)
            if frame.msg_type == WSMsgType.CLOSE:
                closed.set()

    gateway.answer = Notes

    program = socket.socket()

    async def use(port: int) -> None:
        await asyncio.to_thread(program.connect, ("127.0.0.1", port))
        program.sendall(b"hello")
        assert await asyncio.to_thread(program.recv, 5) == b"hello"

    with program:
        with_listener(gateway, use)
        assert closed.wait(60)
        with pytest.raises(ConnectionResetError):
            program.recv(1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.usefixtures("late_signals_do_nothing")
def test_a_listener_that_a_signal_ends_tells_what_was_not_taken_and_waits_for_nothing_at_a_second_one(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, twice: bool
) -> None:
    monkeypatch.setattr(relay_limits, "LEAVE_TIMEOUT", HOUR if twice else 0.5)
    monkeypatch.setattr(relay_limits, "CLOSE_TIMEOUT", HOUR)
    lines, listening = list[str](), threading.Event()

    def report(line: str) -> None:
        lines.append(line)
        listening.set()

    def use() -> None:
        assert listening.wait(30)
        with socket.create_connection(("127.0.0.1", int(lines[0].rstrip(".").rpartition(" ")[2]))) as sock:
            assert sock.recv(4) == b"word"
            sock.setblocking(False)
            # More than the kernels on the way take.
            with contextlib.suppress(BlockingIOError):
                while sock.send(bytes(MIB)):
                    time.sleep(0.1)
            for _ in range(1 + twice):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.2)
            ended.wait(HOUR)

    ended = threading.Event()
    using = threading.Thread(target=use)
    using.start()
    heard = threading.Event()
    with bare_gateway(certificates, [], b"\x82\x04word", heard) as gateway:
        try:
            with pytest.raises(SystemExit):
                event_loop.run(listen(tunnel_plan(gateway), 0, report))
        finally:
            ended.set()
            heard.set()
    using.join(30)
    assert re.fullmatch(r"\[1\] the signal .* had taken the last [0-9]{6,} bytes", lines[-1])


def test_a_port_that_is_taken_is_refused(gateway: StubGateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], 70_000):
            with pytest.raises(InvalidOption, match="another local port"):
                event_loop.run(listen(tunnel_plan(gateway), port, print))


@pytest.mark.parametrize("address", ["127.0.0.2", "0.0.0.0", "::1"])
def test_another_address_may_be_listened_on(gateway: StubGateway, address: str) -> None:
    gateway.answer = Echo

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("::1" if ":" in address else "127.0.0.2", port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        # That its program has gone is seen there too.
        await until(lambda: any("ended here" in line for line in lines))

    lines: list[str] = []
    with_listener(gateway, use, address, into=lines)


@pytest.mark.parametrize("address", ["localhost", "192.0.2.1", "127.0.0.1/8", ""])
def test_what_is_no_address_of_this_machine_is_refused(gateway: StubGateway, address: str) -> None:
    with pytest.raises(InvalidOption, match="--bind-address"):
        event_loop.run(listen(tunnel_plan(gateway), 0, print, address))


def test_that_a_tunnel_s_time_is_nearly_over_is_told_before(
    gateway: StubGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.client.tunnel.listener.NOTICE", 59)
    gateway.answer = Echo

    async def use(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: len(lines) == 3)
        writer.close()

    lines: list[str] = []
    with_listener(gateway, use, seconds=60, into=lines)
    assert lines[2] == "[1] In 59 seconds this tunnel reaches its maximum duration, and is cut."


@pytest.mark.parametrize("how", ["told", "untold"])
def test_a_program_sees_by_a_reset_that_its_tunnel_was_cut_once_it_has_all_that_came(
    gateway: StubGateway, how: str
) -> None:
    said = os.urandom(3 * MIB)

    class Leaves(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.BINARY, said)

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if how == "told":
                transport.send_close(WSCloseCode.GOING_AWAY, b"Gateway is shutting down")
            transport.disconnect(graceful=how == "told")

    gateway.answer = Leaves

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        received = await reader.readexactly(len(said))
        writer.write(b"I have it all")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        assert received == said
        writer.close()

    lines = with_listener(gateway, use)
    assert lines[-1].endswith("cut.")


def test_a_connection_waits_for_a_gateway_that_comes_back(
    gateway: StubGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.client.tunnel.listener._PAUSE", 0.1)
    stopping = refusal(503, b'{"ErrorCode": "ServiceUnavailable", "Message": "Gateway is shutting down."}')
    answers: Iterator[Answer] = iter([stopping, stopping, Echo()])
    gateway.answer = lambda: next(answers)

    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"patience")
        assert await reader.readexactly(8) == b"patience"
        writer.close()

    lines = with_listener(gateway, use)
    assert lines[2:3] == ["[1] ServiceUnavailable: Gateway is shutting down.: trying again for 30 seconds"]
    assert len(gateway.requests) == 3


def test_a_connection_waits_for_no_gateway_once_its_program_has_gone(gateway: StubGateway) -> None:
    gateway.port = 1

    async def use(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await until(lambda: len(lines) >= 4)

    lines: list[str] = []
    with_listener(gateway, use, into=lines)
    assert lines[-1] == "[1] Closing tcp connection: 0 bytes sent, 0 received, not opened."


def test_a_ca_that_comes_into_the_bundle_while_it_listens_is_trusted_from_then_on(
    gateway: StubGateway, tmp_path: Path
) -> None:
    gateway.answer = Echo
    plan = tunnel_plan(gateway)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(make_certificates(tmp_path, "former.test").ca.read_bytes())
    assert plan.route.ca_bundle is not None
    gateways = Path(plan.route.ca_bundle).read_bytes()

    async def answered(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        answer = await reader.read(1)
        writer.close()
        return answer

    async def use(port: int) -> None:
        assert await answered(port) == b""
        bundle.write_bytes(bundle.read_bytes() + gateways)
        assert await answered(port) == b"x"

    lines = with_listener(gateway, use, ca_bundle=str(bundle))
    assert "its certificate is not trusted" in lines[2]


def test_nothing_but_loopback_is_listened_on(gateway: StubGateway) -> None:
    async def use(port: int) -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)

    with_listener(gateway, use)
