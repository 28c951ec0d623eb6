"""The private certificate authority: one CA, and the server certificates that it issues (RFC 5280).

The CA ends up in trust stores of people's machines, so it is fenced in: it may issue no other CA, and only
for the names and the private address ranges that stand in it (RFC 5280 section 4.2.1.10, "Name Constraints").
Whoever steals its key can impersonate Hatchway and nothing else.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hatchway.pki.alternative_names import fitting, without_wildcard
from hatchway.pki.certificates import UNREADABLE, KeyPair, PkiProblem
from hatchway.pki.name_constraints import PRIVATE_RANGES, general_name, is_dns_name, permitted_names

CA_LIFETIME: Final = timedelta(days=3650)
SERVER_LIFETIME: Final = timedelta(days=396)
"""Clients refuse certificates of more than 398 days (CA/Browser Forum, Baseline Requirements 6.3.2)."""
_CLOCK_SKEW: Final = timedelta(hours=1)

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


def issue_requested(ca: KeyPair, request: bytes, names: Sequence[str], now: datetime) -> bytes:
    """A server certificate for the key of a request, as `issue_server_certificate`.

    Raises:
        PkiProblem: as there, or as `check_request`.
    """
    return _issue(ca, _requested_key(request), names, now)


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


def check_ca(ca: KeyPair) -> None:
    """
    Raises:
        PkiProblem: the CA's certificate or key is damaged, or they are not of one another.
    """
    read_ca(ca)


def belongs_to(pair: KeyPair) -> bool:
    """Whether the certificate is of that key."""
    try:
        read_ca(pair)
    except PkiProblem:
        return False
    return True


def read_ca(ca: KeyPair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """The key, and the certificate that it belongs to, of several while CAs are rotated.

    Raises:
        PkiProblem: one of the two is damaged, or they are not of one another.
    """
    try:
        certificates = x509.load_pem_x509_certificates(ca.certificate)
        key = serialization.load_pem_private_key(ca.key, None)
        certificate = next((each for each in certificates if each.public_key() == key.public_key()), None)
    except (*UNREADABLE, TypeError):
        raise PkiProblem("the CA's certificate or key is damaged: restore both from a backup") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate is None:
        raise PkiProblem("the CA's key does not belong to its certificate: restore both from a backup")
    return certificate, key


def _requested_key(request: bytes) -> ec.EllipticCurvePublicKey:
    try:
        asked = x509.load_pem_x509_csr(request)
        key = asked.public_key()
        is_ours = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        if not is_ours or not asked.is_signature_valid:
            raise ValueError
    except (*UNREADABLE, TypeError):
        raise PkiProblem("this is no certificate request of an ECDSA key on P-256") from None
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _issue(ca: KeyPair, key: ec.EllipticCurvePublicKey, names: Sequence[str], now: datetime) -> bytes:
    issuer, issuer_key = read_ca(ca)
    allowed = fitting(permitted_names(issuer, names))
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
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in allowed]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


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
