"""What people do with a server while it is started anew: open tunnels, new ones, calls of the API."""

import asyncio
import hashlib
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tests.gateway.harness import echo
from tests.transport.harness import LOOPBACK, WebSocket, client_tls, request

from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signing import presign, sign_headers

REGION: Final = "us-east-1"
_PAUSE: Final = 0.1


@dataclass
class Traffic:
    """
    Attributes:
        problems: everything that somebody noticed.
        opened: tunnels that were opened, used and closed.
        called: calls of the API that were answered, on new connections and on one that was kept.
        flowed: bytes that came back through the tunnel that stays open, as they were sent.
    """

    api_port: int
    gateway_port: int
    endpoint_id: str
    key: tuple[str, str]
    host: str
    port: int = 0
    problems: list[str] = field(default_factory=list)
    opened: int = 0
    called: int = 0
    flowed: int = 0

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Goes on within the context."""
        server = await asyncio.start_server(echo, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        staying = await self._open()
        work: list[Callable[[], Coroutine[Any, Any, None]]] = [
            lambda: self._flow(staying), self._open_again_and_again, self._call_on_new, self._call_on_one,
        ]  # fmt: skip
        tasks = [asyncio.create_task(self._watched(each)) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.close()

    async def more(self, count: int = 5) -> None:
        """Wait until so many tunnels and calls more have succeeded, and bytes, or there was a problem."""
        opened, called, flowed = self.opened, self.called, self.flowed
        while not self.problems and (
            self.opened < opened + count or self.called < called + count or self.flowed <= flowed
        ):
            # What is waited for tells nobody.
            await self._pause()

    async def _watched(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as problem:
            self.problems.append(f"{type(problem).__name__}: {problem}")

    async def _open(self) -> WebSocket:
        path = presign(
            "localhost",
            "/openTunnel",
            {
                "instanceConnectEndpointId": self.endpoint_id,
                "remotePort": str(self.port),
                "privateIpAddress": self.host,
            },
            access_key_id=self.key[0],
            secret_access_key=self.key[1],
            now=datetime.now(UTC),
            region=REGION,
            service="ec2-instance-connect",
            expires=60,
        )
        client = await WebSocket.connect(self.gateway_port)
        client.writer.write(request(path, Host="localhost"))
        client.answer = await client.reader.readuntil(b"\r\n\r\n")
        assert client.answer.startswith(b"HTTP/1.1 101 "), client.answer
        return client

    async def _flow(self, client: WebSocket) -> None:
        sent, received = hashlib.sha256(), hashlib.sha256()
        while True:
            data = random.randbytes(random.randrange(1, 60_000))
            sent.update(data)
            await client.send(data)
            received.update(await client.receive(len(data)))
            assert received.digest() == sent.digest()
            self.flowed += len(data)
            await self._pause()

    async def _open_again_and_again(self) -> None:
        while True:
            client = await self._open()
            data = os.urandom(100)
            await client.send(data)
            assert await client.receive(100) == data
            await client.close()
            await client.rest()
            client.writer.close()
            self.opened += 1
            await self._pause()

    async def _call_on_new(self) -> None:
        while True:
            reader, writer = await self._connect()
            await self._call(reader, writer)
            writer.close()
            await self._pause()

    async def _call_on_one(self) -> None:
        """As AWS's SDKs do: on a connection for as long as the server keeps it."""
        while True:
            reader, writer = await self._connect()
            while await self._call(reader, writer):
                await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(_PAUSE)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(LOOPBACK, self.api_port, ssl=client_tls())

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection is kept."""
        body = b"Action=GetCallerIdentity&Version=2011-06-15"
        kind = ("Content-Type", "application/x-www-form-urlencoded")
        call = HttpRequest("POST", "/", "", (("Host", "localhost"), kind), body)
        added = sign_headers(
            call,
            access_key_id=self.key[0],
            secret_access_key=self.key[1],
            region=REGION,
            service="sts",
            now=datetime.now(UTC),
        )
        lines = [f"{name}: {value}" for name, value in (*call.headers, *added)]
        head = "\r\n".join(["POST / HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", ""])
        writer.write(head.encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert answer.startswith("http/1.1 200 "), answer
        size = int(re.search(r"content-length: (\d+)", answer)[1])  # type: ignore[index]
        assert b":user/alice" in await reader.readexactly(size)
        self.called += 1
        if "connection: close" in answer:
            writer.close()
            return False
        return True
