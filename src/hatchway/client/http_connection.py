"""One connection to the API: questions are sent ahead, and answered in order (RFC 9112 section 9.3.2).

Where an answer is the last that the server gives on a connection, or an intermediary answers one question
only, what is left is asked again on a new one: nothing that is sent here does harm when it arrives twice.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from hatchway.client.errors import ApiError, printable
from hatchway.client.proxy import proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT: Final = 60.0
"""Seconds for a connection, and for each wait for an answer's bytes."""

_HEAD_LIMIT: Final = 65_536
_BODY_LIMIT: Final = 64 << 20
_CHUNK: Final = 1 << 18


class BadAnswer(Exception):
    """What came is no answer of HTTP."""


class _Closed(Exception):
    """The connection ended before the answer did."""


class HttpAnswer(NamedTuple):
    """`headers` by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Waiting:
    """A question, and its answer once that is there."""

    request: bytes
    answer: HttpAnswer | None = None


class HttpConnection:
    """To the server of a URL; made with the first question, and kept."""

    def __init__(self, url: str, context: Callable[[], ssl.SSLContext], timeout: float | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._secure else 80)
        self._url, self._context, self._timeout = url, context, timeout or TIMEOUT
        self._sock: socket.socket | None = None
        self._received = bytearray()
        self._queue: list[Waiting] = []

    def send_all(self, waiting: list[Waiting]) -> None:
        """Send whole requests; `answer` gives what is said to one, after all that were sent before.

        Raises:
            ApiError: there is no connection; without an operation, which the caller knows.
        """
        self._queue += waiting
        if self._sock is None:
            self._connect()
        else:
            self._transmit(waiting)

    def answer(self, waiting: Waiting) -> HttpAnswer:
        """
        Raises:
            ApiError: there is none; without an operation, which the caller knows.
        """
        again = False
        while waiting.answer is None:
            if self._sock is None:
                self._connect()
            first = self._queue[0]
            try:
                first.answer, last = self._read()
            except (_Closed, ConnectionError) as error:
                self._hang_up()
                # It may have been closed for being idle, which is no fault of what was asked.
                if again:
                    raise _problem(self._url, error) from error
                again = True
                continue
            except (OSError, BadAnswer) as error:
                self.close()
                raise _problem(self._url, error) from error
            again = False
            self._queue.pop(0)
            if last:
                self._hang_up()
        return waiting.answer

    def close(self) -> None:
        self._hang_up()
        self._queue.clear()

    def _connect(self) -> None:
        try:
            # First, so that a CA that cannot be read is told also where nobody listens.
            context = self._context() if self._secure else None
            sock = self._dial()
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                # Through a proxy that is reached by TLS it is a pair of sockets within this machine.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                sock = context.wrap_socket(sock, server_hostname=self._host)
            self._sock = sock
            self._transmit(self._queue)
        except OSError as error:
            self.close()
            raise _problem(self._url, error, connecting=True) from error
        except (UnicodeError, ValueError) as error:
            self.close()
            raise _problem(self._url, OSError(str(error)), connecting=True) from error

    def _dial(self) -> socket.socket:
        proxy = proxy_for(self._host, self._port)
        if proxy is None:
            return socket.create_connection((self._host, self._port), self._timeout)
        from hatchway.client.proxied import connect_through

        return connect_through(proxy, self._host, self._port, self._timeout)

    def _transmit(self, waiting: list[Waiting]) -> None:
        assert self._sock is not None
        try:
            self._sock.sendall(b"".join(each.request for each in waiting))
        except ConnectionError:
            # What it said before it left is still to be read, and if it said nothing that is found out then.
            return

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None
        self._received.clear()

    # Reading one answer.

    def _read(self) -> tuple[HttpAnswer, bool]:
        """The next answer, and whether it is the connection's last."""
        status = 100
        while 100 <= status < 200:
            status, version, headers = self._read_head()
        last = version == b"HTTP/1.0" or "close" in headers.get("connection", "").lower()
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._read_chunks()
        elif (length := headers.get("content-length")) is not None:
            if not length.isascii() or not length.isdigit():
                raise BadAnswer
            body = self._take(int(length[:20]))
        else:
            body, last = self._read_rest(), True
        return HttpAnswer(status, headers, body), last

    def _read_head(self) -> tuple[int, bytes, dict[str, str]]:
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > _HEAD_LIMIT:
                raise BadAnswer
            self._receive()
        head = bytes(self._received[:end])
        del self._received[: end + 4]
        first, *lines = head.split(b"\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise BadAnswer
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(words[1][:3]), words[0], headers

    def _read_chunks(self) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            try:
                length = int(self._line().partition(b";")[0], 16)
            except ValueError:
                raise BadAnswer from None
            if length <= 0:
                break
            size += length
            if size > _BODY_LIMIT:
                raise BadAnswer
            chunks.append(self._take(length))
            self._line()
        while self._line():
            pass
        return b"".join(chunks)

    def _read_rest(self) -> bytes:
        try:
            while len(self._received) <= _BODY_LIMIT:
                self._receive()
        except _Closed:
            return bytes(self._received)
        raise BadAnswer

    def _line(self) -> bytes:
        while (end := self._received.find(b"\r\n")) < 0:
            if len(self._received) > _HEAD_LIMIT + _CHUNK:
                raise BadAnswer
            self._receive()
        line = bytes(self._received[:end])
        del self._received[: end + 2]
        return line

    def _take(self, size: int) -> bytes:
        if size > _BODY_LIMIT:
            raise BadAnswer
        while len(self._received) < size:
            self._receive()
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _receive(self) -> None:
        assert self._sock is not None
        data = self._sock.recv(_CHUNK)
        if not data:
            raise _Closed
        self._received += data


def _problem(url: str, error: Exception, *, connecting: bool = False) -> ApiError:
    """What a connection failed of, and what to do about it."""
    shown = printable(url)
    if isinstance(error, ssl.SSLCertVerificationError):
        mismatch = any(
            text in str(error.verify_message) for text in ("mismatch", "doesn't match", "not valid")
        )
        mismatch = mismatch and "expired" not in str(error.verify_message)
        hint = (
            ": call the server by a name that its certificate has"
            if mismatch
            else " (give the CA with --ca-bundle or AWS_CA_BUNDLE)"
        )
        return ApiError(
            "", "", f'SSL validation failed for "{shown}": {printable(str(error.verify_message))}{hint}'
        )
    if isinstance(error, ssl.SSLError):
        reason = printable(str(error.reason or error))
        hint = ": check the endpoint URL, for what listens there is not the API"
        return ApiError("", "", f'SSL validation failed for "{shown}": {reason}{hint}')
    if isinstance(error, TimeoutError):
        what = "Connect timeout" if connecting else "Read timeout"
        hint = ": see that Hatchway's API listens there, and what is between"
        return ApiError("", "", f'{what} on endpoint URL: "{shown}"{hint}')
    if connecting:
        hint = (
            ": this name is not known here"
            if isinstance(error, socket.gaierror)
            else ": see that Hatchway runs, and its API listens there"
        )
        return ApiError("", "", f'Could not connect to the endpoint URL: "{shown}"{hint}')
    if isinstance(error, BadAnswer):
        return ApiError("", "", NO_API)
    hint = ": the API speaks https" if url.startswith("http:") else ""
    return ApiError("", "", f'Connection was closed before there was an answer from "{shown}"{hint}')


NO_API: Final = (
    "the answer is not that of Hatchway's API: check the endpoint URL (a gateway's port is another)"
)
