"""A connection through a proxy, as a plain socket. Imported only where there is a proxy."""

from __future__ import annotations

import atexit
import base64
import re
import select
import selectors
import socket
import ssl
import threading
import time
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit

from python_socks import ProxyError
from python_socks.sync import Proxy

from hatchway.client.connection.proxy import CHECK, ProxyFailed

_HEAD_LIMIT = 65_536
_CHUNK = 65_536
_AUTHENTICATION_REQUIRED = 407
_SERVER_ERRORS = 500
_LAST_SECONDS = 1.0
"""For what is still to leave when the process ends."""
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def connect_through(proxy: str, host: str, port: int, timeout: float) -> socket.socket:
    """A connection by the proxy of a URL such as `socks5h://user:password@proxy:1080`, which resolves the
    name; by `socks5` and `socks4`, unlike `socks5h` and `socks4a`, this machine does (curl(1), --proxy).

    Raises:
        ProxyFailed: it cannot be reached, or does not connect.
        TimeoutError: it takes longer.
    """
    until = time.monotonic() + timeout
    at = urlsplit(proxy)
    try:
        if at.scheme in ("http", "https"):
            return _connect_by_http(at, host, port, until)
        kind = {"socks5h": "socks5", "socks4a": "socks4"}.get(at.scheme, at.scheme)
        local = at.scheme in ("socks4", "socks5")
        there = Proxy.from_url(at._replace(scheme=kind).geturl(), rdns=not local)
        return there.connect(host, port, timeout=timeout)
    except (ProxyFailed, TimeoutError):
        raise
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", None) or error.reason or error
        to_do = "check its URL, and that the system, or SSL_CERT_FILE, has its CA"
        raise ProxyFailed(f"no TLS with the proxy {_place(at)} ({why}): {to_do}") from error
    except OSError as error:
        # python_socks has put its own words round the system's.
        why = getattr(error.__cause__, "strerror", None) or error.strerror or error
        raise ProxyFailed(f"the proxy {_place(at)} is not reached ({why}): {CHECK}") from error
    except (ProxyError, ValueError) as error:
        raise ProxyFailed(f"the proxy {_place(at)} refuses: {error}: {CHECK}") from error


def _connect_by_http(proxy: SplitResult, host: str, port: int, until: float) -> socket.socket:
    """
    Args:
        until: by when (`time.monotonic`) it has to be there.
    """
    sock = socket.create_connection((proxy.hostname or "", proxy.port or 0), until - time.monotonic())
    try:
        if proxy.scheme == "https":
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=proxy.hostname)
        _ask_for(sock, host, port, proxy, until)
    except BaseException:
        sock.close()
        raise
    return _by_thread(sock) if isinstance(sock, ssl.SSLSocket) else sock


def _ask_for(sock: socket.socket, host: str, port: int, proxy: SplitResult, until: float) -> None:
    """RFC 9110 section 9.3.6. What comes behind the answer is not read: it is the other side's.

    Raises:
        ProxyFailed: it says anything but yes.
    """
    to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {to} HTTP/1.1", f"Host: {to}"]
    if proxy.username is not None:
        known = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(known.encode()).decode()}")
    sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    head = b""
    while b"\r\n\r\n" not in head:
        # In small pieces an answer may come for ever, each in time.
        if (left := until - time.monotonic()) <= 0:
            raise TimeoutError("timed out")
        sock.settimeout(left)
        data = sock.recv(1)
        if not data or len(head) > _HEAD_LIMIT:
            raise _no_proxy(proxy)
        head += data
    first, *headers = head.decode("latin-1").split("\r\n")
    version, status, reason = [*first.split(None, 2), "", "", ""][:3]
    if not version.startswith("HTTP/") or not re.fullmatch("[1-5][0-9][0-9]", status):
        raise _no_proxy(proxy)
    if not status.startswith("2"):
        said = f"the proxy {_place(proxy)} answers {status} {reason}".rstrip()
        raise ProxyFailed(f"{said}: {_to_do(int(status), headers, to, proxy)}")


def _no_proxy(proxy: SplitResult) -> ProxyFailed:
    return ProxyFailed(f"what listens at {_place(proxy)} is no HTTP proxy: check the proxy's URL")


