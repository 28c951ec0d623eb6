"""A server's TLS: its protocol versions and ciphers, and its certificate from the current files."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

if TYPE_CHECKING:
    from pathlib import Path

    from hatchway.transport.core._core import Context

INTERVAL: Final = 5.0
"""Seconds between two checks of the certificate's files."""

PAUSE: Final = 1.0
"""Seconds between two reads of the files, however often somebody asks for one: a read takes milliseconds, and
with a read for each of many signals, clients would get no turn."""

MOST_RSA_BITS: Final = 2048
"""Bits of an RSA key beyond which one signature blocks the event loop for milliseconds: 0.4 ms with 2,048
bits, 2 with 3,072, 5 with 4,096, 44 with 7,680. Keys of P-256, P-384 and P-521 take 0.03, 0.9 and 0.3 ms,
Ed25519 0.04 (openssl-speed(1), OpenSSL 3.0)."""

log = structlog.get_logger("hatchway.transport")


@dataclass(frozen=True, slots=True)
class Ciphers:
    """The ciphers that a server chooses from, in order of preference.

    Attributes:
        older: for TLS 1.2, in OpenSSL's notation (openssl-ciphers(1)).
        suites: for TLS 1.3 (RFC 8446 appendix B.4); None for OpenSSL's own order, which has AES-256 first.
            With an order, a client that prefers ChaCha20 gets that: it most likely has no instructions for
            AES.
    """

    older: str
    suites: tuple[str, ...] | None = None

    def suites_for(self, context: ssl.SSLContext) -> str | None:
        """`suites` in OpenSSL's notation.

        Suites that OpenSSL's configuration on this machine excludes (`Ciphersuites`, config(5)) stay
        excluded.
        """
        if self.suites is None:
            return None
        allowed = {cipher["name"] for cipher in context.get_ciphers()}
        return ":".join(suite for suite in self.suites if suite in allowed)


AES_128_FIRST: Final = Ciphers(
    "ECDHE+AESGCM+AES128:ECDHE+AESGCM+AES256:ECDHE+CHACHA20",
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"),
)
"""As in Mozilla's intermediate configuration, Go and AWS's load balancers."""

AES_256_FIRST: Final = Ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")

_OP_PRIORITIZE_CHACHA: Final = 1 << 21
"""OpenSSL's SSL_OP_PRIORITIZE_CHACHA (SSL_CTX_set_options(3)), for which `ssl` has no name."""


def server_context(certificate: Path, key: Path, ciphers: Ciphers) -> ssl.SSLContext:
    """A context for TLS 1.2 and 1.3 with only forward secrecy and authenticated encryption.

    Before Python 3.15, which can set it, the order of TLS 1.3's suites is OpenSSL's.

    Raises:
        OSError: a file cannot be read, or contains no certificate or no matching key (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers.older)
    suites = ciphers.suites_for(context)
    if suites is not None:
        context.options |= _OP_PRIORITIZE_CHACHA
        if hasattr(context, "set_ciphersuites"):
            context.set_ciphersuites(suites)
    # Callers reuse the buffer as soon as `write` returns, which a renegotiation could defer.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # Each AWS CLI is a process of its own and resumes no session: tickets would only cost.
    context.num_tickets = 0
    # The same for TLS 1.2.
    context.options |= ssl.OP_NO_TICKET
    context.load_cert_chain(certificate, key, _refuse_passphrase)
    return context


def _refuse_passphrase() -> NoReturn:
    """Called where OpenSSL would ask at the terminal, if there is one, while everybody waits."""
    raise OSError("the key has a passphrase")


class ServerTls:
    """The certificate and key from the current files, for future connections.

    Attributes:
        context: for the next connection. Existing connections keep the one that they began with.
        expires_at: when the certificate ends, or has ended; None if `cryptography` cannot read it.
    """

    def __init__(self, certificate: Path, key: Path, ciphers: Ciphers) -> None:
        """
        Raises:
            OSError: see `server_context`.
        """
        self._files = (certificate, key)
        self._ciphers = ciphers
        self._asked = asyncio.Event()
        self._state = self._look()
        self._take()

    @property
    def session_context(self) -> ssl.SSLContext | Context:
        """What makes the next connection's TLS."""
        return self.context

    def _take(self) -> None:
        """Read the files.

        Raises:
            OSError: see `server_context`.
        """
        self.context = server_context(*self._files, self._ciphers)
        self._check_certificate()

    def _check_certificate(self) -> None:
        """Log what is wrong with the certificate, and note when it ends."""
        self.expires_at: datetime | None = None
        self._is_valid = False
        # A certificate that OpenSSL accepts and this cannot read is no reason to go without.
        with suppress(OSError, ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
            self.expires_at, self._is_valid = _inspect(self._files[0])

    def read_again(self) -> None:
        """Have `follow` read the files again soon, changed or not. Must be called on its event loop."""
        self._asked.set()

    def _read(self) -> None:
        """Read the files again; what was read before stays if they cannot be read."""
        try:
            self._take()
        except OSError as problem:
            log.error("certificate not read again", problem=str(problem))
        else:
            log.info("certificate read again")

    async def follow(self, interval: float = INTERVAL, pause: float = PAUSE) -> None:
        """Read the files again whenever they have changed, or somebody asks for it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._asked.wait()
            asked, state = self._asked.is_set(), self._look()
            self._asked.clear()
            if asked or state != self._state:
                # If one file is new and the other is not yet, the other's change leads here again.
                self._state = state
                self._read()
                await asyncio.sleep(pause)
            elif self._is_valid and self.expires_at is not None and self.expires_at < datetime.now(UTC):
                self._check_certificate()

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_state(path) for path in self._files)


def _inspect(certificate: Path) -> tuple[datetime, bool]:
    """Log what is wrong with a certificate. Returns when it ends, and whether it is valid now.

    Raises:
        OSError: it cannot be read.
        ValueError, UnsupportedAlgorithm, InvalidVersion: it is damaged, or cannot be inspected.
    """
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    key = read.public_key()
    if isinstance(key, RSAPublicKey) and key.key_size > MOST_RSA_BITS:
        # Everyone who connects causes a signature, and all others wait meanwhile.
        log.warning(
            "certificate key is slow",
            certificate=str(certificate),
            rsa_bits=key.key_size,
            problem="each handshake, a stranger's too, holds up all others for milliseconds: have a"
            f" certificate issued for an ECDSA key of P-256, or for RSA of {MOST_RSA_BITS} bits",
        )
    now = datetime.now(UTC)
    if read.not_valid_before_utc <= now <= read.not_valid_after_utc:
        return read.not_valid_after_utc, True
    was = "ended" if now > read.not_valid_after_utc else "not begun"
    log.warning(
        "server certificate is not good now",
        certificate=str(certificate),
        good_from=read.not_valid_before_utc.isoformat(),
        good_until=read.not_valid_after_utc.isoformat(),
        problem=f"it has {was}, so clients refuse to connect: see that this machine's clock is right, or"
        " put another in its place and reload the server (SIGHUP)",
    )
    return read.not_valid_after_utc, False


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
