"""People who open tunnels and use them all the time, whatever happens meanwhile.

Each tunnel's first bytes are a tag. The target notes the tags that reach it: those tunnels carried a byte.
"""

import asyncio
import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, Protocol

from tests.e2e.waiting import wait_until
from tests.transport.harness import LOOPBACK, Closed, WebSocket

TAG: Final = 16
BUSY: Final = 6
STEADY: Final = 4
_TIMEOUT: Final = 60.0
_TROUBLE: Final = (AssertionError, OSError, EOFError, ssl.SSLError, TimeoutError)


class Steady:
    """A tunnel that is used as long as it lives, and told when to close."""

    def __init__(self) -> None:
        self.rounds = 0
        self.bytes = 0
        self.request_id = ""
        self.over = False
        self.close = asyncio.Event()


class Served(Protocol):
    """What they use: one server, or several, whose `gateway_port` may be another each time."""

    @property
    def gateway_port(self) -> int: ...
    def signed_target(self, port: int) -> str: ...
    def log(self) -> str: ...


class Load:
    """Everybody together, on an event loop in a thread of its own.

    Attributes:
        reached: the tags that the target has seen.
        request_ids: the request's id by its tag.
        echoed: tunnels that have worked both ways so far.
        refusals: how often a client was told what: a close code with its reason, or an HTTP answer.
        steady: the tunnels that last.
    """

    def __init__(self, server: Served, seed: int) -> None:
        self._server = server
        self._random = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tasks: list[asyncio.Task[None]] = []
        self._port = 0
        self.reached: set[str] = set()
        self.request_ids: dict[str, str] = {}
        self.echoed = 0
        self.refusals: Counter[str] = Counter()
        self.steady: list[Steady] = []

    @property
    def carried(self) -> dict[str, str]:
        """The requests whose tunnels carried a byte, and their tags."""
        return {self.request_ids[tag]: tag for tag in tuple(self.reached)}

    def start(self) -> None:
        self._thread.start()
        self._call(self._begin())

    def stop(self) -> None:
        """Has everybody finish what they do."""
        self._stopping = True
        for steady in self.steady:
            self._loop.call_soon_threadsafe(steady.close.set)
        try:
            self._call(self._end())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def wait_for_more(self, tunnels: int = 10) -> None:
        """Waits until so many more tunnels have been opened and used."""
        enough = self.echoed + tunnels
        wait_until(
            lambda: self.echoed >= enough, 90, lambda: f"{self.refusals}\n{self._server.log()[-5000:]}"
        )

    def wait_for_refusals(self, *words: str) -> None:
        """Waits until clients have been told any of these again."""

        def told() -> int:
            return sum(count for told, count in self.refusals.items() if any(word in told for word in words))

        before = told()
        wait_until(lambda: told() > before, 60, lambda: f"{self.refusals}\n{self._server.log()[-5000:]}")

    def keep_steady(self) -> list[Steady]:
        """Tunnels that last, each having carried something."""
        made = [Steady() for _ in range(STEADY)]
        self.steady += made
        for each in made:
            self._call(self._add(self._repeat(partial(self._last, each), once=True)))
        wait_until(lambda: all(each.rounds for each in made), 60, lambda: f"{self.refusals}")
        return made

    def close(self, steady: Steady) -> None:
        """Has the client close its tunnel, and waits until that is done."""
        self._loop.call_soon_threadsafe(steady.close.set)
        wait_until(lambda: steady.over, 30)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT * 2)

    async def _add(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _begin(self) -> None:
        self._target = await asyncio.start_server(self._echo, LOOPBACK, 0)
        self._port = self._target.sockets[0].getsockname()[1]
        for _ in range(BUSY):
            await self._add(self._repeat(self._use))

    async def _end(self) -> None:
        await asyncio.gather(*self._tasks)
        self._target.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            tag = await reader.readexactly(TAG)
            self.reached.add(tag.decode())
            writer.write(tag)
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _repeat(self, use: Callable[[], Coroutine[Any, Any, None]], *, once: bool = False) -> None:
        while not self._stopping:
            try:
                # One that lasts has its time by the round.
                async with asyncio.timeout(None if once else _TIMEOUT):
                    await use()
            except Closed as closed:
                self.refusals[f"{closed.code} {closed.reason}"] += 1
            except _TROUBLE as trouble:
                told = str(trouble) or type(trouble).__name__
                # Of an HTTP answer, the first line: all else is different each time.
                self.refusals[told.partition("\\r\\n")[0]] += 1
            if once:
                return
            await asyncio.sleep(self._random.uniform(0, 0.15))

    async def _open(self) -> tuple[WebSocket, str]:
        client = await WebSocket.open(self._server.gateway_port, self._server.signed_target(self._port))
        _, _, rest = client.answer.lower().partition(b"x-amzn-requestid:")
        tag = f"{self._random.getrandbits(4 * TAG):0{TAG}x}"
        self.request_ids[tag] = rest.partition(b"\r\n")[0].strip().decode()
        await client.send(tag.encode())
        assert await client.receive(TAG) == tag.encode()
        self.echoed += 1
        return client, self.request_ids[tag]

    async def _use(self) -> None:
        client, _ = await self._open()
        try:
            for _ in range(self._random.randrange(4)):
                data = self._random.randbytes(self._random.randrange(1, 20_000))
                await client.send(data)
                assert await client.receive(len(data)) == data
                await asyncio.sleep(self._random.uniform(0, 0.1))
            await client.close()
            await client.hung_up()
        finally:
            client.vanish()

    async def _last(self, steady: Steady) -> None:
        async with asyncio.timeout(_TIMEOUT):
            client, steady.request_id = await self._open()
        steady.bytes = TAG
        try:
            while not steady.close.is_set():
                async with asyncio.timeout(_TIMEOUT):
                    await client.send(b"steady")
                    assert await client.receive(6) == b"steady"
                steady.bytes += 6
                steady.rounds += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await steady.close.wait()
            async with asyncio.timeout(_TIMEOUT):
                await client.close()
                await client.hung_up()
        finally:
            client.vanish()
            steady.over = True


@contextmanager
def load(server: Served, seed: int) -> Iterator[Load]:
    """The load on a server, all of it gone in the end."""
    made = Load(server, seed)
    made.start()
    try:
        yield made
    finally:
        made.stop()
