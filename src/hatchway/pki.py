"""The private certificate authority: one CA, and the server certificates that it issues (RFC 5280).

The CA ends up in trust stores of people's machines, so it is fenced in: it may issue no other CA, and only
for the names and the private address ranges that stand in it (RFC 5280 section 4.2.1.10, "Name Constraints").
Whoever steals its key can impersonate Hatchway and nothing else.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hatchway.certificate_names import NAMES_SIZE, fitting, names_size, wildcard_of, without_wildcard

CA_LIFETIME: Final = timedelta(days=3650)
SERVER_LIFETIME: Final = timedelta(days=396)
"""Clients refuse certificates of more than 398 days (CA/Browser Forum, Baseline Requirements 6.3.2)."""
RENEW_BEFORE: Final = timedelta(days=30)
_CLOCK_SKEW: Final = timedelta(hours=1)

_DNS_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?)*"
)
# RFC 1918, RFC 6598, RFC 4193 and loopback: addresses that are nobody's on the Internet.
PRIVATE_RANGES: Final = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1/128", "fc00::/7",
)  # fmt: skip


class PkiProblem(Exception):
    """A certificate or key that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def is_dns_name(text: str) -> bool:
    """Whether the text can stand in a certificate, and for an endpoint's DnsName, as a host name."""
    return _DNS_NAME.fullmatch(text) is not None and not text.rpartition(".")[2].isdigit()


LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")
"""What every server is called on its own machine."""

OWN_NAME: Final = "Hatchway CA "
"""With which the common names begin of the CAs that Hatchway makes."""


def create_ca(common_name: str, names: Iterable[str], now: datetime) -> KeyPair:
    """A CA that may issue for these DNS names, for names below them, and for private addresses.

    Of a wildcard it is the domain: the wildcard itself is a name below that.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    permitted: list[x509.GeneralName] = [
        x509.DNSName(name) for name in sorted(set(map(without_wildcard, names))) if is_dns_name(name)
    ]
    permitted += [x509.IPAddress(ipaddress.ip_network(cidr)) for cidr in PRIVATE_RANGES]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        # Also what it signs is good for servers alone: verifiers ask for this along the whole chain.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def issue_server_certificate(ca: KeyPair, names: Sequence[str], now: datetime) -> KeyPair:
    """A server certificate, valid for those of the names (DNS names, IP addresses) that the CA may issue for:
    as many of them, from the first on, as clients take (`fitting`).

    Raises:
        PkiProblem: the CA may issue for none of them, or its files cannot be read.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    return KeyPair(_issue(ca, key.public_key(), names, now), _key_pem(key))


def new_request() -> KeyPair:
    """A fresh key, and in the place of a certificate the request for one (RFC 2986). It names nobody: who
    asks is known otherwise, and for what."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return KeyPair(request.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def check_request(request: bytes) -> None:
    """
    Raises:
        PkiProblem: it is no request that a certificate can be issued to: of another kind of key than ours,
            or not signed by that key.
    """
    _requested_key(request)


def issue_requested(ca: KeyPair, request: bytes, names: Sequence[str], now: datetime) -> bytes:
    """A server certificate for the key of a request, as `issue_server_certificate`.

    Raises:
        PkiProblem: as there, or as `check_request`.
    """
    return _issue(ca, _requested_key(request), names, now)


def is_for_key(certificate: bytes, key: bytes) -> bool:
    """Whether a certificate is of that private key, both PEM."""
    try:
        public = serialization.load_pem_private_key(key, None).public_key()
        return x509.load_pem_x509_certificate(certificate).public_key() == public
    except (ValueError, TypeError):
        return False


def is_good_at(certificate: bytes, now: datetime) -> bool:
    """Whether the first certificate of a PEM text has begun and not ended."""
    try:
        first = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return False
    return first.not_valid_before_utc <= now <= first.not_valid_after_utc


def expiry(certificate: bytes) -> datetime:
    """When the first certificate of a PEM text ends.

    Raises:
        PkiProblem: it is damaged.
    """
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        raise PkiProblem("the server's certificate is damaged") from None


def _requested_key(request: bytes) -> ec.EllipticCurvePublicKey:
    try:
        asked = x509.load_pem_x509_csr(request)
        key = asked.public_key()
        is_ours = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        if not is_ours or not asked.is_signature_valid:
            raise ValueError
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise PkiProblem("this is no certificate request of an ECDSA key on P-256") from None
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _issue(ca: KeyPair, key: ec.EllipticCurvePublicKey, names: Sequence[str], now: datetime) -> bytes:
    issuer, issuer_key = _read_ca(ca)
    allowed = fitting(_allowed(issuer, names))
    if not allowed:
        raise PkiProblem(f"the CA may not issue for {', '.join(names)}: give a certificate of your own")
    certificate = (
        x509.CertificateBuilder()
        # The names are in the alternative names; a common name may be no longer than 64 characters.
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hatchway server")]))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(min(now + SERVER_LIFETIME, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in allowed]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 of a certificate, in PEM, as it is told everywhere: in hexadecimal."""
    return x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()


