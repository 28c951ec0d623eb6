"""`openssl s_client`, which has its own mind about ciphers."""

from __future__ import annotations

import re
import socket
import subprocess
from typing import TYPE_CHECKING, Final

from tests.programs import needs
from tests.transport.harness import LOOPBACK, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

needs_openssl = needs("openssl", "openssl")

AES_128, AES_256 = "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"
CHACHA20 = "TLS_CHACHA20_POLY1305_SHA256"

WITHOUT_AES: Final = ("-ciphersuites", f"{CHACHA20}:{AES_256}:{AES_128}")
"""The options of a client whose processor has no instructions for AES."""


def negotiated(serve: Callable[[socket.socket], object], *options: str) -> str:
    """The name of the suite that it agrees on with a server, which shakes hands in `serve`."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        listening.settimeout(TIMEOUT)
        command = ["openssl", "s_client", "-brief", "-connect", f"{LOOPBACK}:{listening.getsockname()[1]}"]
        client = subprocess.Popen(
            [*command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with client:
            accepted, _ = listening.accept()
            with accepted:
                accepted.settimeout(TIMEOUT)
                serve(accepted)
            told, _ = client.communicate(timeout=TIMEOUT)
    found = re.search(r"^Ciphersuite: (\S+)$", told, re.MULTILINE)
    assert found is not None, told
    return found[1]
