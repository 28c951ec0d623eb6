"""Records of TLS 1.3 (RFC 8446) as no library writes them, within a session that one has begun."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANDSHAKE, DATA = 22, 23
KEY_UPDATE = bytes((24, 0, 0, 1, 0))
"""The message, which asks for none in return."""


class Records:
    """Those of a client that has shaken hands, and from now on writes no other."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is what its keys are derived from (section 7.1), of AES-GCM: it is as long as the suite's
        hash."""
        self._secret = secret
        self._hash, self._key_size = {32: (SHA256(), 16), 48: (SHA384(), 32)}[len(secret)]
        self._begin()

    def record(self, content: bytes, kind: int = DATA) -> bytes:
        inner = content + bytes((kind,))
        header = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2)
        nonce = (int.from_bytes(self._iv) ^ self._number).to_bytes(12)
        self._number += 1
        return header + self._cipher.encrypt(nonce, inner, header)

    def update_keys(self) -> None:
        """Have new ones, after a key update."""
        self._secret = self._derived(b"traffic upd", len(self._secret))
        self._begin()

    def _begin(self) -> None:
        self._cipher = AESGCM(self._derived(b"key", self._key_size))
        self._iv = self._derived(b"iv", 12)
        self._number = 0

    def _derived(self, label: bytes, size: int) -> bytes:
        name = b"tls13 " + label
        info = size.to_bytes(2) + bytes((len(name),)) + name + b"\0"
        return HKDFExpand(self._hash, size, info).derive(self._secret)


@contextmanager
def telling_client_tls() -> Iterator[tuple[ssl.SSLContext, Callable[[], Records]]]:
    """The TLS context of one client, and what gives its records once it has shaken hands."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with TemporaryDirectory() as directory:
        log = Path(directory, "secrets")
        context.keylog_filename = str(log)

        def records() -> Records:
            named = dict(line.split(" ", 1) for line in log.read_text().splitlines() if line[0] != "#")
            return Records(bytes.fromhex(named["CLIENT_TRAFFIC_SECRET_0"].split()[1]))

        yield context, records
