"""What strangers try on the API's port. Each attack is one function, bounded, and ends by itself.

They say what came of it, and judge nothing: `tests/control/test_strangers.py` does. All connections of one
attack come from one address, which on loopback may be any of 127.0.0.0/8.
"""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from tests.gateway.hostile_frames import update_keys

_GONE: Final = (OSError, asyncio.IncompleteReadError, EOFError)
_ENOUGH: Final = 256 * 1024
"""Bytes of what is answered on a connection that are kept."""
_UNREAD: Final = 1024
"""Bytes that are taken from the connection without being asked for; beyond twice that they stay there."""
_FORM: Final = b"content-type: application/x-www-form-urlencoded\r\n"


@dataclass(frozen=True, slots=True)
class Bound:
    """How many connections, or requests, an attack makes, and for how many seconds it goes on.

    One that is to leave no more than so many connections goes on until that is so, for a minute at most.
    """

    many: int
    seconds: float
    left: int | None = None


@dataclass(slots=True)
class Outcome:
    """What came of an attack.

    Attributes:
        opened: connections that got as far as the attack needs.
        refused: those that did not.
        ended: those of the opened ones that the server had ended by the end of the attack.
        statuses: of the answers.
        answers: each answer as it came.
    """

    opened: int = 0
    refused: int = 0
    ended: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    answers: list[bytes] = field(default_factory=list)

    def answered(self, answer: bytes) -> None:
        if answer:
            self.answers.append(answer)
            self.statuses[int(answer.split(b" ", 2)[1])] += 1


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def half_open(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """Connections that say nothing at all, not even the beginning of TLS."""
    return _attack(host, port, bound, source, _silence, tls=False)


def half_open_after_a_byte(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """TLS handshakes that stop after their first bytes."""

    async def begin(wire: Wire, outcome: Outcome) -> None:
        wire[1].write(b"\x16\x03\x01\x02\x00\x01")
        await _silence(wire, outcome)

    return _attack(host, port, bound, source, begin, tls=False)


def silent_after_tls(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """Connections that shake hands, and ask nothing."""
    return _attack(host, port, bound, source, _silence)


def trickled_heads(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """Requests whose head comes by one byte a tenth of a second, and never ends."""

    async def trickle(wire: Wire, outcome: Outcome) -> None:
        await _send(wire, b"GET / HTTP/1.1\r\nhost: h\r\n")
        await _trickle(wire, outcome, b"x: y\r\n" * 10_000)

    return _attack(host, port, bound, source, trickle)


def trickled_bodies(
    host: str, port: int, bound: Bound, source: str | None = None, *, authorization: str = ""
) -> Outcome:
    """Calls whose body comes by one byte a tenth of a second."""

    async def trickle(wire: Wire, outcome: Outcome) -> None:
        await _send(wire, _head(8192, authorization))
        await _trickle(wire, outcome, b"Action=DescribeInstances&" * 400)

    return _attack(host, port, bound, source, trickle)


def large_bodies(
    host: str, port: int, bound: Bound, source: str | None = None, *, authorization: str = ""
) -> Outcome:
    """Calls of nearly a mebibyte that are never complete: the server is to hold what has come."""

    async def fill(wire: Wire, outcome: Outcome) -> None:
        size = 1 << 20
        await _send(wire, _head(size, authorization))
        for _ in range(63):
            await _send(wire, b"a" * (size // 64))
        await _silence(wire, outcome)

    return _attack(host, port, bound, source, fill)


def bodies_nobody_asked_for(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """Bodies sent to a page that has none, by a byte a tenth of a second, for ever."""

    async def trickle(wire: Wire, outcome: Outcome) -> None:
        await _send(wire, b"GET /healthz HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n")
        await _trickle(wire, outcome, bytes(10_000))

    return _attack(host, port, bound, source, trickle)


def tiny_chunks(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """A body in chunks of one byte: a million of them cost a parser seconds."""

    async def chunks(wire: Wire, outcome: Outcome) -> None:
        await _send(wire, b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(100):
            await _send(wire, b"1\r\na\r\n" * 10_000)
        await _silence(wire, outcome)

    return _attack(host, port, bound, source, chunks)


def many_headers(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """Heads with as many headers as there is room for."""

    async def ask(wire: Wire, outcome: Outcome) -> None:
        await _send(wire, b"GET /healthz HTTP/1.1\r\nhost: h\r\n" + b"a:b\r\n" * 5000 + b"\r\n")
        await _silence(wire, outcome)

    return _attack(host, port, bound, source, ask)


def key_updates(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """Heads of which each byte comes behind 500 TLS key updates, which OpenSSL takes milliseconds for."""

    async def update(wire: Wire, outcome: Outcome) -> None:
        tls = wire[1].get_extra_info("ssl_object")
        await _send(wire, b"GET / HTTP/1.1\r\nhost: h\r\nx: ")
        while True:
            update_keys(tls, 500)
            await _send(wire, b"y")
            await asyncio.sleep(0)

    return _attack(host, port, bound, source, update)


def pipelined(host: str, port: int, bound: Bound, source: str | None = None, *, request: bytes) -> Outcome:
    """The same request a thousand times on each connection, all at once, the answers being read."""

    async def flood(wire: Wire, outcome: Outcome) -> None:
        await _send(wire, request * 1000)
        await _silence(wire, outcome)

    return _attack(host, port, bound, source, flood)


def pipelined_and_unread(
    host: str, port: int, bound: Bound, source: str | None = None, *, request: bytes
) -> Outcome:
    """The same for as long as the server takes requests, no answer being read."""

    async def flood(wire: Wire, outcome: Outcome) -> None:
        while True:
            await _send(wire, request)
            await asyncio.sleep(0)

    return _attack(host, port, bound, source, flood)


def bad_signatures(
    host: str, port: int, bound: Bound, source: str | None = None, *, authorization: str
) -> Outcome:
    """Calls with a signature that is nobody's, each on a connection of its own, one after the other."""

    async def attack() -> Outcome:
        outcome = Outcome()
        async with asyncio.timeout(bound.seconds):
            for _ in range(bound.many):
                await _each(host, port, source, outcome, ask)
        return outcome

    async def ask(wire: Wire, outcome: Outcome) -> None:
        await _send(wire, _head(0, authorization))
        await _silence(wire, outcome)

    return asyncio.run(attack())


def ambiguous_requests(host: str, port: int, bound: Bound, source: str | None = None) -> Outcome:
    """Requests that two programs may understand differently, each with a second one hidden in it."""
    hidden = b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n"
    return raw_requests(host, port, bound, [text + hidden for text in AMBIGUOUS], source)


AMBIGUOUS: Final = (
    b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 0\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0, 5\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: +0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0x0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 0_0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: " + b"0" * 400 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length : 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\n content-length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\nx: y\r\n\tcontent-length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\ncontent-length: 0\r\n\r\n",
    b"POST / HTTP/1.1\nhost: h\n\n",
    b"POST / HTTP/1.1\r\nhost: h\r\nx: a\rcontent-length: 0\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\nx: a\x00b\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: h\r\nhost: g\r\ncontent-length: 0\r\n\r\n",
    b"GET https://h/healthz HTTP/1.1\r\nhost: h\r\n\r\n",
    b"GET healthz HTTP/1.1\r\nhost: h\r\n\r\n",
    b"CONNECT h:443 HTTP/1.1\r\nhost: h\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
    b"GET / HTTP/2.0\r\nhost: h\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


def raw_requests(
    host: str, port: int, bound: Bound, requests: Iterable[bytes], source: str | None = None
) -> Outcome:
    """Each on a connection of its own, one after the other; all that is answered on it is one answer."""

    async def attack() -> Outcome:
        outcome = Outcome()
        async with asyncio.timeout(bound.seconds):
            for request in requests:

                async def ask(wire: Wire, outcome: Outcome, request: bytes = request) -> None:
                    await _send(wire, request)
                    await _silence(wire, outcome)

                await _each(host, port, source, outcome, ask)
        return outcome

    return asyncio.run(attack())


def _head(length: int, authorization: str) -> bytes:
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    signed = f"authorization: {authorization}\r\nx-amz-date: {now}\r\n".encode() if authorization else b""
    return b"POST / HTTP/1.1\r\nhost: h\r\n" + _FORM + signed + b"content-length: %d\r\n\r\n" % length


def _attack(
    host: str,
    port: int,
    bound: Bound,
    source: str | None,
    act: Callable[[Wire, Outcome], Awaitable[None]],
    *,
    tls: bool = True,
) -> Outcome:
    """Acts on `bound.many` connections at once until the time is up."""

    async def attack() -> Outcome:
        outcome = Outcome()
        tasks = [
            asyncio.create_task(_each(host, port, source, outcome, act, tls=tls)) for _ in range(bound.many)
        ]
        done, pending = await asyncio.wait(tasks, timeout=bound.seconds)
        if bound.left is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    while len(pending) > bound.left:
                        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                        done, pending = await asyncio.wait(tasks, timeout=0)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()
        outcome.ended = len(done) - outcome.refused
        return outcome

    return asyncio.run(attack())


@cache
def _context() -> ssl.SSLContext:
    """It takes any certificate: an attacker does not care."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _each(
    host: str,
    port: int,
    source: str | None,
    outcome: Outcome,
    act: Callable[[Wire, Outcome], Awaitable[None]],
    *,
    tls: bool = True,
) -> None:
    try:
        wire = await asyncio.open_connection(
            host,
            port,
            ssl=_context() if tls else None,
            local_addr=(source, 0) if source else None,
            limit=_UNREAD,
        )
    except OSError:
        outcome.refused += 1
        return
    outcome.opened += 1
    try:
        with suppress(*_GONE):
            await act(wire, outcome)
    finally:
        wire[1].transport.abort()


async def _send(wire: Wire, data: bytes) -> None:
    wire[1].write(data)
    await wire[1].drain()


async def _trickle(wire: Wire, outcome: Outcome, data: bytes) -> None:
    listening = asyncio.ensure_future(_silence(wire, outcome))
    try:
        for octet in data:
            await _send(wire, bytes([octet]))
            await asyncio.sleep(0.1)
            if listening.done():
                return
    finally:
        listening.cancel()


async def _silence(wire: Wire, outcome: Outcome) -> None:
    """Reads to the end of the connection, and says nothing more."""
    answer = b""
    try:
        with suppress(*_GONE):
            while piece := await wire[0].read(65536):
                answer += piece[: _ENOUGH - len(answer)]
    finally:
        outcome.answered(answer)
