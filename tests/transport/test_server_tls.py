"""What TLS clients are offered."""

import ssl

import pytest
from tests.transport.harness import server_tls

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
