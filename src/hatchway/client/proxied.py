"""A connection through a proxy, as a plain socket. Imported only where there is a proxy."""

from __future__ import annotations

import atexit
import base64
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

_HEAD_LIMIT = 65_536
_CHUNK = 65_536
_LAST_SECONDS = 1.0
"""For what is still to leave when the process ends."""
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def connect_through(proxy: str, host: str, port: int, timeout: float) -> socket.socket:
    """A connection by the proxy of a URL such as `socks5h://user:password@proxy:1080`, which resolves the
    name; by `socks5` and `socks4`, unlike `socks5h` and `socks4a`, this machine does (curl(1), --proxy).

    Raises:
        OSError: the proxy, or what is behind it, cannot be reached.
    """
    scheme, _, rest = proxy.partition("://")
    kind = {"socks5h": "socks5", "socks4a": "socks4"}.get(scheme, scheme)
    try:
        if scheme != "https":
            there = Proxy.from_url(f"{kind}://{rest}", rdns=scheme not in ("socks4", "socks5"))
            return there.connect(host, port, timeout=timeout)
        at = urlsplit(proxy)
        until = time.monotonic() + timeout
        plain = socket.create_connection((at.hostname or "", at.port or 443), timeout)
        secure = ssl.create_default_context().wrap_socket(plain, server_hostname=at.hostname)
        _ask_for(secure, host, port, at, until)
        return _by_thread(secure)
    except (ProxyError, ValueError) as error:
        raise OSError(f"the proxy refuses: {error}") from error


def _ask_for(secure: socket.socket, host: str, port: int, proxy: SplitResult, until: float) -> None:
    """RFC 9110 section 9.3.6.

    Args:
        until: by when (`time.monotonic`) the proxy has to have said yes.
    """
    to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {to} HTTP/1.1", f"Host: {to}"]
    if proxy.username is not None:
        known = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(known.encode()).decode()}")
    secure.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    head = b""
    while b"\r\n\r\n" not in head:
        # In small pieces an answer may come for ever, each in time.
        if (left := until - time.monotonic()) <= 0:
            raise TimeoutError("timed out")
        secure.settimeout(left)
        data = secure.recv(1)
        if not data or len(head) > _HEAD_LIMIT:
            raise ProxyError("its answer is none")
        head += data
    status = [*head.split(None, 2), b"", b""][1]
    if status != b"200":
        raise ProxyError(f"HTTP status {status.decode('latin-1')}")


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
