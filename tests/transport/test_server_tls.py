"""What TLS clients are offered."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.transport.echo_server import echo_server
from tests.transport.harness import LOOPBACK, WebSocket, certificate, client_tls, run, server_tls, until

from hatchway.pki import create_ca, issue_server_certificate
from hatchway.transport.server_tls import ServerTls

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
        tls = ServerTls(path, path)
        async with echo_server(tls=lambda: tls.context) as server:
            following = asyncio.create_task(tls.follow(interval=0.02))
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
        tls = ServerTls(certificate_file, key_file)
        following = asyncio.create_task(tls.follow(interval=0.02))
        before = tls.context
        new_certificate, new_key = parts(pem("localhost"))
        certificate_file.write_bytes(new_certificate)
        await asyncio.sleep(0.2)
        assert tls.context is before
        key_file.write_bytes(new_key)
        await until(lambda: tls.context is not before)
        following.cancel()

    run(test)
