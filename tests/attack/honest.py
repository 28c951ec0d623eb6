"""People who mean well, and what they notice of an attack."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import struct
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from tests.attack.site import HOST
from tests.transport.harness import BINARY, CLOSE, client_tls, frame, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from tests.attack.site import Site

TIMEOUT: Final = 20.0
SPAWNING: Final = multiprocessing.get_context("spawn")


class Gone(Exception):
    """A tunnel that is no more. `code` is that of its close frame, None when there was none."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Refused(Exception):
    """A tunnel that was not opened: the status line and the body of the answer."""


class Tunnel:
    """One tunnel, from the client's side; everything blocks, and gives up after `TIMEOUT`."""

    def __init__(self, site: Site, target: str, source: str = "127.0.0.1") -> None:
        """
        Raises:
            Refused: it is not opened.
            OSError: there is no answer.
        """
        plain = socket.create_connection(site.gateway_address, timeout=TIMEOUT, source_address=(source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = client_tls().wrap_socket(plain, server_hostname="gateway.example")
        self._wire.sendall(request(target))
        self._read = b""
        while b"\r\n\r\n" not in self._read:
            self._more()
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            with suppress(Gone, OSError):
                self._more()
            self.close()
            raise Refused(f"{head.splitlines()[0].decode()} {self._read.decode(errors='replace')}")

    def echo(self, payload: bytes = b"echo") -> float:
        """Seconds until what was sent has come back.

        Raises:
            Gone: the tunnel has been closed.
        """
        began = time.perf_counter()
        try:
            self._wire.sendall(frame(BINARY, payload))
            received = b""
            while len(received) < len(payload):
                received += self.receive()
        except OSError as problem:
            raise Gone(None, str(problem)) from problem
        return time.perf_counter() - began

    def receive(self) -> bytes:
        """The payload of the next BINARY frame.

        Raises:
            Gone: a close frame came in its stead, or the connection's end.
        """
        while True:
            opcode, payload = self._frame()
            if opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                raise Gone(code, payload[2:].decode(errors="replace"))
            if opcode == BINARY:
                return payload

    def _frame(self) -> tuple[int, bytes]:
        while True:
            if len(self._read) >= 2:
                size, start = self._read[1], 2
                if size == 126 and len(self._read) >= 4:
                    size, start = int.from_bytes(self._read[2:4]), 4
                if size != 126 and len(self._read) >= start + size:
                    payload = self._read[start : start + size]
                    opcode = self._read[0] & 15
                    self._read = self._read[start + size :]
                    return opcode, payload
            self._more()

    def _more(self) -> None:
        data = self._wire.recv(1 << 16)
        if not data:
            raise Gone(None, "hung up")
        self._read += data

    def close(self) -> None:
        with suppress(OSError):
            self._wire.close()


def echoes(tunnel: Tunnel, seconds: float) -> list[float]:
    """What one echo after the other took."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        taken.append(tunnel.echo())
        time.sleep(0.002)
    return taken


def opened(site: Site, user: str, port: int, source: str = "127.0.0.1") -> float:
    """Seconds that it takes to open a tunnel and to get an echo."""
    began = time.perf_counter()
    tunnel = Tunnel(site, site.target(user, port), source)
    try:
        tunnel.echo()
    finally:
        tunnel.close()
    return time.perf_counter() - began


def asked(
    site: Site, path: str = "/healthz", source: str = "127.0.0.1", header: str = ""
) -> tuple[float, int]:
    """Seconds and status of a request to the API, on a connection of its own; status 0 for no answer."""
    began = time.perf_counter()
    status = 0
    extra = f"{header}\r\n" if header else ""
    with (
        suppress(OSError),
        socket.create_connection(site.api_address, timeout=10, source_address=(source, 0)) as plain,
        client_tls().wrap_socket(plain) as wire,
    ):
        wire.sendall(f"GET {path} HTTP/1.1\r\nhost: h\r\n{extra}connection: close\r\n\r\n".encode())
        answer = wire.recv(65536)
        status = int(answer.split(b" ")[1]) if answer else 0
    return time.perf_counter() - began, status


def meanwhile(seconds: float, work: Callable[[], float]) -> list[float]:
    """What a piece of work returns, again and again for so long, at least twice."""
    values: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(values) < 2:
        values.append(work())
        time.sleep(0.01)
    return values


def _echo_host(port: Connection, nice: int) -> None:
    with suppress(OSError):
        os.nice(nice)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(talk, HOST, 0)
        port.send(server.sockets[0].getsockname()[1])
        await asyncio.sleep(3600)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve())


@contextmanager
def echo_host(nice: int = 0) -> Iterator[int]:
    """A host that sends back what it gets, in a process of its own; gives its port."""
    ours, theirs = SPAWNING.Pipe()
    process = SPAWNING.Process(target=_echo_host, args=(theirs, nice), daemon=True)
    process.start()
    try:
        assert ours.poll(3 * TIMEOUT), "a host does not begin"
        yield ours.recv()
    finally:
        process.kill()
        process.join()


def stand_back() -> None:
    """What an attacker itself costs on this machine must not count against the server."""
    os.nice(19)
