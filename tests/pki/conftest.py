from datetime import UTC, datetime

import pytest

from hatchway.pki.certificate_authority import create_ca
from hatchway.pki.certificates import KeyPair

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ["gateway.example.com", "localhost", "127.0.0.1"]


@pytest.fixture(scope="package")
def ca() -> KeyPair:
    return create_ca("Test CA", NAMES, NOW)
