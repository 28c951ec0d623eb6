"""What the kernel knows of this machine's clock."""

import ctypes
import sys
from typing import Final

_UNSYNCHRONIZED: Final = 5
"""`TIME_ERROR` of adjtimex(2): nothing keeps the clock right."""
_TIMEX_BYTES: Final = 512
"""More than any `struct timex` has."""


def kept_right() -> bool | None:
    """Whether the kernel knows of something that keeps this machine's clock right, which ends when somebody
    sets it by hand (adjtimex(2)). None where it does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    # All zeroes asks, and sets nothing.
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else bool(state != _UNSYNCHRONIZED)