def certificates_in(text: bytes) -> list[bytes]:
    """The certificates of a PEM text, each in PEM: of a CA that is being rotated there are two.

    Raises:
        PkiProblem: one of them is damaged.
    """
    try:
        found = x509.load_pem_x509_certificates(text) if text.strip() else []
    except ValueError:
        raise PkiProblem("the CA's certificate is damaged: restore it from a backup") from None
    return [each.public_bytes(serialization.Encoding.PEM) for each in found]


def belongs_to(pair: KeyPair) -> bool:
    """Whether the certificate is of that key."""
    try:
        _read_ca(pair)
    except PkiProblem:
        return False
    return True


def is_issued_by(certificate: bytes, ca_certificate: bytes) -> bool:
    """Whether a certificate is one that this CA has signed."""
    try:
        issuer = x509.load_pem_x509_certificate(ca_certificate)
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def certificate_names(certificate: bytes) -> tuple[str, ...]:
    """The DNS names and addresses that the first certificate of a PEM text is for; one may begin with `*.`.

    Raises:
        PkiProblem: the certificate is damaged.
    """
    try:
        extensions = x509.load_pem_x509_certificate(certificate).extensions
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    except ValueError:
        raise PkiProblem("the server's certificate is damaged") from None
    return tuple(str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress))


def names_left_out(ca_certificate: bytes, names: Sequence[str], held: Sequence[str] = ()) -> list[str]:
    """Those for which the CA may issue, and which one certificate for all of the names is not for: they are
    too many.

    Args:
        held: what the certificate is for that there is; its wildcards are taken to stay.

    Raises:
        PkiProblem: the certificate is damaged.
    """
    wildcards = [name for name in held if name != without_wildcard(name)]
    beyond = set(names_beyond(ca_certificate, names))
    allowed = [*wildcards, *(name for name in names if name not in beyond)]
    fit = set(fitting(allowed))
    return [name for name in allowed if name not in fit and wildcard_of(name) not in fit]


def permitted_dns_names(ca_certificate: bytes) -> tuple[str, ...]:
    """The DNS names for which the CA may issue, and for those below them.

    Raises:
        PkiProblem: the certificate is damaged.
    """
    try:
        constraints = (
            x509.load_pem_x509_certificate(ca_certificate)
            .extensions.get_extension_for_class(x509.NameConstraints)
            .value
        )
    except (ValueError, x509.ExtensionNotFound):
        raise PkiProblem("the CA's certificate is damaged: restore it from a backup") from None
    return tuple(
        name.value for name in constraints.permitted_subtrees or () if isinstance(name, x509.DNSName)
    )


def fenced_names(ca_certificate: bytes) -> tuple[str, ...] | None:
    """The DNS names for which a CA may issue that can do no more than those that are made here; None of any
    other.

    Of a kind of names of which its constraints name none, it may issue for all (RFC 5280 section 4.2.1.10).
    """
    try:
        extensions = x509.load_pem_x509_certificate(ca_certificate).extensions
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        constraints = extensions.get_extension_for_class(x509.NameConstraints)
    except (ValueError, x509.ExtensionNotFound):
        return None
    permitted = constraints.value.permitted_subtrees or []
    names = [each.value for each in permitted if isinstance(each, x509.DNSName)]
    ranges = [each.value for each in permitted if isinstance(each, x509.IPAddress)]
    private = [ipaddress.ip_network(cidr) for cidr in PRIVATE_RANGES]
    fenced = (
        basic.ca
        and basic.path_length == 0
        and list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
        and constraints.critical
        and len(names) + len(ranges) == len(permitted)
        and bool(names)
        and all(map(is_dns_name, names))
        and bool(ranges)
        and all(any(_holds(one, each) for one in private) for each in ranges)
    )
    return tuple(names) if fenced else None


