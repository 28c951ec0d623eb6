"""Attackers, in a process of their own: connections that cost a proxy something and lead to nothing.

They come at a steady rate from some addresses of loopback, whatever becomes of those before, and stand back
for all else on their cores: what is to be seen is what they take from the proxy, not what from its client.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import ssl
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import uvloop
from bench.gateway import machine
from bench.gateway.tunnel import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from multiprocessing.context import ForkProcess as Process
    from multiprocessing.sharedctypes import Synchronized

    Address = tuple[str, int]
    Attack = Callable[[Address, str, bytes], Awaitable[None]]
    Counted = Synchronized[int]

RATE: Final = 300
"""Connections a second."""

SOURCES: Final = [f"127.6.0.{number}" for number in range(1, 17)]
TIMEOUT: Final = 5.0
"""Seconds after which an attacker lets go of a connection."""

WARM_UP: Final = 2.0
"""Seconds from the beginning of a flood until it counts."""

SETTLED: Final = 0.2
"""The same when it goes on after it was held up."""

_TICK: Final = 0.01


async def _half_open(address: Address, source: str, _request: bytes) -> None:
    """Have the proxy answer a ClientHello, which is most of its work, and say no more."""
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        CONTEXT.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
    try:
        writer.write(outgoing.read())
        await reader.read()
    finally:
        writer.transport.abort()


async def _slow_loris(address: Address, source: str, request: bytes) -> None:
    """A request that comes byte by byte."""
    _, writer = await asyncio.open_connection(*address, local_addr=(source, 0), ssl=CONTEXT)
    try:
        for byte in request:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.5)
            if writer.is_closing():
                return
    finally:
        writer.transport.abort()


async def _bad_signatures(address: Address, source: str, request: bytes) -> None:
    """A whole request, whose signature is wrong."""
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0), ssl=CONTEXT)
    try:
        head, _, rest = request.partition(b" HTTP/1.1\r\n")
        writer.write(head[:-8] + b"00000000 HTTP/1.1\r\n" + rest)
        await reader.read()
    finally:
        writer.transport.abort()


FLOODS: Final = {
    "half-open TLS": _half_open,
    "slow loris": _slow_loris,
    "bad signatures": _bad_signatures,
}


class Flood:
    """One that has begun. It can be held up and let go on, to see a proxy with it and without, in turns."""

    def __init__(self, process: Process, attempts: Counted) -> None:
        self._process = process
        self._attempts = attempts
        self._mark = 0, 0.0
        self.rate = 0.0
        """Connections a second while it last went on."""

    def hold(self) -> None:
        attempts, at = self._mark
        self.rate = (self._attempts.value - attempts) / (time.perf_counter() - at)
        self._signal(signal.SIGSTOP)

    def let_go(self, warm_up: float) -> None:
        """Returns after so many seconds of it."""
        self._signal(signal.SIGCONT)
        self._mark = self._attempts.value, time.perf_counter()
        time.sleep(warm_up)

    def _signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)


@contextmanager
def flood(name: str, address: Address, request: bytes, on: set[int]) -> Iterator[Flood]:
    """One that has begun, while in the context."""
    forking = multiprocessing.get_context("fork")
    attempts = forking.Value("L", 0)
    process = forking.Process(target=_run, args=(name, address, request, on, attempts), daemon=True)
    process.start()
    try:
        yield Flood(process, attempts)
    finally:
        process.kill()
        process.join()


def _run(name: str, address: Address, request: bytes, on: set[int], attempts: Counted) -> None:
    machine.pin(os.getpid(), on)
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    uvloop.run(_attack_without_end(FLOODS[name], address, request, attempts))


async def _attack_without_end(attack: Attack, address: Address, request: bytes, attempts: Counted) -> None:
    sources = itertools.cycle(SOURCES)
    going = set[asyncio.Task[None]]()
    while True:
        for _ in range(int(RATE * _TICK)):
            one = asyncio.create_task(_bounded(attack(address, next(sources), request)))
            going.add(one)
            one.add_done_callback(going.discard)
            attempts.value += 1
        await asyncio.sleep(_TICK)


async def _bounded(attack: Awaitable[None]) -> None:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            await attack
