import ipaddress
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.pki.conftest import NAMES, NOW
from tests.programs import needs

from hatchway.pki.certificate_authority import (
    CA_LIFETIME,
    create_ca,
    issue_server_certificate,
)
from hatchway.pki.certificates import KeyPair, PkiProblem
from hatchway.pki.name_constraints import names_beyond, names_left_out
from hatchway.pki.renewal import needs_renewal


def names_in(pair: KeyPair) -> set[str]:
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_the_ca_may_issue_no_further_ca(ca: KeyPair) -> None:
    certificate = x509.load_pem_x509_certificate(ca.certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)


def test_the_ca_is_fenced_in_to_its_names_and_to_private_addresses(ca: KeyPair) -> None:
    certificate = x509.load_pem_x509_certificate(ca.certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = constraints.value.permitted_subtrees or []
    assert {name.value for name in permitted if isinstance(name, x509.DNSName)} == {
        "gateway.example.com",
        "localhost",
    }
    networks = [ipaddress.ip_network(str(n.value)) for n in permitted if isinstance(n, x509.IPAddress)]
    assert networks
    assert all(network.is_private or str(network) == "100.64.0.0/10" for network in networks)


def test_a_server_certificate_has_the_names_that_the_ca_permits_and_no_others(ca: KeyPair) -> None:
    asked = [*NAMES, "api.gateway.example.com", "10.1.2.3", "evil.example.com", "198.51.100.1", "a b"]
    assert names_in(issue_server_certificate(ca, asked, NOW)) == {
        *NAMES,
        "api.gateway.example.com",
        "10.1.2.3",
    }
    assert names_beyond(ca.certificate, asked) == ["evil.example.com", "198.51.100.1", "a b"]


def test_a_name_that_only_ends_like_a_permitted_one_is_not_permitted(ca: KeyPair) -> None:
    with pytest.raises(PkiProblem, match="certificate of your own"):
        issue_server_certificate(ca, ["evilgateway.example.com"], NOW)


def test_a_server_certificate_is_short_lived_enough_for_every_client(ca: KeyPair) -> None:
    certificate = x509.load_pem_x509_certificate(issue_server_certificate(ca, NAMES, NOW).certificate)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=397)
    assert certificate.not_valid_before_utc < NOW


def connects(pair: KeyPair, ca: KeyPair, name: str, directory: Path) -> bool:
    """Whether OpenSSL's client, which the AWS CLI's is, accepts a server with that certificate."""
    server_pem = directory / "server.pem"
    server_pem.write_bytes(pair.certificate + pair.key)
    of_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    of_server.load_cert_chain(server_pem)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = of_server.wrap_bio(to_server, to_client, server_side=True)
    trusting = ssl.create_default_context(cadata=ca.certificate.decode())
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return client.version() is not None


MANY = [f"endpoint-{number}.gateway.example.com" for number in range(5000)]


def test_of_thousands_of_names_a_certificate_has_as_many_as_clients_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    ca = create_ca("Test CA", NAMES, now)
    pair = issue_server_certificate(ca, [*NAMES, *MANY], now)
    left_out = names_left_out(ca.certificate, [*NAMES, *MANY])
    assert names_in(pair) == {*NAMES, *MANY} - set(left_out)
    assert 1000 < len(left_out) < 4500
    assert connects(pair, ca, MANY[0], tmp_path)
    assert not connects(pair, ca, left_out[0], tmp_path)
    assert not needs_renewal(pair.certificate, ca, [*NAMES, *MANY], now)
    monkeypatch.setattr("hatchway.pki.alternative_names.NAMES_SIZE", 10**6)
    unbounded = issue_server_certificate(ca, [*NAMES, *MANY], now)
    with pytest.raises(ssl.SSLError, match=r"(?i)excessive"):
        connects(unbounded, ca, MANY[0], tmp_path)
    monkeypatch.undo()
    assert needs_renewal(unbounded.certificate, ca, [*NAMES, *MANY], now)


