"""The proxy to go through, as HTTPS_PROXY, ALL_PROXY and NO_PROXY name it, and as curl(1) reads them.

The capitals may be small, and small ones go first. A proxy without a scheme is one of HTTP, and without a
port it is at curl's for its kind.
"""

from __future__ import annotations

import ipaddress
import os
from typing import Final
from urllib.parse import urlsplit

from hatchway.client.errors import NotConfigured

_SCHEMES: Final = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_PORTS: Final = {"https": 443}
_PORT: Final = 1080
"""Of curl(1), --proxy, where `_PORTS` has none."""
_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")

CHECK: Final = "check HTTPS_PROXY, ALL_PROXY and NO_PROXY"
"""What to do where there is no connection by a proxy, and nothing better is known."""


class ProxyFailed(OSError):
    """There is no connection by the proxy: its text says why, and what to do."""


def proxy_for(host: str, port: int) -> str | None:
    """The URL of the proxy for a connection by TLS, with its port; None when there is none to use.

    Raises:
        NotConfigured: it names no proxy. Its text is not repeated, since it may hold a password.
    """
    name, value = next(((name, os.environ[name]) for name in _VARIABLES if os.environ.get(name)), ("", ""))
    if not value or _is_excepted(host, port, os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""):
        return None
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        usable = False
    if not usable or "#" in url:
        raise NotConfigured(f"{name} names no proxy: set it to one such as http://proxy.example:3128")
    if parts.port is None:
        port = _PORTS.get(parts.scheme, _PORT)
        url = parts._replace(netloc=f"{parts.netloc.removesuffix(':')}:{port}").geturl()
    return url


def proxy_for_url(url: str) -> str | None:
    """The same for what is asked of a URL.

    Raises:
        NotConfigured: as `proxy_for`.
    """
    parts = urlsplit(url)
    return proxy_for(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def _is_excepted(host: str, port: int, exceptions: str) -> bool:
    """Names (with all below them), addresses and networks, each with a port or without; `*` is everything.
    Commas or blanks are between them."""
    return any(_excepts(entry, host, port) for entry in exceptions.replace(",", " ").split())


def _excepts(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name, colon, only_port = entry.rpartition(":")
    if not colon or not only_port.isdigit() or (":" in name and not name.startswith("[")):
        name, only_port = entry, ""
    if only_port and only_port != str(port):
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name.strip("[]"), strict=False)
    except ValueError:
        pass
    suffix = name.removeprefix("*").removeprefix(".").lower()
    return bool(suffix) and (host.lower() == suffix or host.lower().endswith(f".{suffix}"))
