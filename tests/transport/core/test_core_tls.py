"""The server's certificate, for the core."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from tests.transport.compiled import core_context, needs_core
from tests.transport.harness import certificate, client_tls, run, until
from tests.transport.openssl_client import (
    AES_128,
    AES_256,
    CHACHA20,
    WITHOUT_AES,
    needs_openssl,
    negotiated,
)

from hatchway.transport.core.core_tls import CoreTls
from hatchway.transport.core.loading import CORE
from hatchway.transport.server_tls import AES_128_FIRST, AES_256_FIRST, Ciphers

if TYPE_CHECKING:
    import socket

    # Where it is not compiled these tests skip.
    from hatchway.transport.core._core import Session

pytestmark = needs_core


def shake_hands(
    session: Session, context: ssl.SSLContext | None = None
) -> tuple[ssl.SSLObject, ssl.MemoryBIO]:
    """A client of it, and what that writes to."""
    client, up, _ = shake_hands_and_listen(session, context)
    return client, up


def shake_hands_and_listen(
    session: Session, context: ssl.SSLContext | None = None
) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """The same, and what that reads from."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = (context or client_tls()).wrap_bio(down, up)
    for done in (client.do_handshake, session.do_handshake) * 3:
        with suppress(ssl.SSLWantReadError):
            done()
        session.incoming.write(up.read())
        down.write(session.outgoing.read())
    return client, up, down


def test_a_session_has_the_certificate_and_what_server_context_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    session = CoreTls(path, path, AES_128_FIRST).session_context.session()
    client, _ = shake_hands(session)
    assert client.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(
        certificate().decode()[: certificate().decode().index("-----END CERTIFICATE-----") + 25]
    )
    assert client.version() == "TLSv1.3"
    old = client_tls.__wrapped__()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    client, _ = shake_hands(CoreTls(path, path, AES_128_FIRST).session_context.session(), old)
    cipher = client.cipher()
    assert cipher is not None
    assert cipher[0].startswith("ECDHE-")


@needs_openssl
@pytest.mark.parametrize(
    ("ciphers", "options", "suite"),
    [
        (AES_128_FIRST, (), AES_128),
        (AES_128_FIRST, ("-ciphersuites", f"{AES_256}:{AES_128}"), AES_128),
        (AES_128_FIRST, ("-ciphersuites", AES_256), AES_256),
        (AES_128_FIRST, WITHOUT_AES, CHACHA20),
        (AES_128_FIRST, ("-tls1_2",), "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (AES_128_FIRST, ("-tls1_2", "-cipher", "CHACHA20:AESGCM"), "ECDHE-ECDSA-CHACHA20-POLY1305"),
        (AES_256_FIRST, (), AES_256),
        (AES_256_FIRST, ("-ciphersuites", f"{AES_128}:{AES_256}"), AES_256),
        (AES_256_FIRST, WITHOUT_AES, AES_256),
        (AES_256_FIRST, ("-tls1_2",), "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ],
)
def test_a_client_gets_what_is_preferred_and_one_without_aes_of_its_processor_chacha20(
    tmp_path: Path, ciphers: Ciphers, options: tuple[str, ...], suite: str
) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    session = CoreTls(path, path, ciphers).session_context.session()
    assert negotiated(partial(serve, session), *options) == suite


def serve(session: Session, sock: socket.socket) -> None:
    while True:
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            sock.sendall(session.outgoing.read())
            session.incoming.write(sock.recv(1 << 16))
        else:
            sock.sendall(session.outgoing.read())
            return


@needs_openssl
def test_nobody_has_a_key_agreed_on_by_a_finite_field_which_takes_up_to_170_ms(tmp_path: Path) -> None:
    context = core_context(tmp_path)
    # One that offers a curve too is asked for that.
    assert negotiated(partial(serve, context.session()), "-groups", "ffdhe2048:P-256") == AES_128
    session = context.session()
    with pytest.raises(ssl.SSLError, match="no suitable key share"):
        negotiated(partial(serve, session), "-groups", "ffdhe2048")


def test_a_certificate_is_read_again_and_what_cannot_be_read_leaves_what_was(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    tls = CoreTls(path, path, AES_128_FIRST)
    first = tls.session_context

    async def test() -> None:
        following = asyncio.create_task(tls.follow(interval=0.01, pause=0.01))
        tls.read_again()
        await until(lambda: tls.session_context is not first)
        second = tls.session_context
        with capture_logs() as logs:
            path.write_text("no certificate")
            await until(lambda: bool(logs))
        assert tls.session_context is second
        following.cancel()

    run(test)


def test_files_may_have_names_that_are_not_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.pem"))
    path.write_bytes(certificate())
    CoreTls(path, path, AES_128_FIRST).session_context.session()


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    with pytest.raises(OSError, match="No such file"):
        CoreTls(path, path, AES_128_FIRST)
    assert CORE is not None
    with pytest.raises(ssl.SSLError):
        CORE.Context(str(path), str(path), "ECDHE+AESGCM", None)
    path.write_bytes(certificate())
    for ciphers, suites in (("none", None), ("ECDHE+AESGCM", "none")):
        with pytest.raises(ssl.SSLError):
            CORE.Context(str(path), str(path), ciphers, suites)
    path.write_bytes(certificate().partition(b"-----BEGIN PRIVATE KEY")[0])
    with pytest.raises(ssl.SSLError):
        CORE.Context(str(path), str(path), "ECDHE+AESGCM", None)
