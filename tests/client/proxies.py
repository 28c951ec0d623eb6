"""A proxy of a few lines for each way to be one: CONNECT of HTTP, SOCKS 4, 4a and 5, with a password."""

import asyncio
import base64
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

USER, PASSWORD = "us er", "p@ss:/%"
"""Which stand in a URL encoded only."""

_RESOLVED = {"gateway.hidden.test": "127.0.0.1"}
"""What the proxy's own resolver knows, and nobody else's."""


class Proxy:
    """`asked` are the hosts that it was asked for, as they were named."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            first = (await reader.readexactly(1))[0]
            said = {4: self._socks4, 5: self._socks5}.get(first, self._http)
            host, port = await said(reader, writer)
            self.asked.append(host)
            there = await asyncio.open_connection(_RESOLVED.get(host, host), port)
            granted = {4: b"\0\x5a" + bytes(6), 5: b"\5\0\0\1" + bytes(6)}
            writer.write(granted.get(first, b"HTTP/1.1 200 OK\r\n\r\n"))
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        writer.close()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        known = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if f"proxy-authorization: basic {known}".lower() not in head.lower():
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            raise OSError("not authorized")
        host, _, port = head.split()[1].rpartition(":")
        return host.strip("[]"), int(port)

    async def _socks4(self, reader: asyncio.StreamReader, _writer: object) -> tuple[str, int]:
        _, port, address = struct.unpack(">BH4s", await reader.readexactly(7))
        await reader.readuntil(b"\0")
        if address[:3] == bytes(3) and address[3]:
            return (await reader.readuntil(b"\0"))[:-1].decode(), port
        return socket.inet_ntoa(address), port

    async def _socks5(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\5\2" if 2 in methods else b"\5\xff")
        size = (await reader.readexactly(2))[1]
        user = await reader.readexactly(size)
        password = await reader.readexactly((await reader.readexactly(1))[0])
        right = (user.decode(), password.decode()) == (USER, PASSWORD)
        writer.write(b"\1\0" if right else b"\1\1")
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        elif kind == 1:
            host = socket.inet_ntoa(await reader.readexactly(4))
        else:
            host = socket.inet_ntop(socket.AF_INET6, await reader.readexactly(16))
        return host, int.from_bytes(await reader.readexactly(2))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


@contextmanager
def running_proxy(tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    proxy = Proxy()
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, ssl=tls)
        proxy.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    assert started.wait(60)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()
