"""What TLS clients are offered."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs
from tests.transport.echo_server import echo_server
from tests.transport.harness import LOOPBACK, WebSocket, certificate, client_tls, run, server_tls, until
from tests.transport.openssl_client import (
    AES_128,
    AES_256,
    CHACHA20,
    WITHOUT_AES,
    needs_openssl,
    negotiated,
)

from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.transport import server_tls as server_tls_module
from hatchway.transport.server_tls import AES_128_FIRST, AES_256_FIRST, Ciphers, ServerTls, server_context

SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
}


def shake_hands(
    minimum: ssl.TLSVersion, maximum: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0"
) -> str | None:
    """The version that a client and the server agree on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.minimum_version, context.maximum_version = minimum, maximum
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(down, up)
    server = server_tls().wrap_bio(up, down, server_side=True)
    for _ in range(5):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.version()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(version: ssl.TLSVersion) -> None:
    assert shake_hands(version, version) == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError):
        shake_hands(version, version)


@pytest.mark.parametrize("ciphers", ["AES128-GCM-SHA256", "ECDHE+AES+SHA1", "ECDHE+AES+SHA256:!AESGCM"])
def test_suites_without_forward_secrecy_or_authenticated_encryption_are_refused(ciphers: str) -> None:
    with pytest.raises(ssl.SSLError):
        shake_hands(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, ciphers)


def test_nothing_but_modern_suites_is_offered() -> None:
    assert {suite["name"] for suite in server_tls().get_ciphers()} <= SUITES


OPENSSLS_OWN = AES_128 if hasattr(ssl.SSLContext, "set_ciphersuites") else AES_256
"""What is chosen of TLS 1.3's suites where Python cannot set their order."""


