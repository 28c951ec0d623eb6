"""Certificates that OpenSSL may show and `cryptography` does not read, as an operator may give them."""

import base64
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.pki.conftest import NAMES, NOW

from hatchway.pki.certificate_authority import issue_server_certificate, read_ca
from hatchway.pki.certificates import (
    KeyPair,
    PkiProblem,
    certificate_names,
    certificates_in,
    expiry,
    is_for_key,
    is_good_at,
    is_issued_by,
)
from hatchway.pki.name_constraints import fenced_names, names_beyond, permitted_dns_names
from hatchway.pki.renewal import is_due

_VERSION_3 = bytes.fromhex("a003020102")
_VERSION_2 = bytes.fromhex("a003020101")


def as_version_2(certificate: bytes) -> bytes:
    """The same certificate with the number of version 2 of X.509 (RFC 5280 section 4.1.2.1)."""
    der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
    body = base64.encodebytes(der.replace(_VERSION_3, _VERSION_2, 1))
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"


def test_a_certificate_of_version_2_is_neither_good_nor_of_a_key_nor_issued(ca: KeyPair) -> None:
    pair = issue_server_certificate(ca, NAMES, NOW)
    former = as_version_2(pair.certificate)
    assert not is_good_at(former, NOW)
    assert not is_for_key(former, pair.key)
    assert not is_issued_by(former, ca.certificate)
    assert not is_issued_by(pair.certificate, as_version_2(ca.certificate))
    assert fenced_names(as_version_2(ca.certificate)) is None


@pytest.mark.parametrize(
    "reader",
    [
        expiry,
        certificate_names,
        certificates_in,
        permitted_dns_names,
        lambda ca: names_beyond(ca, NAMES),
        lambda ca: is_due(b"", ca, NAMES, NOW),
    ],
    ids=["expiry", "names", "certificates", "permitted names", "names beyond", "renewal"],
)
def test_whoever_reads_a_certificate_of_version_2_is_told_that_it_is_damaged(
    reader: Callable[[bytes], object], ca: KeyPair
) -> None:
    with pytest.raises(PkiProblem, match="damaged"):
        reader(as_version_2(ca.certificate))


def test_a_ca_of_version_2_is_damaged(ca: KeyPair) -> None:
    with pytest.raises(PkiProblem, match="is damaged"):
        read_ca(KeyPair(as_version_2(ca.certificate), ca.key))
