"""The TLS that clients speak with the gateway."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only.

    Raises:
        OSError: a file cannot be read, or holds no certificate or no matching key (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    # The relay reuses a buffer as soon as it has been written, which a renegotiation could defer.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # Each AWS CLI is a process of its own and resumes nothing: tickets would only cost.
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    return context
