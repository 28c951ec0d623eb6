"""Asking a gateway for a tunnel: connection, TLS and the WebSocket's handshake, one after the other.

`Preconnection` connects before it is known whether that gateway will be asked: on a slow link this takes as
long as all other requests together.
"""

from __future__ import annotations

import base64
import errno
import os
import re
import select
import socket
import ssl
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway import __version__
from hatchway.client.connection.connection import create_connection
from hatchway.client.connection.http_answer import AnswerReader, BadAnswer, Closed
from hatchway.client.connection.retry import as_while_restarting
from hatchway.client.connection.tls import advice, unknown_ca
from hatchway.client.errors import (
    REQUEST_ID_HEADER,
    ClientError,
    GatewayUnreachable,
    NotOpened,
    printable,
)
from hatchway.client.tunnel.attempts import attempts, refusal
from hatchway.client.tunnel.frames import accept_value
from hatchway.client.tunnel.read_watchdog import watched_reads
from hatchway.client.tunnel.signals import waking_on_signals
from hatchway.domain.tunnel_protocol import HALF_CLOSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchway.client.connection.http_answer import HttpAnswer
    from hatchway.client.connection.retry import RetryBudget
    from hatchway.client.connection.tls import Trust
    from hatchway.client.discovery.plan import Route, TunnelPlan

CONNECT_TIMEOUT: Final = 20.0
"""Seconds for connection, TLS and the gateway's answer together."""

NO_ANSWER: Final = (
    f"no answer within {CONNECT_TIMEOUT:.0f} seconds: see whether the gateway is overloaded or stopped, and"
    " what firewalls stand between"
)

_ERRNO: Final = r"\[Errno (\d+)\]"

SUBPROTOCOL_HEADER: Final = "Sec-WebSocket-Protocol"
"""In which we offer `HALF_CLOSE`, and a gateway that knows it says so (RFC 6455 section 11.3.4)."""

REFUSAL_LIMIT: Final = 1 << 20
_SWITCHING_PROTOCOLS: Final = 101


class Opened(NamedTuple):
    """A tunnel: its connection, which waits for nothing; what came on it behind the answer; whether either
    side can end its own direction alone; and the id of the request that opened it."""

    sock: ssl.SSLSocket
    received: bytes
    half_close: bool
    request_id: str | None


def open_with_retries(
    plan: TunnelPlan,
    trust: Trust,
    preconnection: Preconnection | None = None,
    retry_budget: RetryBudget | None = None,
) -> Opened:
    """As `open_by_any`; where the gateways are just restarting, once more while the retry budget lasts.

    What was accepted is never asked for again. Where a connection ends before there is an answer, what was
    asked on it, if the gateway has taken it up, has ended with it.

    Raises:
        ClientError: as `open_by_any`.
    """
    while True:
        try:
            return open_by_any(plan, trust, preconnection)
        except NotOpened as problem:
            if not problem.restarting or retry_budget is None or not retry_budget.is_left(str(problem)):
                raise


def open_by_any(plan: TunnelPlan, trust: Trust, preconnection: Preconnection | None = None) -> Opened:
    """By the first endpoint that does not refuse, the plan's own or another.

    Raises:
        ClientError: as `tunnel.open_tunnel`, but for what comes of an open tunnel.
    """
    steps = attempts(plan, plan.credentials())
    route, target = next(steps)
    while True:
        until = time.monotonic() + CONNECT_TIMEOUT
        try:
            sock = None if preconnection is None else preconnection.take(route, until)
            if sock is not None:
                # It may have been closed for being idle, which is no fault of what is asked.
                with suppress(GatewayUnreachable):
                    return ask(sock, route, target, until)
            return ask(connect(route, trust, until), route, target, until)
        except NotOpened as problem:
            route, target = steps.send(problem)


def connect(route: Route, trust: Trust, until: float) -> ssl.SSLSocket:
    """A connection by TLS.

    Args:
        until: by when (`time.monotonic`) it has to be there.

    Raises:
        GatewayUnreachable: there is no gateway, or it is not to be trusted.
        NotConfigured: the environment names a proxy that is none.
    """

    def dial_gateway() -> socket.socket:
        sock = create_connection(
            route.address or route.dns_name, route.port, _left(until), route.source_address
        )
        sock.settimeout(_left(until))
        return sock

    with unreachable(route):
        return trust.connect(dial_gateway, route.dns_name)


def ask(sock: ssl.SSLSocket, route: Route, target: str, until: float) -> Opened:
    """The tunnel that a gateway opens on a connection to it, which is closed if it does not.

    Raises:
        TunnelRefused: the gateway said no.
        GatewayUnreachable: it said nothing that makes sense.
    """

    def receive(size: int) -> bytes:
        while True:
            wanted = select.POLLIN
            try:
                with reads.one():
                    received = sock.recv(size)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            else:
                # It may have been ended for its time.
                _left(until)
                return received
            ready = select.poll()
            ready.register(sock, wanted)
            ready.poll(_left(until) * 1000)

    key = base64.b64encode(os.urandom(16)).decode("ascii")
    reader = AnswerReader(receive, REFUSAL_LIMIT)
    try:
        with unreachable(route), waking_on_signals() as signals, watched_reads(sock, signals, until) as reads:
            sock.settimeout(_left(until))
            with suppress(ConnectionError):
                # What it said before it left is still to be read.
                sock.sendall(upgrade_request(route, target, key))
            sock.setblocking(False)
            answer, _ = reader.answer()
            half_close, request_id = accepted(answer, key)
    except BaseException:
        sock.close()
        raise
    return Opened(sock, bytes(reader.received), half_close, request_id)


