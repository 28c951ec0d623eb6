"""What `pump`, `push` and `greet` of the compiled core take and return besides bytes. Pure.

Each returns one number: flags in its low 16 bits, and above them how many bytes of payload were passed on.
The flags and sizes are those of `_core.c`; a test compares them. The client's `PythonSession`, which stands
in for the core where it is not built, returns the same.
"""

from typing import Final

FULL: Final = 1
"""The read returned as much as was asked for, so there is most likely more."""

NOTHING: Final = 2
"""There was nothing to read."""

END: Final = 4
"""The peer has sent a FIN."""

REST: Final = 8
"""`take_rest` has payload that could not be sent on."""

PLAIN: Final = 16
"""`take_plain` has decrypted frames for Python to parse."""

ENCRYPTED: Final = 32
"""`take_encrypted` has TLS records to be given to the next call."""

COST: Final = 64
"""`take_cost` has a cost that counts against the client's allowance."""

TLS_ENDED: Final = 128
"""The peer has sent close_notify (RFC 8446 section 6.1)."""

TLS_FAILED: Final = 256
"""What the peer sent is not TLS, or was tampered with."""

OUTGOING: Final = 512
"""`outgoing` has encrypted bytes that could not be sent."""

FAILED: Final = 1024
"""The socket could not be read, or memory ran out: the connection is to be dropped."""

TOO_MUCH: Final = 2048
"""The client exceeded a limit before its request came: the connection is to be reset."""

FLAGS: Final = 0xFFFF
"""The bits that hold flags."""

SIZE_SHIFT: Final = 16
"""How far the number of bytes is shifted to the left."""

READ_SIZE: Final = 64 * 1024
"""Bytes read at once from the side that speaks TLS."""

PUSH_SIZE: Final = 2 * (64 * 1024 - 4)
"""Bytes read at once from a target."""

TO_PYTHON: Final = -1
"""Given to `pump` in place of a socket's descriptor: payload is handed over by `take_rest`."""

AS_FRAMES: Final = -2
"""Given to `pump` in place of a socket's descriptor: everything is handed over as frames by `take_plain`."""
