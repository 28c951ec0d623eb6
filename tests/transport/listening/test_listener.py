"""Accepting connections, queueing them, shedding load, and a listener whose place another takes."""

import asyncio
import errno
import socket
import struct
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.transport.echo_server import echo_server
from tests.transport.harness import LOOPBACK, WebSocket, client_tls, connection_tls, request, run, until

from hatchway.transport.listening import listener as listener_module
from hatchway.transport.listening.listener import Listener, bind_shared
from hatchway.transport.listening.sources import Sources


def test_one_that_retires_serves_all_who_wait_in_its_queue_and_nobody_else() -> None:
    async def test() -> None:
        async with echo_server() as server:
            # The event loop that would accept them does not run meanwhile.
            waiting = [socket.create_connection((LOOPBACK, server.port)) for _ in range(40)]
            server.listener.retire()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((LOOPBACK, server.port))
            for sock in waiting:
                client = WebSocket(
                    *await asyncio.open_connection(sock=sock, ssl=client_tls(), server_hostname=LOOPBACK)
                )
                client.writer.write(request())
                assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
                await client.send(b"hello")
                assert await client.receive(5) == b"hello"
                client.vanish()

    run(test)


def test_who_comes_when_one_has_retired_is_served_by_the_other_at_the_same_socket() -> None:
    async def test() -> None:
        sock = socket.create_server((LOOPBACK, 0))
        async with echo_server(sock=sock.dup()) as old, echo_server(sock=sock) as new:
            opened = [await WebSocket.open(new.port) for _ in range(5)]
            old.listener.retire()
            before = len(new.addresses)
            opened += [await WebSocket.open(new.port) for _ in range(10)]
            assert len(new.addresses) == before + 10
            for client in opened:
                await client.send(b"hello")
                assert await client.receive(5) == b"hello"
                client.vanish()

    run(test)


def sources(**limits: float) -> Sources:
    """With a clock that stands still: what is wasted does not grow again."""
    return Sources(lambda: 0.0, **limits)  # type: ignore[arg-type]


async def opens(client: WebSocket) -> bool:
    client.writer.write(request())
    return (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")


def raw(port: int, data: bytes = b"", source: str = LOOPBACK) -> socket.socket:
    """A connection that sends this, and no TLS."""
    # The kernel accepts it by itself: the event loop need not run.
    sock = socket.create_connection((LOOPBACK, port), source_address=(source, 0))
    sock.sendall(data)
    sock.setblocking(False)
    return sock


async def was_reset(sock: socket.socket) -> bool:
    with sock:
        try:
            return await asyncio.get_running_loop().sock_recv(sock, 1) == b"never"
        except ConnectionResetError:
            return True


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_processes_of_one_user_may_share_a_port_and_others_are_told_that_it_is_in_use(host: str) -> None:
    with bind_shared(host, 0) as one:
        port = one.getsockname()[1]
        with bind_shared(host, port) as other:
            assert other.getsockname() == one.getsockname()
        one.listen()
        alone = socket.socket(one.family)
        with alone, pytest.raises(OSError, match="in use"):
            alone.bind((host, port))
    with pytest.raises(OSError, match="assign requested address"):
        bind_shared("192.0.2.1", 0)


def test_a_source_that_has_wasted_all_is_reset_before_tls() -> None:
    async def test() -> None:
        async with echo_server(sources=sources(may_waste=2)) as server:
            wasted = [raw(server.port) for _ in range(2)]
            await until(lambda: server.listener.pending == 2)
            assert await was_reset(raw(server.port))
            assert server.listener.shed["source_wastes"] == 1
            for sock in wasted:
                sock.close()

    run(test)


def test_more_than_may_be_pending_are_reset() -> None:
    async def test() -> None:
        async with echo_server(max_pending=2) as server:
            pending = [raw(server.port) for _ in range(2)]
            await until(lambda: server.listener.pending == 2)
            assert await was_reset(raw(server.port))
            assert server.listener.shed["too_many_pending"] == 1
            for sock in pending:
                sock.close()
            await until(lambda: server.listener.pending == 0)

    run(test)


def test_one_that_cannot_be_served_is_reset_and_keeps_no_place() -> None:
    async def test() -> None:
        left = [1] * 5

        def fail() -> Any:
            if left:
                raise MemoryError(left.pop())
            return connection_tls()

        told: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, problem: told.append(problem))
        async with echo_server(max_pending=2, tls=fail) as server:
            for _ in range(5):
                assert await was_reset(raw(server.port))
            assert server.listener.pending == 0
            assert len(told) == 5
            client = await WebSocket.open(server.port)
            client.vanish()

    run(test)


