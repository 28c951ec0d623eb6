"""Reading the bodies of requests: each within its size and time, all of them within so much memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from hatchway.protocol import LARGEST_REQUEST, ServiceError
from hatchway.transport.listening.sources import Source

GRACE: Final = 10.0
"""Seconds in which the beginning of a body must come."""
RATE: Final = 32 * 1024
"""Bytes a second at which the rest must come, at least."""
MOST_HELD: Final = 64 * 1024 * 1024
"""Bytes of all bodies that are held at once."""


def stated_length(request: Request) -> int:
    """Bytes of the body that is to come, by the request's head.

    Raises:
        ServiceError: it is too large.
    """
    # It is all digits, and there is no other way to have a body: `syntax` makes sure of that.
    length = int(request.headers.get("content-length", "0"))
    if length > LARGEST_REQUEST:
        raise _too_large()
    return length


def _too_large() -> ServiceError:
    return ServiceError(
        "RequestEntityTooLarge", f"The request is larger than {LARGEST_REQUEST} bytes.", status=413
    )


def _too_slow() -> ServiceError:
    return ServiceError(
        "RequestTimeout",
        f"The request's body did not arrive in time: within {GRACE:.0f} seconds, and one more for each"
        f" {RATE // 1024} KiB of it.",
        status=408,
    )


def _too_many() -> ServiceError:
    return ServiceError(
        "ServiceUnavailable",
        "So many large requests are under way that this one was given up. Try again.",
        status=503,
    )


@dataclass(eq=False, slots=True)
class _Reading:
    source: Source
    proven: bool
    deadline: asyncio.Timeout | None = None
    size: int = 0
    dropped: bool = False


class Bodies:
    """Those that are being read, and those of calls that are being answered.

    When they are too much, the source that holds most loses its largest; sources that have not authenticated
    lose theirs first.
    """

    def __init__(self, most: int = MOST_HELD) -> None:
        self._most = most
        self._held = 0
        self._readings = set[_Reading]()

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self._held

    @asynccontextmanager
    async def read(self, request: Request, source: Source, *, proven: bool) -> AsyncIterator[bytes]:
        """The body, which is held until the context's end.

        `proven` is whether the request's head alone has shown whose it is.

        Raises:
            ServiceError: it is too slow, or had to be given up.
            ClientDisconnect: it ends before its end.
        """
        reading = _Reading(source, proven)
        self._readings.add(reading)
        try:
            yield await self._read(request, reading)
        finally:
            self._readings.discard(reading)
            if not reading.dropped:
                self._held -= reading.size

    async def _read(self, request: Request, reading: _Reading) -> bytes:
        body = bytearray()
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(began + GRACE) as reading.deadline:
                async for chunk in request.stream():
                    if reading.dropped:
                        raise _too_many()
                    body += chunk
                    reading.size += len(chunk)
                    self._held += len(chunk)
                    reading.deadline.reschedule(began + GRACE + reading.size / RATE)
                    while self._held > self._most and not reading.dropped:
                        self._drop_one()
        except TimeoutError:
            raise (_too_many() if reading.dropped else _too_slow()) from None
        finally:
            reading.deadline = None
        if reading.dropped:
            raise _too_many()
        return bytes(body)

    def _drop_one(self) -> None:
        of_source: dict[Source, int] = {}
        for each in self._readings:
            of_source[each.source] = of_source.get(each.source, 0) + each.size
        begun = [
            (not each.proven, of_source[each.source], each.size, id(each), each, each.deadline)
            for each in self._readings
            if each.deadline is not None and not each.deadline.expired() and not each.dropped
        ]
        *_, evicted, deadline = max(begun)
        evicted.dropped = True
        self._held -= evicted.size
        deadline.reschedule(asyncio.get_running_loop().time())
