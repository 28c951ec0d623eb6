"""Asks a gateway for a tunnel, for `asyncio_relay`: connection, TLS, and the WebSocket handshake.

The bytes that are read behind the answer belong to the relay. After its handshake OpenSSL gets only whole
records, so that it holds none when the core goes on.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway.client.connection.connection import DELAY, ascii_name
from hatchway.client.connection.http_answer import AnswerReader
from hatchway.client.connection.proxy import proxy_for
from hatchway.client.tunnel.opening import (
    CONNECT_TIMEOUT,
    REFUSAL_LIMIT,
    accepted,
    as_the_system_says,
    unreachable,
    upgrade_request,
)
from hatchway.client.tunnel.python_session import PythonSession

if TYPE_CHECKING:
    from hatchway.client.connection.tls import Trust
    from hatchway.client.discovery.plan import Route
    from hatchway.transport.core._core import Session

_READ_SIZE: Final = 64 * 1024
_RECORD: Final = 16 * 1024
_HEADER: Final = 5
"""Bytes read at once; bytes of data in a record; and bytes of a record's header, whose last two contain the
length of the rest (RFC 8446 section 5.1)."""

_RECORDS: Final = 16
"""Records after which others get their turn."""

_MISMATCHES: Final = {62: "Hostname", 64: "IP address"}
"""OpenSSL's codes about which Python says more than OpenSSL (x509_vfy.h)."""


class Opened(NamedTuple):
    """An open tunnel.

    Attributes:
        sock: its connection, which is non-blocking.
        received: what came behind the answer, as frames.
        encrypted: what came behind that, still encrypted.
        half_close: whether either side can end its own direction alone.
        request_id: the id of its request.
    """

    sock: socket.socket
    session: Session | PythonSession
    received: bytes
    encrypted: bytes
    half_close: bool
    request_id: str | None


async def open_in_loop(route: Route, target: str, trusted: Trust, *, by_core: bool) -> Opened:
    """
    Args:
        by_core: whether the compiled core does its TLS.

    Raises:
        TunnelRefused: the gateway refused.
        GatewayUnreachable: there is no gateway, it is not trusted, or its answer makes no sense.
        NotConfigured: the environment names an invalid proxy.
    """
    with unreachable(route):
        async with asyncio.timeout(CONNECT_TIMEOUT):
            sock = await _dial(route)
            try:
                name = _name(route.dns_name)
                session = (
                    trusted.compiled.session(name) if by_core else PythonSession(trusted.everything, name)
                )
                return await _ask(sock, route, target, session)
            except BaseException:
                sock.close()
                raise


async def _dial(route: Route) -> socket.socket:
    host = route.address or route.dns_name
    for name in (host, route.dns_name):
        ascii_name(name)
    proxy = proxy_for(host, route.port)
    if proxy is not None:
        from hatchway.client.connection.proxied import connect_through

        sock = await asyncio.to_thread(connect_through, proxy, host, route.port, CONNECT_TIMEOUT)
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            _Connected,
            host,
            route.port,
            local_addr=None if route.source_address is None else (route.source_address, 0),
            happy_eyeballs_delay=DELAY,
        )
    except OSError as error:
        raise as_the_system_says(error) from error
    # The event loop releases its own descriptor, and loses nothing that has come: it has read nothing.
    try:
        return _own(transport.get_extra_info("socket").fileno())
    finally:
        transport.abort()


def _own(descriptor: int) -> socket.socket:
    return socket.socket(fileno=os.dup(descriptor))


class _Connected(asyncio.Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.pause_reading()


async def _ask(sock: socket.socket, route: Route, target: str, session: Session | PythonSession) -> Opened:
    tls = _Tls(sock, session)
    await tls.shake_hands(route.dns_name)
    key = base64.b64encode(os.urandom(16)).decode("ascii")
    with suppress(ConnectionError):
        # What it said before it left still has to be read.
        await tls.send(upgrade_request(route, target, key))
    reader = AnswerReader(body_limit=REFUSAL_LIMIT)
    steps = reader.steps()
    try:
        next(steps)
        while True:
            steps.send(await tls.receive())
    except StopIteration as done:
        answer, _ = done.value
    half_close, request_id = accepted(answer, key)
    return Opened(sock, tls.session, bytes(reader.received), bytes(tls.encrypted), half_close, request_id)


def _name(host: str) -> str:
    """The host name as it appears in a certificate."""
    return host if host.isascii() else host.encode("idna").decode("ascii")


class _Tls:
    """TLS while the tunnel is being opened.

    Attributes:
        session: the core's, or its replacement.
        encrypted: what has come and was not given to OpenSSL.
    """

    def __init__(self, sock: socket.socket, session: Session | PythonSession) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self.session = session
        self.encrypted = bytearray()
        self._plain = bytearray(_RECORD)
        self._records = 0

    async def shake_hands(self, name: str) -> None:
        """
        Raises:
            OSError: the peer does not speak TLS, or is not trusted.
        """
        session = self.session
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                session.incoming.write(await self._come())
            except ssl.SSLError:
                with suppress(OSError):
                    await self._flush()
                _raise_of_certificate(session, name)
                raise
        await self._flush()
        # The handshake takes no more of a message than belongs to it.
        self.encrypted += session.incoming.read()

    async def send(self, data: bytes) -> None:
        self.session.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        """The content of at most one record; nothing at the end."""
        while True:
            size = _HEADER + int.from_bytes(self.encrypted[3:_HEADER], "big")
            if len(self.encrypted) < max(size, _HEADER):
                try:
                    self.encrypted += await self._come()
                except ssl.SSLEOFError:
                    return b""
                continue
            self._records += 1
            if self._records % _RECORDS == 0:
                # An answer may come byte by byte.
                await asyncio.sleep(0)
            self.session.incoming.write(self.encrypted[:size])
            del self.encrypted[:size]
            try:
                filled = self.session.read(_RECORD, self._plain)
            except ssl.SSLWantReadError:
                continue
            finally:
                await self._flush()
            return bytes(self._plain[:filled])

    async def _come(self) -> bytes:
        """
        Raises:
            SSLEOFError: nothing more comes.
        """
        # If bytes come without end, others get their turn, and so does the time-out.
        await asyncio.sleep(0)
        data = await self._loop.sock_recv(self._sock, _READ_SIZE)
        if not data:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended")
        return data

    async def _flush(self) -> None:
        if self.session.outgoing.pending:
            await self._loop.sock_sendall(self._sock, self.session.outgoing.read())


def _raise_of_certificate(session: Session | PythonSession, name: str) -> None:
    """
    Raises:
        SSLCertVerificationError: the certificate was not accepted; with the fields of Python's own exception.
    """
    code, said = session.verify_result()
    if not code:
        return
    error = ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, "certificate verify failed")
    error.verify_code = code
    mismatch = _MISMATCHES.get(code)
    error.verify_message = (
        said if mismatch is None else f"{mismatch} mismatch, certificate is not valid for '{name}'."
    )
    raise error
