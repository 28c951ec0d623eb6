"""One connection to the API: questions are sent ahead, and answered in order (RFC 9112 section 9.3.2).

Where an answer is the last that the server gives on a connection, or an intermediary answers one question
only, what is left is asked again on a new one: nothing that is sent here does harm when it arrives twice.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from hatchway.client.connection.connection import create_connection
from hatchway.client.connection.http_answer import AnswerReader, BadAnswer, Closed
from hatchway.client.connection.proxy import CHECK, ProxyFailed, proxy_for_url
from hatchway.client.connection.retry import as_while_restarting
from hatchway.client.connection.tls import advice, unknown_ca
from hatchway.client.errors import NO_API, ApiError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.client.connection.http_answer import HttpAnswer
    from hatchway.client.connection.retry import RetryBudget
    from hatchway.client.connection.tls import Trust

TIMEOUT: Final = 10.0
"""Seconds for a connection, and for each wait for an answer's bytes. The API says within half of it that it
has too much to do (`control.threads`)."""

UNRESOLVED: Final = ": nobody says what this name leads to: see that the network and the DNS are there"


class Waiting:
    """A question, and its answer once that is there."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answer: HttpAnswer | None = None


class HttpConnection:
    """To the server of a URL; made with the first question, and kept.

    Args:
        retry_budget: for a server that is just restarting.
    """

    def __init__(
        self,
        url: str,
        trust: Callable[[], Trust],
        timeout: float | None = None,
        retry_budget: RetryBudget | None = None,
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if self._secure else 80)
        self._url, self._trust, self._timeout = url, trust, timeout or TIMEOUT
        self._retry_budget = retry_budget
        self._sock: socket.socket | None = None
        self._reader: AnswerReader | None = None
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
            assert self._reader is not None
            first = self._queue[0]
            try:
                first.answer, last = self._reader.answer()
            except (Closed, ConnectionError) as error:
                self._hang_up()
                # It may have been closed for being idle, which is no fault of what was asked.
                problem = self._problem(error)
                if again and not self._is_waited_for(problem):
                    raise problem from error
                again = True
                continue
            except (OSError, BadAnswer) as error:
                self.close()
                raise self._problem(error) from error
            again = False
            self._queue.pop(0)
            if last:
                self._hang_up()
        return waiting.answer

    def close(self) -> None:
        self._hang_up()
        self._queue.clear()

    def _connect(self) -> None:
        """
        Raises:
            ApiError: there is no connection.
        """
        while self._sock is None:
            try:
                # First, so that a CA that cannot be read is told also where nobody listens.
                trust = self._trust() if self._secure else None
                sock = self._dial() if trust is None else trust.connect(self._dial, self._host)
            except OSError as error:
                problem = self._problem(error, connecting=True)
                if not as_while_restarting(error) or not self._is_waited_for(problem):
                    self.close()
                    raise problem from error
            except (UnicodeError, ValueError) as error:
                self.close()
                raise self._problem(OSError(str(error)), connecting=True) from error
            else:
                self._sock, self._reader = sock, AnswerReader(sock.recv)
        self._transmit(self._queue)

    def _is_waited_for(self, problem: ApiError) -> bool:
        return self._retry_budget is not None and self._retry_budget.is_left(problem.message)

    def _dial(self) -> socket.socket:
        return create_connection(self._host, self._port, self._timeout)

    def _transmit(self, waiting: list[Waiting]) -> None:
        assert self._sock is not None
        try:
            self._sock.sendall(b"".join(each.request for each in waiting))
        except ConnectionError:
            # What it said before it left is still to be read, and if it said nothing that is found out then.
            return
        except OSError as error:
            self.close()
            raise self._problem(error) from error

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = self._reader = None

    def _problem(self, error: Exception, *, connecting: bool = False) -> ApiError:
        """What a connection failed of, and what to do about it."""
        shown = printable(self._url)
        if isinstance(error, ssl.SSLCertVerificationError):
            said = printable(str(error.verify_message)).rstrip(".")
            hint = advice(error, unknown_ca(self._trust().ca_bundle))
            return ApiError("", "", f'SSL validation failed for "{shown}": {said}: {hint}')
        if isinstance(error, ssl.SSLError) and not as_while_restarting(error):
            reason = printable(str(error.reason or error))
            hint = ": check the endpoint URL, for what listens there is not the API"
            return ApiError("", "", f'SSL validation failed for "{shown}": {reason}{hint}')
        if isinstance(error, TimeoutError):
            what = "Connect timeout" if connecting else "Read timeout"
            waited = f"nothing within {self._timeout:g} seconds"
            hint = "see that Hatchway's API listens there, and what is between"
            return ApiError("", "", f'{what} on endpoint URL: "{shown}": {waited}: {hint}')
        if isinstance(error, ProxyFailed):
            said = printable(str(error))
            return ApiError("", "", f'Could not connect to the endpoint URL: "{shown}": {said}')
        if connecting:
            hint = (
                f": {CHECK}, which have it asked through a proxy"
                if proxy_for_url(self._url) is not None
                else UNRESOLVED
                if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
                else ": this name is not known here"
                if isinstance(error, socket.gaierror)
                else ": see that Hatchway runs, and its API listens there"
            )
            return ApiError("", "", f'Could not connect to the endpoint URL: "{shown}"{hint}')
        if isinstance(error, BadAnswer):
            return ApiError("", "", NO_API)
        hint = "" if self._secure else ": the API speaks https"
        return ApiError("", "", f'Connection was closed before there was an answer from "{shown}"{hint}')