@needs_openssl
@pytest.mark.parametrize(
    ("ciphers", "options", "suite"),
    [
        (AES_128_FIRST, (), OPENSSLS_OWN),
        (AES_128_FIRST, WITHOUT_AES, CHACHA20),
        (AES_128_FIRST, ("-tls1_2",), "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (AES_128_FIRST, ("-tls1_2", "-cipher", "CHACHA20:AESGCM"), "ECDHE-ECDSA-CHACHA20-POLY1305"),
        (AES_256_FIRST, (), AES_256),
        (AES_256_FIRST, WITHOUT_AES, AES_256),
        (AES_256_FIRST, ("-tls1_2",), "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ],
)
def test_a_client_gets_what_is_preferred_as_far_as_python_can_say_so(
    tmp_path: Path, ciphers: Ciphers, options: tuple[str, ...], suite: str
) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    context = ServerTls(path, path, ciphers).context

    def serve(sock: socket.socket) -> None:
        context.wrap_socket(sock, server_side=True)

    assert negotiated(serve, *options) == suite


@pytest.mark.parametrize("ciphers", [AES_128_FIRST, AES_256_FIRST])
def test_the_order_of_tls_1_3_is_set_by_a_python_that_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ciphers: Ciphers
) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    told: list[str] = []
    monkeypatch.setattr(
        ssl.SSLContext, "set_ciphersuites", lambda _self, suites: told.append(suites), raising=False
    )
    server_context(path, path, ciphers)
    assert told == ([f"{AES_128}:{AES_256}:{CHACHA20}"] if ciphers is AES_128_FIRST else [])


def test_suites_that_openssls_configuration_leaves_out_stay_out(tmp_path: Path) -> None:
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(
        "openssl_conf = first\n[first]\nssl_conf = second\n[second]\nsystem_default = third\n"
        f"[third]\nCiphersuites = {CHACHA20}:{AES_256}\n"
    )
    program = (
        "import ssl\n"
        "from hatchway.transport.server_tls import AES_128_FIRST\n"
        "print(AES_128_FIRST.suites_for(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "OPENSSL_CONF": str(configuration)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == f"{AES_256}:{CHACHA20}\n"


def pem(name: str) -> bytes:
    now = datetime.now(UTC)
    pair = issue_server_certificate(create_ca("test", [name], now), [name], now)
    return pair.certificate + pair.key


async def shown(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=client_tls())
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bytes(certificate)


def der(pem_file: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem_file[: pem_file.index(b"-----END CERTIFICATE-----") + 26].decode())


def test_a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    first, second = certificate(), pem("localhost")

    def replace(content: bytes) -> None:
        (tmp_path / "new.pem").write_bytes(content)
        (tmp_path / "new.pem").replace(path)

    async def test() -> None:
        replace(first)
        tls = ServerTls(path, path, AES_128_FIRST)
        async with echo_server(tls=lambda: tls.context) as server:
            following = asyncio.create_task(tls.follow(interval=0.02, pause=0.02))
            client = await WebSocket.open(server.port)
            assert await shown(server.port) == der(first)

            before = tls.context
            replace(second)
            await until(lambda: tls.context is not before)
            assert await shown(server.port) == der(second)
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"

            # One that cannot be read leaves what is there.
            before = tls.context
            replace(b"no certificate")
            await asyncio.sleep(0.2)
            path.unlink()
            await asyncio.sleep(0.2)
            assert tls.context is before
            assert await shown(server.port) == der(second)
            replace(first)
            await until(lambda: tls.context is not before)
            assert await shown(server.port) == der(first)
            assert tls.session_context is tls.context
            following.cancel()

    run(test)


def test_a_certificate_and_a_key_in_files_of_their_own_may_change_one_after_the_other(tmp_path: Path) -> None:
    certificate_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"

    def parts(pair: bytes) -> tuple[bytes, bytes]:
        end = pair.rindex(b"-----BEGIN ")
        return pair[:end], pair[end:]

    async def test() -> None:
        for path, content in zip((certificate_file, key_file), parts(certificate()), strict=True):
            path.write_bytes(content)
        tls = ServerTls(certificate_file, key_file, AES_128_FIRST)
        following = asyncio.create_task(tls.follow(interval=0.02, pause=0.02))
        before = tls.context
        new_certificate, new_key = parts(pem("localhost"))
        certificate_file.write_bytes(new_certificate)
        await asyncio.sleep(0.2)
        assert tls.context is before
        key_file.write_bytes(new_key)
        await until(lambda: tls.context is not before)
        following.cancel()

    run(test)


@pytest.mark.parametrize(
    ("make_key", "told"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), []),
        (lambda: rsa.generate_private_key(65537, 3072), [3072]),
        (lambda: ec.generate_private_key(ec.SECP521R1()), []),
    ],
    ids=["RSA of 2,048 bits", "RSA of 3,072 bits", "P-521"],
)
def test_a_key_whose_signatures_hold_up_others_is_told_of_at_each_reading(
    make_key: Callable[[], rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey], told: list[int], tmp_path: Path
) -> None:
    key = make_key()
    now, name = datetime.now(UTC), x509.Name([])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with capture_logs() as logs:
        tls = ServerTls(path, path, AES_128_FIRST)
        run(partial(read_again, tls))
    said = [each["rsa_bits"] for each in logs if each["event"] == "certificate key is slow"]
    assert said == told * 2


async def read_again(tls: ServerTls) -> None:
    """Waits until it has been, as a SIGHUP asks for it."""
    before = tls.session_context
    following = asyncio.create_task(tls.follow())
    tls.read_again()
    await until(lambda: tls.session_context is not before)
    following.cancel()


def issued(days_ago: float) -> bytes:
    """A certificate of a year, and its key."""
    then = datetime.now(UTC) - timedelta(days=days_ago)
    pair = issue_server_certificate(create_ca("test", ["localhost"], then), ["localhost"], then)
    return pair.certificate + pair.key


@pytest.mark.parametrize(
    ("days_ago", "told"), [(1, []), (500, ["ended"]), (-2, ["not begun"])], ids=["good", "ended", "not begun"]
)
def test_a_certificate_with_which_no_client_connects_is_told_of_at_the_start_and_when_it_is_read_again(
    days_ago: int, told: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(issued(days_ago))
    with capture_logs() as logs:
        tls = ServerTls(path, path, AES_128_FIRST)
        run(partial(read_again, tls))
    warned = [each["problem"] for each in logs if each["event"] == "server certificate is not good now"]
    assert [problem.partition(",")[0] for problem in warned] == [f"it has {was}" for was in told] * 2
    assert tls.expires_at == x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def test_a_certificate_that_ends_while_the_server_runs_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(issued(0))
    tls = ServerTls(path, path, AES_128_FIRST)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return super().now(tz) + timedelta(days=500)

    async def test() -> None:
        following = asyncio.create_task(tls.follow(interval=0.01))
        monkeypatch.setattr(server_tls_module, "datetime", Later)
        await until(warnings)
        await asyncio.sleep(0.1)
        following.cancel()

    def warnings() -> list[str]:
        # Other servers of this process, in other threads, see the later time too.
        return [each["event"] for each in logs if each.get("certificate") == str(path)]

    with capture_logs() as logs:
        run(test)
    assert warnings() == ["server certificate is not good now"]


def test_what_cryptography_cannot_read_and_openssl_can_is_not_called_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(issued(0))
    for problem in (
        ValueError("unreadable"),
        UnsupportedAlgorithm("no such curve"),
        x509.InvalidVersion("2 is not a valid X509 version", 1),
    ):

        def refuse(_text: bytes, raised: Exception = problem) -> x509.Certificate:
            raise raised

        monkeypatch.setattr(x509, "load_pem_x509_certificate", refuse)
        with capture_logs() as logs:
            assert ServerTls(path, path, AES_128_FIRST).expires_at is None
        assert logs == []


def test_however_often_it_is_asked_for_the_certificate_is_read_once_and_once_more_after_a_pause(
    tmp_path: Path,
) -> None:
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    tls = ServerTls(path, path, AES_128_FIRST)
    readings: list[ssl.SSLContext] = []

    async def test() -> None:
        following = asyncio.create_task(tls.follow(pause=0.3))
        for _ in range(100):
            tls.read_again()
            await asyncio.sleep(0.001)
            if tls.context not in readings:
                readings.append(tls.context)
        last = tls.context
        await until(lambda: tls.context is not last)
        following.cancel()

    run(test)
    assert len(readings) <= 3
