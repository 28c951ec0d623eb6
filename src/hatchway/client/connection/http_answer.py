"""One answer of HTTP/1.1 after the other, from whatever gives bytes (RFC 9112 sections 2, 6 and 7)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HEAD_LIMIT: Final = 65_536
_CHUNK: Final = 1 << 18
_MOST_BEFORE: Final = 100
"""Answers before the one that counts, and lines of trailers, beyond which there is no end of them."""
_SWITCHING_PROTOCOLS: Final = 101


Result = TypeVar("Result")
Steps = Generator[None, bytes, Result]
"""Asks for what comes, and returns something in the end."""


class BadAnswer(Exception):
    """What came is no answer of HTTP."""


class Closed(Exception):
    """The connection ended before the answer did."""


class HttpAnswer(NamedTuple):
    """`headers` by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class AnswerReader:
    """`received` is what came and is not read yet.

    Args:
        receive: gives up to so many bytes, none at the end; None for who takes `steps`.
        body_limit: bytes of an answer's content.
    """

    def __init__(self, receive: Callable[[int], bytes] | None = None, body_limit: int = 64 << 20) -> None:
        self._receive_some = receive
        self._body_limit = body_limit
        self.received = bytearray()

    def answer(self) -> tuple[HttpAnswer, bool]:
        """The next answer, and whether it is the connection's last. Behind a 101 comes another protocol.

        Raises:
            BadAnswer: what came is none.
            Closed: the connection ended before it did.
            OSError: of `receive`.
        """
        assert self._receive_some is not None
        steps = self.steps()
        try:
            next(steps)
            while True:
                steps.send(self._receive_some(_CHUNK))
        except StopIteration as done:
            answer: tuple[HttpAnswer, bool] = done.value
            return answer

    def steps(self) -> Steps[tuple[HttpAnswer, bool]]:
        """The same for whoever waits for bytes in another way: it is sent what came, nothing at the end, and
        returns what `answer` does.

        Raises:
            BadAnswer, Closed: as `answer`.
        """
        for _ in range(_MOST_BEFORE):
            status, version, headers = yield from self._read_head()
            if not 100 <= status < 200 or status == _SWITCHING_PROTOCOLS:
                break
        else:
            raise BadAnswer
        if status == _SWITCHING_PROTOCOLS:
            return HttpAnswer(status, headers, b""), False
        last = version == b"HTTP/1.0" or "close" in headers.get("connection", "").lower()
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = yield from self._read_chunks()
        elif (length := headers.get("content-length")) is not None:
            if not length.isascii() or not length.isdigit():
                raise BadAnswer
            body = yield from self._take(int(length[:20]))
        else:
            body, last = (yield from self._read_rest()), True
        return HttpAnswer(status, headers, body), last

    def _read_head(self) -> Steps[tuple[int, bytes, dict[str, str]]]:
        end = yield from self._find(b"\r\n\r\n", _HEAD_LIMIT)
        head = bytes(self.received[:end])
        del self.received[: end + 4]
        first, *lines = head.split(b"\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise BadAnswer
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(words[1][:3]), words[0], headers

    def _read_chunks(self) -> Steps[bytes]:
        chunks: list[bytes] = []
        size = 0
        while True:
            try:
                length = int((yield from self._line()).partition(b";")[0], 16)
            except ValueError:
                raise BadAnswer from None
            if length <= 0:
                break
            size += length
            if size > self._body_limit:
                raise BadAnswer
            chunks.append((yield from self._take(length)))
            yield from self._line()
        for _ in range(_MOST_BEFORE):
            if not (yield from self._line()):
                return b"".join(chunks)
        raise BadAnswer

    def _read_rest(self) -> Steps[bytes]:
        try:
            while len(self.received) <= self._body_limit:
                yield from self._receive()
        except Closed:
            return bytes(self.received)
        raise BadAnswer

    def _line(self) -> Steps[bytes]:
        end = yield from self._find(b"\r\n", _HEAD_LIMIT + _CHUNK)
        line = bytes(self.received[:end])
        del self.received[: end + 2]
        return line

    def _find(self, ending: bytes, limit: int) -> Steps[int]:
        """Where it begins. What comes byte by byte is not looked through again for each."""
        looked = 0
        while (end := self.received.find(ending, looked)) < 0:
            if len(self.received) > limit:
                raise BadAnswer
            looked = max(0, len(self.received) - len(ending) + 1)
            yield from self._receive()
        return end

    def _take(self, size: int) -> Steps[bytes]:
        if size > self._body_limit:
            raise BadAnswer
        while len(self.received) < size:
            yield from self._receive()
        taken = bytes(self.received[:size])
        del self.received[:size]
        return taken

    def _receive(self) -> Steps[None]:
        data = yield
        if not data:
            raise Closed
        self.received += data
