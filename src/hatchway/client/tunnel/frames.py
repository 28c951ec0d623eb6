"""Frames of a WebSocket, a client's side (RFC 6455 sections 4 and 5). Pure, but for `new_key`."""

from __future__ import annotations

import base64
import hashlib
import os
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
"""Close codes (RFC 6455 section 7.4.1). The last is that of a Close frame that holds none."""

KEY_SIZE: Final = 4

_FEW: Final = 4096
"""Bytes that Python masks in less time than it would take to load what masks many."""

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_TWO_BYTES: Final = 126
_EIGHT_BYTES: Final = 127
"""What stands for a length that follows in so many bytes."""

_LONGEST_WHOLE: Final = 125
"""Bytes that a control frame can hold."""


class BadFrame(Exception):
    """What came is no frame that a server may send; `code` is the close code for it."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def accept_value(key: str) -> str:
    """What a server answers to the Sec-WebSocket-Key of a request (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def write_frame(kind: int, payload: bytes | memoryview, key: bytes) -> bytes:
    """A whole message in one frame.

    Args:
        key: what it is masked with: see `new_key`.
    """
    size = len(payload)
    if size < _TWO_BYTES:
        head = bytes((_FINAL | kind, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((_FINAL | kind, _MASKED | _TWO_BYTES)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FINAL | kind, _MASKED | _EIGHT_BYTES)) + size.to_bytes(8, "big")
    return b"".join((head, key, masked(payload, key)))


def new_key() -> bytes:
    """Four bytes that nobody can foresee, for one frame (RFC 6455 section 5.3)."""
    return os.urandom(KEY_SIZE)


def masked(payload: bytes | memoryview, key: bytes) -> bytes:
    """Masked, or what was masked as it was before (RFC 6455 section 5.3)."""
    return _mask(payload, key) if len(payload) <= _FEW else _mask_many()(payload, key)


def _mask(payload: bytes | memoryview, key: bytes) -> bytes:
    """One number of all bytes is a hundred times as fast as one after the other."""
    size = len(payload)
    repeated = key * (size // KEY_SIZE) + key[: size % KEY_SIZE]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")
    return number.to_bytes(size, "little")


@cache
def _mask_many() -> Callable[[bytes | memoryview, bytes], bytes]:
    """What masks many bytes: compiled, and seventy times as fast, where `websockets` is compiled."""
    try:
        from websockets.speedups import apply_mask
    except ImportError:
        return _mask
    return apply_mask


class FrameReader:
    """Reads what a server sends, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._kind = BINARY
        self._left = 0
        self._whole = bytearray()
        self._fragmented = False

    @property
    def is_amid(self) -> bool:
        """Whether what comes next goes on with a message that has begun."""
        return self._left > 0 or self._fragmented or bool(self._header)

    def read(self, data: memoryview) -> Iterator[tuple[int, memoryview | bytes]]:
        """Kinds and contents: data piece by piece, as soon as it is there, and all else whole. Of each frame
        there is something, be it empty: whoever counts what is given counts frames.

        What is data is BINARY. Its pieces are parts of `data`, which must stay as it is until they are used.

        Raises:
            BadFrame: what came is none that a server may send. Nothing can be read after it.
        """
        at = 0
        while at < len(data):
            if not self._left:
                at = self._read_header(data, at)
                if self._header:
                    return
                if not self._left:
                    yield self._kind, b""
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            if self._kind == BINARY:
                yield BINARY, piece
                continue
            self._whole += piece
            if not self._left:
                whole = bytes(self._whole)
                self._whole.clear()
                yield self._kind, whole

    def _read_header(self, data: memoryview, at: int) -> int:
        """Where the frame's content begins; while its header is not all there, that waits in `_header`."""
        header = self._header
        while (lacking := _header_size(header) - len(header)) > 0:
            if at == len(data):
                return at
            header += data[at : at + lacking]
            at = min(at + lacking, len(data))
        self._begin(header[0], header[1], int.from_bytes(header[2:], "big"))
        header.clear()
        return at

    def _begin(self, first: int, second: int, longer_size: int) -> None:
        size = second & 0x7F
        if size >= _TWO_BYTES:
            size = longer_size
        kind, final = first & 0x0F, bool(first & _FINAL)
        if first & _RESERVED or second & _MASKED or size >> 63:
            raise BadFrame(PROTOCOL_ERROR, NO_FRAME_REASON)
        if kind in (CLOSE, PING, PONG):
            if not final or size > _LONGEST_WHOLE:
                raise BadFrame(PROTOCOL_ERROR, "the gateway sent a control frame that is none")
        elif kind not in (CONTINUATION, TEXT, BINARY) or (kind == CONTINUATION) != self._fragmented:
            raise BadFrame(PROTOCOL_ERROR, NO_PLACE_REASON)
        else:
            self._fragmented = not final
            if kind == TEXT and (self._fragmented or size > _LONGEST_WHOLE):
                raise BadFrame(UNSUPPORTED_DATA, TEXT_REASON)
            kind = TEXT if kind == TEXT else BINARY
        self._kind, self._left = kind, size


TEXT_REASON: Final = "the gateway sent text, which no tunnel carries"
NO_FRAME_REASON: Final = "the gateway sent a frame that is none"
NO_PLACE_REASON: Final = "the gateway sent a frame that has no place"
"""A continuation of nothing, or what is none amid fragments (RFC 6455 section 5.4)."""


def _header_size(begun: bytearray) -> int:
    if len(begun) < 2:
        return 2
    return 2 + {_TWO_BYTES: 2, _EIGHT_BYTES: 8}.get(begun[1] & 0x7F, 0)


def write_close(code: int) -> bytes:
    """The content of a Close frame."""
    return code.to_bytes(2, "big")


def read_close(payload: bytes | memoryview) -> tuple[int, str]:
    """The code and the reason of a Close frame (RFC 6455 section 5.5.1). Half a code is no end in order."""
    if not payload:
        return NO_STATUS, ""
    if len(payload) == 1:
        return PROTOCOL_ERROR, NO_FRAME_REASON
    return int.from_bytes(payload[:2], "big"), bytes(payload[2:]).decode("utf-8", "replace")