def _holds(network: Any, inner: Any) -> bool:
    return network.version == inner.version and bool(inner.subnet_of(network))


def check_ca(ca: KeyPair) -> None:
    """
    Raises:
        PkiProblem: the CA's certificate or key is damaged, or they are not of one another.
    """
    _read_ca(ca)


def names_beyond(ca_certificate: bytes, names: Sequence[str]) -> list[str]:
    """Those of the names for which the CA may not issue.

    Raises:
        PkiProblem: the certificate is damaged.
    """
    try:
        allowed = _allowed(x509.load_pem_x509_certificate(ca_certificate), names)
    except (ValueError, x509.ExtensionNotFound):
        raise PkiProblem("the CA's certificate is damaged: restore it from a backup") from None
    possible = set(allowed)
    return [name for name in names if name not in possible]


def needs_renewal(certificate: bytes, ca: KeyPair, names: Sequence[str], now: datetime) -> bool:
    """Whether a new server certificate is due: this one is near its end, another CA's, or lacks a name.

    Raises:
        PkiProblem: the CA's files cannot be read.
    """
    issuer, _ = _read_ca(ca)
    return _is_due(certificate, issuer, names, now)


def is_due(certificate: bytes, ca_certificate: bytes, names: Sequence[str], now: datetime) -> bool:
    """The same where the CA's key is elsewhere; of several CAs the first issues.

    Raises:
        PkiProblem: the CA's certificate is damaged.
    """
    try:
        issuer = x509.load_pem_x509_certificate(ca_certificate)
    except ValueError:
        raise PkiProblem("the CA's certificate is damaged: restore it from a backup") from None
    return _is_due(certificate, issuer, names, now)


def _is_due(certificate: bytes, issuer: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    try:
        current = x509.load_pem_x509_certificate(certificate)
        current.verify_directly_issued_by(issuer)
        san = current.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:
        # Whatever is wrong with it, a new one is better.
        return True
    if current.not_valid_before_utc > now:
        # Made while the clock was ahead.
        return True
    if current.not_valid_after_utc - now < RENEW_BEFORE:
        return issuer.not_valid_after_utc > current.not_valid_after_utc
    if names_size(certificate_names(certificate)) > NAMES_SIZE:
        # From before there was a bound.
        return True
    return not {_general_name(name) for name in fitting(_allowed(issuer, names))} <= set(san)


def _read_ca(ca: KeyPair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The key, and the certificate that it belongs to, of several while CAs are rotated."""
    try:
        certificates = x509.load_pem_x509_certificates(ca.certificate)
        key = serialization.load_pem_private_key(ca.key, None)
    except (ValueError, TypeError):
        raise PkiProblem("the CA's certificate or key is damaged: restore both from a backup") from None
    certificate = next((each for each in certificates if each.public_key() == key.public_key()), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate is None:
        raise PkiProblem("the CA's key does not belong to its certificate: restore both from a backup")
    return certificate, key


def _allowed(issuer: x509.Certificate, names: Iterable[str]) -> list[str]:
    constraints = issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    permitted = constraints.permitted_subtrees or ()
    domains = [name.value for name in permitted if isinstance(name, x509.DNSName)]
    networks = [
        ipaddress.ip_network(str(name.value)) for name in permitted if isinstance(name, x509.IPAddress)
    ]

    def permits(name: str) -> bool:
        general_name = _general_name(name)
        if isinstance(general_name, x509.IPAddress):
            return any(ipaddress.ip_address(name) in network for network in networks)
        return is_dns_name(without_wildcard(name)) and any(
            name == domain or name.endswith(f".{domain}") for domain in domains
        )

    return [name for name in dict.fromkeys(names) if permits(name)]


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
