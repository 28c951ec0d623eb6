"""Why a WebSocket ends: the code and reason of its close frame (RFC 6455 section 7.4). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_REASON: Final = 123
"""Bytes of UTF-8 that a close frame has room for after its code (RFC 6455 section 5.5)."""


@dataclass(frozen=True, slots=True)
class Closure:
    """The code and reason of a close frame.

    Raises:
        ValueError: the reason is longer than `MAX_REASON` bytes.
    """

    code: int
    reason: str = ""

    def __post_init__(self) -> None:
        if len(self.reason.encode()) > MAX_REASON:
            raise ValueError(f"a close reason has at most {MAX_REASON} bytes")

    def payload(self, note: str = "", explanation: str = "") -> bytes:
        """The payload of the close frame: the code, the reason, and in brackets what fits of explanation and
        note: both, or the first of the two that fits.

        A normal end has no reason and needs neither.
        """
        reason = self.reason.encode()
        both = "; ".join(filter(None, (explanation, note)))
        bracketed = (f" ({text})".encode() for text in (both, explanation, note) if reason and text)
        noted = next((text for text in bracketed if len(reason) + len(text) <= MAX_REASON), b"")
        return self.code.to_bytes(2) + reason + noted


PROTOCOL_ERROR: Final = Closure(1002, "The client broke the WebSocket protocol")
TOO_MUCH_WASTE: Final = Closure(1008, "Too many pings, empty fragments or TLS messages that carry nothing")
