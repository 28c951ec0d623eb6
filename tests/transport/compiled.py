"""For tests of the compiled core, which skip where it was not built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.transport.harness import certificate

from hatchway.transport.core.core_tls import CoreTls
from hatchway.transport.core.loading import CORE, PROBLEM
from hatchway.transport.server_tls import AES_128_FIRST

if TYPE_CHECKING:
    from pathlib import Path

    from hatchway.transport.core._core import Context

needs_core = pytest.mark.skipif(
    CORE is None, reason=f"the core is not compiled ({PROBLEM}): scripts/build_core.py says what it needs"
)


def core_context(directory: Path) -> Context:
    """The TLS context of a server."""
    path = directory / "server.pem"
    path.write_bytes(certificate())
    return CoreTls(path, path, AES_128_FIRST).session_context
