import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from hatchway.pki import (
    CA_LIFETIME,
    RENEW_BEFORE,
    SERVER_LIFETIME,
    KeyPair,
    PkiProblem,
    create_ca,
    is_dns_name,
    issue_server_certificate,
    needs_renewal,
)

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ["gateway.example.com", "localhost", "127.0.0.1"]


@pytest.fixture(scope="module")
def ca() -> KeyPair:
    return create_ca("Test CA", NAMES, NOW)


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


def test_a_name_that_only_ends_like_a_permitted_one_is_not_permitted(ca: KeyPair) -> None:
    with pytest.raises(PkiProblem, match="certificate of your own"):
        issue_server_certificate(ca, ["evilgateway.example.com"], NOW)


def test_a_server_certificate_is_short_lived_enough_for_every_client(ca: KeyPair) -> None:
    certificate = x509.load_pem_x509_certificate(issue_server_certificate(ca, NAMES, NOW).certificate)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=397)
    assert certificate.not_valid_before_utc < NOW


def test_a_fresh_certificate_needs_no_renewal(ca: KeyPair) -> None:
    assert not needs_renewal(issue_server_certificate(ca, NAMES, NOW).certificate, ca, NAMES, NOW)


def test_a_certificate_near_its_end_needs_renewal(ca: KeyPair) -> None:
    certificate = issue_server_certificate(ca, NAMES, NOW).certificate
    due = NOW + SERVER_LIFETIME - RENEW_BEFORE
    assert not needs_renewal(certificate, ca, NAMES, due - timedelta(hours=1))
    assert needs_renewal(certificate, ca, NAMES, due + timedelta(hours=1))


def test_a_certificate_that_lacks_a_permitted_name_needs_renewal(ca: KeyPair) -> None:
    certificate = issue_server_certificate(ca, NAMES, NOW).certificate
    assert needs_renewal(certificate, ca, [*NAMES, "192.168.1.2"], NOW)
    assert not needs_renewal(certificate, ca, [*NAMES, "elsewhere.example.org"], NOW)


def test_a_certificate_of_another_ca_needs_renewal(ca: KeyPair) -> None:
    other = create_ca("Test CA", NAMES, NOW)
    assert needs_renewal(issue_server_certificate(other, NAMES, NOW).certificate, ca, NAMES, NOW)


@pytest.mark.parametrize("damaged", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_certificate_needs_renewal(ca: KeyPair, damaged: bytes) -> None:
    assert needs_renewal(damaged, ca, NAMES, NOW)


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


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("localhost", True),
        ("gateway.example.com", True),
        ("xn--bcher-kva.example", True),
        ("a" * 63 + ".example", True),
        ("a" * 64 + ".example", False),
        ("gateway.example.com.", False),
        ("-gateway.example", False),
        ("*.example.com", False),
        ("10.0.0.1", False),
        ("gateway:443", False),
        ("", False),
        ("gateway.example\n", False),
    ],
)
def test_dns_names(text: str, good: bool) -> None:
    assert is_dns_name(text) is good
