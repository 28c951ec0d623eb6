"""What encryption alone costs on a core: `openssl speed` of the cipher that tunnels have.

Nothing that carries bytes can be as quick: it is one block over and over, which never leaves the core's
innermost cache, and which nobody reads or writes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Final

OPENSSL_SIDE: Final = "openssl speed"

BLOCK: Final = 16384
"""Bytes, a TLS record's (RFC 8446 section 5.1)."""

_PROGRAMS_NAMES: Final = {
    "TLS_AES_256_GCM_SHA384": "aes-256-gcm",
    "TLS_AES_128_GCM_SHA256": "aes-128-gcm",
    "TLS_CHACHA20_POLY1305_SHA256": "chacha20-poly1305",
}
_SECONDS: Final = 1
_RATE: Final = re.compile(r"^\+F:\d+:[^:]+:([\d.]+)$", re.MULTILINE)


class CannotTell(Exception):
    """The message says what is missing."""


def seconds_per_gb(suite: str, core: int) -> float:
    """Seconds of CPU in which a core encrypts 1 GB by the cipher of a suite of TLS 1.3, as `ssl` names it.

    By the program alone, which is of the OpenSSL that Debian's Python has. `cryptography` comes with one of
    its own, which may be several times as quick.

    Raises:
        CannotTell: there is no program, it does not know the cipher, or it says something else.
    """
    name = _PROGRAMS_NAMES.get(suite)
    if name is None:
        raise CannotTell(f"openssl's name of the cipher of {suite} is not known here")
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
