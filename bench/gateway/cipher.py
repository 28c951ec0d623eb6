"""The ciphers of TLS, and what encryption alone costs on a core: `openssl speed`.

Nothing that carries bytes can be as quick: it is one block over and over, which never leaves the core's
innermost cache, and which nobody reads or writes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Final

from hatchway.transport.core.loading import CORE

IS_COMPILED: Final = CORE is not None and os.environ.get("HATCHWAY_COMPILED_CORE") != "off"
"""Whether Hatchway's bytes are carried by its compiled core."""

_AES_128, _AES_256, _CHACHA20 = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)

SUITES: Final = (_AES_128, _AES_256, _CHACHA20) if IS_COMPILED else (_AES_256, _CHACHA20, _AES_128)
"""Those of TLS 1.3 in the order in which a gateway chooses, so that the others can be told to do the same."""

AES_128, AES_256 = "AES-128-GCM", "AES-256-GCM"
"""As the program has them."""

BLOCK: Final = 16384
"""Bytes, a TLS record's (RFC 8446 section 5.1)."""

_SECONDS: Final = 1
_RATE: Final = re.compile(r"^\+F:\d+:[^:]+:([\d.]+)$", re.MULTILINE)


def openssl_side(name: str) -> str:
    """How encryption alone by this cipher is called."""
    return f"openssl speed {name}"


class CannotTell(Exception):
    """The message says what is missing."""


def seconds_per_gb(name: str, core: int) -> float:
    """Seconds of CPU in which a core encrypts 1 GB by a cipher.

    By the program alone, which is of the OpenSSL that Debian's Python has. `cryptography` comes with one of
    its own, which may be several times as quick.

    Raises:
        CannotTell: there is no program, it does not know the cipher, or it says something else.
    """
    if shutil.which("openssl") is None:
        raise CannotTell("the program openssl is missing")
    command = ["openssl", "speed", "-mr", "-seconds", str(_SECONDS), "-bytes", str(BLOCK), "-evp", name]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    return 1e9 / bytes_per_second(done.stdout)


def bytes_per_second(told: str) -> float:
    """The rate in what `openssl speed -mr` says of one block size. By seconds of CPU in user mode.

    Raises:
        CannotTell: there is none.
    """
    found = _RATE.search(told)
    if found is None:
        raise CannotTell(f"openssl speed said: {told!r}")
    return float(found[1])