def _to_do(status: int, headers: list[str], to: str, proxy: SplitResult) -> str:
    if status != _AUTHENTICATION_REQUIRED:
        return f"it does not reach {to}" if status >= _SERVER_ERRORS else f"have it let you through to {to}"
    fields = [line.partition(":") for line in headers]
    asked = [value.split() for name, _, value in fields if name.strip().lower() == "proxy-authenticate"]
    schemes = {words[0] for words in asked if words}
    if schemes and "basic" not in " ".join(map(" ".join, asked)).lower():
        return f"it asks for {', '.join(sorted(schemes))}, and hatchway knows Basic alone"
    shown = f"{proxy.scheme}://USER:PASSWORD@{_place(proxy)}"
    if proxy.username is None:
        return f"have HTTPS_PROXY name a user and a password, as in {shown}"
    return f"correct the user and the password in HTTPS_PROXY, {shown}, where %40 stands for @ and %25 for %"


def _place(proxy: SplitResult) -> str:
    """Without the password."""
    return proxy.netloc.rpartition("@")[2]


def _by_thread(secure: ssl.SSLSocket) -> socket.socket:
    """The same as a socket of the kernel: TLS within TLS is nothing that Python's sockets do."""
    ours, theirs = socket.socketpair()
    _Carrier(secure, theirs).start()
    return ours


def finish() -> None:
    """Wait, but not for long, until what has been given to such sockets has left: a tunnel's last word would
    stay behind in a process that ends."""
    until = time.monotonic() + _LAST_SECONDS
    for thread in threading.enumerate():
        if isinstance(thread, _Carrier):
            thread.finish(until)


atexit.register(finish)


class _Carrier(threading.Thread):
    """Both directions until either has ended, in one thread: OpenSSL has no connection used by two at once
    (openssl-threads(7)). However long nothing comes, it waits."""

    def __init__(self, secure: ssl.SSLSocket, plain: socket.socket) -> None:
        super().__init__(daemon=True)
        self._secure, self._plain = secure, plain
        self._idle = False

    def finish(self, until: float) -> None:
        """Wait until what has been given to it has left, or it is so late (`time.monotonic`)."""
        while self.is_alive() and self._has_work() and time.monotonic() < until:
            self.join(0.01)

    def _has_work(self) -> bool:
        try:
            return not self._idle or bool(select.select([self._plain], [], [], 0)[0])
        except (OSError, ValueError):
            # It has just closed it.
            return False

    def run(self) -> None:
        secure, plain = self._secure, self._plain
        up = down = memoryview(b"")
        with secure, plain, suppress(OSError):
            secure.setblocking(False)
            plain.setblocking(False)
            while True:
                moved = False
                with suppress(*_NOT_NOW):
                    if not down:
                        if not (data := secure.recv(_CHUNK)):
                            return
                        down, moved = memoryview(data), True
                with suppress(*_NOT_NOW):
                    if not up:
                        if not (data := plain.recv(_CHUNK)):
                            return
                        up, moved = memoryview(data), True
                with suppress(*_NOT_NOW):
                    if up:
                        up, moved = up[secure.send(up) :], True
                with suppress(*_NOT_NOW):
                    if down:
                        down, moved = _given(plain, down), True
                if not moved:
                    takes_in = [sock for sock, full in ((secure, down), (plain, up)) if not full]
                    gives_out = [sock for sock, full in ((plain, down), (secure, up)) if full]
                    self._idle = not up
                    _until_ready(takes_in, gives_out)
                    self._idle = False


def _given(plain: socket.socket, down: memoryview) -> memoryview:
    """What is left of it: nothing where nobody hears it any more, who may have spoken nevertheless."""
    try:
        return down[plain.send(down) :]
    except (BrokenPipeError, ConnectionResetError):
        return memoryview(b"")


def _until_ready(takes_in: list[socket.socket], gives_out: list[socket.socket]) -> None:
    with selectors.DefaultSelector() as selector:
        for sock in {*takes_in, *gives_out}:
            reads = selectors.EVENT_READ if sock in takes_in else 0
            selector.register(sock, reads | (selectors.EVENT_WRITE if sock in gives_out else 0))
        selector.select()
