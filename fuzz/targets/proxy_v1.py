"""PROXY headers of version 1, beside a reader that splits words."""

from __future__ import annotations

from ipaddress import ip_address

from fuzz.proxy import agrees
from hatchway.transport.listening.proxy_protocol import MAX_V1

_V2_START = b"\r\n\r\n\0\r\nQUIT\n"


def one_input(data: bytes) -> None:
    if not _V2_START.startswith(data[: len(_V2_START)]):
        agrees(data, _obvious(data), MAX_V1)


def _obvious(data: bytes) -> tuple[str, int] | str | None:
    """Address and port of the client, `own`, or None for no header; `cut` while there is too little."""
    if not data.startswith(b"PROXY "):
        return "cut" if b"PROXY ".startswith(data) else None
    line, end, _ = data[:MAX_V1].partition(b"\r\n")
    if not end:
        return None if len(data) >= MAX_V1 else "cut"
    if not line.isascii():
        return None
    words = line.decode().split(" ")
    if words[1] == "UNKNOWN":
        return "own"
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        return None
    for port in words[4:]:
        if not (port.isdigit() and str(int(port)) == port and int(port) < 65536):
            return None
    for address in words[2:4]:
        try:
            if ip_address(address).version != int(words[1][3]) or "%" in address:
                return None
        except ValueError:
            return None
    return words[2], int(words[4])


def seeds() -> list[bytes]:
    return [
        b"PROXY TCP4 192.0.2.7 198.51.100.9 56324 443\r\nrest",
        b"PROXY TCP6 2001:db8::7 2001:db8::9 56324 443\r\n",
        b"PROXY TCP6 ::ffff:192.0.2.7 ::1 0 65535\r\n",
        b"PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.9 056324 443\r\n",
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65536 65535\r\n",
        b"PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n",
        b"PROXY UNKNOWN" + b" x" * 60 + b"\r\n",
        b"PROX",
    ]
