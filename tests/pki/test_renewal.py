from datetime import timedelta

import pytest
from tests.pki.conftest import NAMES, NOW

from hatchway.pki.certificate_authority import SERVER_LIFETIME, create_ca, issue_server_certificate
from hatchway.pki.certificates import KeyPair, is_good_at
from hatchway.pki.renewal import RENEW_BEFORE, needs_renewal


def test_a_fresh_certificate_needs_no_renewal(ca: KeyPair) -> None:
    assert not needs_renewal(issue_server_certificate(ca, NAMES, NOW).certificate, ca, NAMES, NOW)


def test_a_certificate_that_was_made_while_the_clock_was_ahead_needs_renewal(ca: KeyPair) -> None:
    early = issue_server_certificate(ca, NAMES, NOW + timedelta(days=400)).certificate
    assert needs_renewal(early, ca, NAMES, NOW)
    assert (is_good_at(early, NOW), is_good_at(early, NOW + timedelta(days=400))) == (False, True)
    assert not is_good_at(early, NOW + timedelta(days=1000))
    assert not is_good_at(b"damaged", NOW)


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