def accepted(answer: HttpAnswer, key: str) -> tuple[bool, str | None]:
    """Whether each side of the tunnel can end its own direction alone, and the id of the request.

    Args:
        key: what was asked with: see `upgrade_request`.

    Raises:
        TunnelRefused: the gateway says no.
        BadAnswer: it says nothing that makes sense.
    """
    if answer.status != _SWITCHING_PROTOCOLS:
        raise refusal(answer.status, answer.headers, answer.body)
    protocol = answer.headers.get(SUBPROTOCOL_HEADER.lower())
    if (
        answer.headers.get("upgrade", "").lower() != "websocket"
        or answer.headers.get("sec-websocket-accept") != accept_value(key)
        or protocol not in (None, HALF_CLOSE)
    ):
        raise BadAnswer
    request_id = answer.headers.get(REQUEST_ID_HEADER)
    return protocol == HALF_CLOSE, None if request_id is None else printable(request_id, 100)


def upgrade_request(route: Route, target: str, key: str) -> bytes:
    """RFC 6455 section 4.1. `key` is that of the handshake, 16 bytes in base64."""
    headers = {
        # The signature covers the Host header, in which DnsName stands without a port.
        "Host": route.dns_name,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "User-Agent": f"hatchway/{__version__}",
        SUBPROTOCOL_HEADER: HALF_CLOSE,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii")


@contextmanager
def unreachable(route: Route) -> Iterator[None]:
    """
    Raises:
        GatewayUnreachable: in the place of whatever a connection fails of.
    """
    try:
        yield
    except ClientError:
        raise
    except TimeoutError as error:
        raise GatewayUnreachable(str(route), NO_ANSWER) from error
    except ssl.SSLCertVerificationError as error:
        raise not_trusted(route, error) from error
    except Closed as error:
        said = "the connection ended before there was an answer"
        raise GatewayUnreachable(str(route), said, restarting=True) from error
    except BadAnswer as error:
        raise GatewayUnreachable(str(route), "what answers there is no gateway") from error
    except (OSError, ValueError) as error:
        # ValueError: what stands for a name or an address cannot be one.
        restarting = as_while_restarting(error)
        raise GatewayUnreachable(str(route), not_reached(error), restarting=restarting) from error


def not_reached(error: Exception) -> str:
    """Why there is no connection, and what to do."""
    if isinstance(error, ssl.SSLError) and not as_while_restarting(error):
        return f"{printable(str(getattr(error, 'reason', None) or error))}: what listens there is no gateway"
    if isinstance(error, ssl.SSLError):
        return "the connection ended before there was an answer: no gateway is behind it, or it is restarting"
    said = printable(str(getattr(error, "strerror", None) or error))
    if isinstance(error, ConnectionRefusedError):
        return f"{said}: no gateway listens there, or it is restarting"
    if isinstance(error, ConnectionError):
        return f"{said}: no gateway is behind it, or it is restarting"
    if getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
        return f"{said}: correct --source-address"
    if getattr(error, "errno", None) in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return f"{said}: see that the network is there, and that the endpoint's DnsName leads to the gateway"
    if isinstance(error, socket.gaierror):
        return f"{said}: have the name in the DNS or in the hosts file, or give --gateway-address"
    return said


def as_the_system_says(error: Exception) -> Exception:
    """What an event loop's connection failed of, in the system's words: asyncio has its own, and where a name
    has several addresses no number of an error either. Of several it is the last one's, as of
    `create_connection`."""
    numbers = re.findall(_ERRNO, str(error)) if isinstance(error, OSError) else []
    return OSError(int(numbers[-1]), os.strerror(int(numbers[-1]))) if numbers else error


def not_trusted(route: Route, error: ssl.SSLCertVerificationError) -> GatewayUnreachable:
    """A gateway whose certificate is none that we trust."""
    usual = f"{unknown_ca(route.ca_bundle)}, or add it to the system's with 'hatchway trust install'"
    said = f"its certificate is not trusted ({printable(error.verify_message)}): {advice(error, usual)}"
    return GatewayUnreachable(str(route), said, passing=False)


def _left(until: float) -> float:
    """
    Raises:
        TimeoutError: there is no time left.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class Preconnection:
    """A connection to where a gateway was the last time, made in a thread; nothing is asked on it.

    Whoever goes elsewhere closes it.
    """

    def __init__(self, route: Route, trust: Trust) -> None:
        import threading

        self._route = route
        self._sock: ssl.SSLSocket | None = None
        self._wanted = True
        self._taking = threading.Lock()
        self._thread = threading.Thread(target=self._connect, args=(trust,), daemon=True)
        self._thread.start()

    def _connect(self, trust: Trust) -> None:
        # Whatever it fails of is found out again, and told, by whoever needs that gateway.
        with suppress(ClientError):
            sock = connect(self._route, trust, time.monotonic() + CONNECT_TIMEOUT)
            with self._taking:
                if self._wanted:
                    self._sock = sock
                else:
                    sock.close()

    def take(self, route: Route, until: float) -> ssl.SSLSocket | None:
        """It, once; None where it failed, or leads elsewhere."""
        if route == self._route:
            self._thread.join(max(0.0, until - time.monotonic()))
        with self._taking:
            sock, self._sock, self._wanted = self._sock, None, False
        if sock is None or route == self._route:
            return sock
        sock.close()
        return None
