"""`openssl s_client`, which has its own mind about ciphers."""

from __future__ import annotations

import re
import socket
import subprocess
from functools import cache
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


@cache
def first_words(groups: str) -> bytes:
    """What a client says first that can agree on a key by these groups: by the first it has begun to."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        listening.settimeout(TIMEOUT)
        where = f"{LOOPBACK}:{listening.getsockname()[1]}"
        command = ["openssl", "s_client", "-connect", where, "-groups", groups]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet):
            accepted, _ = listening.accept()
            with accepted:
                accepted.settimeout(TIMEOUT)
                return accepted.recv(1 << 16)
