"""What certificates say, in PEM as they are kept and sent (RFC 7468)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for a certificate, or a key, that it cannot read: damaged, of version 2 of X.509
or of none, with an extension twice, or with an algorithm or names that it does not know."""


class PkiProblem(Exception):
    """A certificate or key that cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def is_for_key(certificate: bytes, key: bytes) -> bool:
    """Whether a certificate is of that private key, both PEM."""
    try:
        public = serialization.load_pem_private_key(key, None).public_key()
        return x509.load_pem_x509_certificate(certificate).public_key() == public
    except (*UNREADABLE, TypeError):
        return False


def is_good_at(certificate: bytes, now: datetime) -> bool:
    """Whether the first certificate of a PEM text has begun and not ended."""
    try:
        first = x509.load_pem_x509_certificate(certificate)
    except UNREADABLE:
        return False
    return first.not_valid_before_utc <= now <= first.not_valid_after_utc


def is_issued_by(certificate: bytes, ca_certificate: bytes) -> bool:
    """Whether a certificate is one that this CA has signed."""
    try:
        issuer = x509.load_pem_x509_certificate(ca_certificate)
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(issuer)
    except (*UNREADABLE, TypeError, InvalidSignature):
        return False
    return True


def expiry(certificate: bytes) -> datetime:
    """When the first certificate of a PEM text ends.

    Raises:
        PkiProblem: it is damaged.
    """
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except UNREADABLE:
        raise PkiProblem("the server's certificate is damaged") from None


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
    except UNREADABLE:
        raise PkiProblem("the CA's certificate is damaged: restore it from a backup") from None
    return [each.public_bytes(serialization.Encoding.PEM) for each in found]


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
    except UNREADABLE:
        raise PkiProblem("the server's certificate is damaged") from None
    return tuple(str(name.value) for name in found if isinstance(name, x509.DNSName | x509.IPAddress))
