"""Hosts that pretend."""

from pathlib import Path

import pytest
from tests.host.pretend import SHELLS, Host, make_host


@pytest.fixture(params=SHELLS)
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """One whose script each shell runs in turn."""
    return make_host(tmp_path, request.param)


@pytest.fixture
def one_host(tmp_path: Path) -> Host:
    """One with the shell that is `sh`."""
    return make_host(tmp_path)
