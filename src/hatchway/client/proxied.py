"""A connection through a proxy, as a plain socket. Imported only where there is a proxy."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit

from python_socks import ProxyError
from python_socks.sync import Proxy

_HEAD_LIMIT = 65_536


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
        plain = socket.create_connection((at.hostname or "", at.port or 443), timeout)
        secure = ssl.create_default_context().wrap_socket(plain, server_hostname=at.hostname)
        _ask_for(secure, host, port, at)
        return _by_thread(secure)
    except (ProxyError, ValueError) as error:
        raise OSError(f"the proxy refuses: {error}") from error


def _ask_for(secure: socket.socket, host: str, port: int, proxy: SplitResult) -> None:
    """RFC 9110 section 9.3.6."""
    to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {to} HTTP/1.1", f"Host: {to}"]
    if proxy.username is not None:
        known = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(known.encode()).decode()}")
    secure.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    head = b""
    while b"\r\n\r\n" not in head:
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

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for sock in (source, sink):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    for pair in ((secure, theirs), (theirs, secure)):
        threading.Thread(target=carry, args=pair, daemon=True).start()
    return ours