def test_a_wildcard_takes_the_place_of_the_names_that_it_is_for(ca: KeyPair, tmp_path: Path) -> None:
    names = ["*.gateway.example.com", *MANY]
    now = datetime.now(UTC)
    pair = issue_server_certificate(ca, names, now)
    assert names_in(pair) == {"*.gateway.example.com"}
    assert connects(pair, ca, MANY[-1], tmp_path)
    assert names_left_out(ca.certificate, names) == []
    assert names_left_out(ca.certificate, MANY, held=names[:1]) == []
    assert names_left_out(ca.certificate, [*MANY, "evil.example.com"]) != []
    assert "evil.example.com" not in names_left_out(ca.certificate, [*MANY, "evil.example.com"])


def test_a_certificate_does_not_outlive_its_ca(ca: KeyPair) -> None:
    late = NOW + CA_LIFETIME - timedelta(days=10)
    certificate = issue_server_certificate(ca, NAMES, late).certificate
    end = x509.load_pem_x509_certificate(ca.certificate).not_valid_after_utc
    assert x509.load_pem_x509_certificate(certificate).not_valid_after_utc == end
    assert not needs_renewal(certificate, ca, NAMES, late)


def test_a_key_that_is_not_the_cas_is_refused(ca: KeyPair) -> None:
    mixed = KeyPair(ca.certificate, create_ca("Other", NAMES, NOW).key)
    with pytest.raises(PkiProblem, match="does not belong"):
        issue_server_certificate(mixed, NAMES, NOW)


def test_a_private_key_is_not_in_the_repr(ca: KeyPair) -> None:
    assert "PRIVATE" not in repr(ca)


def openssl_accepts(purpose: str, ca: KeyPair, certificate: bytes, directory: Path) -> bool:
    (directory / "ca.pem").write_bytes(ca.certificate)
    (directory / "certificate.pem").write_bytes(certificate)
    command = ["openssl", "verify", "-purpose", purpose, "-attime", str(int(NOW.timestamp()) + 60)]
    command += ["-CAfile", str(directory / "ca.pem"), str(directory / "certificate.pem")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def signed_by(ca: KeyPair, *extensions: x509.ExtensionType, name: str = "Thief") -> bytes:
    """What somebody who has stolen the CA's key signs with it."""
    issuer_key = serialization.load_pem_private_key(ca.key, None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.load_pem_x509_certificate(ca.certificate).subject)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=300))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def alternative(*names: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def test_the_ca_is_for_tls_servers_alone(ca: KeyPair) -> None:
    certificate = x509.load_pem_x509_certificate(ca.certificate)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


@needs("openssl", "openssl")
def test_with_the_cas_key_a_thief_makes_servers_of_its_own_names_and_nothing_else(
    ca: KeyPair, tmp_path: Path
) -> None:
    def accepted(purpose: str, certificate: bytes) -> bool:
        return openssl_accepts(purpose, ca, certificate, tmp_path)

    ours = issue_server_certificate(ca, NAMES, NOW).certificate
    assert accepted("sslserver", ours)
    everything = x509.ExtendedKeyUsage(
        [
            ExtendedKeyUsageOID.SERVER_AUTH,
            ExtendedKeyUsageOID.CLIENT_AUTH,
            ExtendedKeyUsageOID.EMAIL_PROTECTION,
            ExtendedKeyUsageOID.CODE_SIGNING,
        ]
    )
    thief = signed_by(ca, everything, alternative("gateway.example.com"))
    assert accepted("sslserver", thief)
    for purpose in ("sslclient", "smimesign", "smimeencrypt"):
        assert not accepted(purpose, thief)
    assert not accepted("sslserver", signed_by(ca, everything, alternative("bank.example")))


def test_a_ca_from_before_it_was_for_servers_alone_still_issues(ca: KeyPair) -> None:
    old = without_purpose(ca)
    pair = issue_server_certificate(old, NAMES, NOW)
    usage = x509.load_pem_x509_certificate(pair.certificate).extensions.get_extension_for_class(
        x509.ExtendedKeyUsage
    )
    assert list(usage.value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not needs_renewal(pair.certificate, old, NAMES, NOW)


def without_purpose(ca: KeyPair) -> KeyPair:
    """The same CA as it used to be made: good for any purpose."""
    certificate = x509.load_pem_x509_certificate(ca.certificate)
    key = serialization.load_pem_private_key(ca.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
    )
    for extension in certificate.extensions:
        if not isinstance(extension.value, x509.ExtendedKeyUsage):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    made = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return KeyPair(made, ca.key)