def test_unknown_sources_wait_for_a_turn_and_known_ones_do_not() -> None:
    async def test() -> None:
        known = sources(all_may_waste=1)
        known.admitted(LOOPBACK, "")
        async with echo_server(sources=known) as server:
            first = raw(server.port, source="127.0.0.2")
            await until(lambda: server.listener.pending == 1)
            waiting = raw(server.port, source="127.0.0.3")
            await until(lambda: server.listener.pending == 2)
            assert len(server.clients) == 1
            client = await WebSocket.connect(server.port)
            assert await opens(client)
            # The one before it turns out to be authenticated: one more unknown source has its turn.
            for _ in range(3):
                known.authenticated("127.0.0.9")
            await until(lambda: len(server.clients) == 3)
            first.close()
            waiting.close()

    run(test)


def pauses(listener: listener_module.Listener) -> bool:
    return listener._pause is not None


def test_while_some_wait_for_a_turn_those_who_come_are_accepted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        unknown = sources(all_may_waste=1)
        async with echo_server(sources=unknown) as server:
            first = raw(server.port)
            await until(lambda: server.listener.pending == 1)
            assert not pauses(server.listener)
            monkeypatch.setattr(listener_module, "PAUSE", 60.0)
            waiting = raw(server.port)
            await until(lambda: server.listener.pending == 2)
            assert pauses(server.listener)
            first.close()
            waiting.close()

    run(test)


def test_who_is_queued_for_too_long_or_has_no_room_in_the_queue_is_reset() -> None:
    async def test() -> None:
        nobody = sources(all_may_waste=1)
        nobody._all.left = 0.0
        # One of four pending is reserved for known sources, so the queue counts as full from the fourth on.
        async with echo_server(sources=nobody, queue_timeout=0.1, max_pending=4) as server:
            queued = [raw(server.port, source="127.0.0.2") for _ in range(3)]
            await until(lambda: server.listener.pending == 3)
            assert await was_reset(raw(server.port, source="127.0.0.2"))
            assert server.listener.shed["no_turn"] == 1
            # One of another network has a place, at the cost of the last of the longest queue.
            other = raw(server.port, source="127.9.0.1")
            await until(lambda: server.listener.shed["no_turn"] == 2)
            assert await was_reset(queued.pop())
            await asyncio.sleep(0.2)
            nobody._all.left = 1.0
            for sock in (*queued, other):
                assert await was_reset(sock)
            assert server.listener.shed["no_turn"] == 5
            assert server.listener.pending == 0

    run(test)


def test_one_that_stops_resets_who_is_queued_and_serves_who_is_there() -> None:
    async def test() -> None:
        unknown = sources(all_may_waste=1)
        async with echo_server(sources=unknown) as server:
            client = await WebSocket.open(server.port)
            unknown._all.left = 0.0
            queued = raw(server.port)
            unknown._known.clear()
            queued_too = raw(server.port)
            await until(lambda: server.listener.pending == 2)
            server.listener.stop()
            server.listener.stop()
            assert await was_reset(queued_too)
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"
            queued.close()
            client.vanish()

    run(test)


class Exhausted:
    """A listening socket of a process that has no more file descriptors, then of one that has."""

    def __init__(self, sock: socket.socket, *problems: OSError) -> None:
        self._sock = sock
        self._problems = list(problems)

    def accept(self) -> tuple[socket.socket, object]:
        if self._problems:
            raise self._problems.pop(0)
        return self._sock.accept()

    def __enter__(self) -> "Exhausted":
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def listening_with(*problems: OSError) -> Any:
    return Exhausted(socket.create_server((LOOPBACK, 0)), *problems)


def test_without_file_descriptors_it_pauses_says_so_once_and_goes_on() -> None:
    async def test() -> None:
        exhausted = OSError(errno.EMFILE, "Too many open files")
        with capture_logs() as logs:
            async with echo_server(sock=listening_with(exhausted, exhausted)) as server:
                client = await WebSocket.connect(server.port)
                assert await opens(client)
                client.vanish()
        assert [line["event"] for line in logs] == ["no connection can be accepted"]

    run(test)


