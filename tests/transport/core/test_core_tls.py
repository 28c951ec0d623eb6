"""The server's certificate, for the core."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.transport.compiled import needs_core
from tests.transport.harness import certificate, client_tls

from hatchway.transport.core.core_tls import CoreTls
from hatchway.transport.core.loading import CORE

if TYPE_CHECKING:
    from pathlib import Path

    # Where it is not compiled these tests skip.
    from hatchway.transport.core._core import Session

pytestmark = needs_core


def shake_hands(
    session: Session, context: ssl.SSLContext | None = None
) -> tuple[ssl.SSLObject, ssl.MemoryBIO]:
    """A client of it, and what that writes to."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = (context or client_tls()).wrap_bio(down, up)
    for done in (client.do_handshake, session.do_handshake) * 3:
        with suppress(ssl.SSLWantReadError):
            done()
        session.incoming.write(up.read())
        down.write(session.outgoing.read())
    return client, up


def test_a_session_has_the_certificate_and_what_server_context_asks_for(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    session = CoreTls(path, path).session_context.session()
    client, _ = shake_hands(session)
    assert client.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(
        certificate().decode()[: certificate().decode().index("-----END CERTIFICATE-----") + 25]
    )
    assert client.version() == "TLSv1.3"
    old = client_tls.__wrapped__()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    client, _ = shake_hands(CoreTls(path, path).session_context.session(), old)
    cipher = client.cipher()
    assert cipher is not None
    assert cipher[0].startswith("ECDHE-")


def test_a_certificate_is_read_again_and_what_cannot_be_read_leaves_what_was(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    tls = CoreTls(path, path)
    first = tls.session_context
    tls.read()
    second = tls.session_context
    assert second is not first
    path.write_text("no certificate")
    tls.read()
    assert tls.session_context is second


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    with pytest.raises(OSError, match="No such file"):
        CoreTls(path, path)
    assert CORE is not None
    with pytest.raises(ssl.SSLError):
        CORE.Context(str(path), str(path))
    path.write_bytes(certificate().partition(b"-----BEGIN PRIVATE KEY")[0])
    with pytest.raises(ssl.SSLError):
        CORE.Context(str(path), str(path))
