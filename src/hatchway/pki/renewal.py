"""When a server certificate is due to be renewed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from hatchway.pki.alternative_names import NAMES_SIZE, fitting, names_size
from hatchway.pki.certificate_authority import read_ca
from hatchway.pki.certificates import UNREADABLE, KeyPair, PkiProblem, certificate_names
from hatchway.pki.name_constraints import general_name, permitted_names

RENEW_BEFORE: Final = timedelta(days=30)


def needs_renewal(certificate: bytes, ca: KeyPair, names: Sequence[str], now: datetime) -> bool:
    """Whether a new server certificate is due: this one is near its end, another CA's, or lacks a name.

    Raises:
        PkiProblem: the CA's files cannot be read.
    """
    issuer, _ = read_ca(ca)
    return _is_due(certificate, issuer, names, now)


def is_due(certificate: bytes, ca_certificate: bytes, names: Sequence[str], now: datetime) -> bool:
    """The same where the CA's key is elsewhere; of several CAs the first issues.

    Raises:
        PkiProblem: the CA's certificate is damaged.
    """
    try:
        issuer = x509.load_pem_x509_certificate(ca_certificate)
    except UNREADABLE:
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
    return not {general_name(name) for name in fitting(permitted_names(issuer, names))} <= set(san)