@pytest.mark.parametrize("retires", [False, True])
def test_a_connection_that_is_gone_before_it_is_accepted_is_none(retires: bool) -> None:
    async def test() -> None:
        gone = ConnectionAbortedError(errno.ECONNABORTED, "Software caused connection abort")
        async with echo_server(sock=listening_with(gone)) as server:
            waiting = socket.create_connection((LOOPBACK, server.port))
            if retires:
                server.listener.retire()
                server.listener.retire()
            client = WebSocket(
                *await asyncio.open_connection(sock=waiting, ssl=client_tls(), server_hostname=LOOPBACK)
            )
            assert await opens(client)
            client.vanish()

    run(test)


def test_one_that_stops_while_it_pauses_goes_on_never_again() -> None:
    async def test() -> None:
        async with echo_server(sources=sources(may_waste=0)) as server:
            assert await was_reset(raw(server.port))
            await until(lambda: server.listener._pause is not None)
            server.listener.stop()
            with pytest.raises(ConnectionRefusedError):
                raw(server.port)

    run(test)


def test_accepting_takes_no_longer_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "_ACCEPTING", 0.0)
    pause_for = Listener._pause_for
    reset_at_pauses = []

    def noted_pause_for(listener: Listener, seconds: float) -> None:
        reset_at_pauses.append(listener.shed["source_wastes"])
        pause_for(listener, seconds)

    monkeypatch.setattr(Listener, "_pause_for", noted_pause_for)

    async def test() -> None:
        async with echo_server(sources=sources(may_waste=0)) as server:
            flood = [socket.create_connection((LOOPBACK, server.port)) for _ in range(5)]
            await until(lambda: server.listener.shed["source_wastes"] == 5)
            for sock in flood:
                sock.close()

    run(test)
    # They are reset one by one, with a pause after each.
    assert reset_at_pauses == [1, 2, 3, 4, 5]


def test_whoever_is_left_when_it_has_accepted_enough_at_once_is_accepted_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "MAX_ACCEPTS", 1)
    monkeypatch.setattr(listener_module, "_ACCEPTING", 60.0)

    async def test() -> None:
        async with echo_server() as server:
            clients = [socket.create_connection((LOOPBACK, server.port)) for _ in range(3)]
            await until(lambda: server.listener.pending == 3)
            for sock in clients:
                sock.close()

    run(test)


def test_one_that_retires_takes_no_more_than_the_kernel_can_have_queued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        async with echo_server() as server:
            waiting = [raw(server.port) for _ in range(2)]
            monkeypatch.setattr(listener_module, "BACKLOG", 1)
            server.listener.retire()
            assert server.listener.pending == 1
            assert await was_reset(waiting.pop())
            waiting.pop().close()

    run(test)


HEADER = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"


def test_behind_a_load_balancer_the_source_is_the_one_in_its_header() -> None:
    async def test() -> None:
        async with echo_server(sources=sources(may_waste=1), proxies=(LOOPBACK,)) as server:
            # It may come in pieces, and later than the connection.
            first = raw(server.port)
            await until(lambda: server.listener.pending == 1)
            await asyncio.get_running_loop().sock_sendall(first, HEADER[:9])
            await asyncio.sleep(0.02)
            await asyncio.get_running_loop().sock_sendall(first, HEADER[9:20])
            await asyncio.sleep(0.02)
            await asyncio.get_running_loop().sock_sendall(first, HEADER[20:])
            await until(lambda: len(server.clients) == 1)
            assert await was_reset(raw(server.port, HEADER))
            assert server.listener.shed["source_wastes"] == 1
            # The load balancer's own have no limit.
            own = [raw(server.port, b"PROXY UNKNOWN\r\n") for _ in range(3)]
            await until(lambda: len(server.clients) == 4)
            for sock in (first, *own):
                sock.close()

    run(test)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_a_load_balancer_that_sends_no_header_a_wrong_one_or_a_part_of_one_is_reset() -> None:
    async def test() -> None:
        async with echo_server(proxies=(LOOPBACK,), request_deadline=0.1) as server:
            assert await was_reset(raw(server.port, b"GET / HTTP/1.1\r\n"))
            assert await was_reset(raw(server.port, HEADER[:9]))
            silent = raw(server.port)
            reset(silent)
            ended = raw(server.port)
            ended.shutdown(socket.SHUT_WR)
            assert await was_reset(ended)
            await until(lambda: server.listener.pending == 0)
            assert not len(server.clients)
            # One that says something else is told of; one that leaves may only look whether the port is open.
            assert server.listener.shed["bad_proxy_header"] == 1

    run(test)
