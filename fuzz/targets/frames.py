"""A client's WebSocket frames, cut anywhere, mixed with another's, beside a slow reader of RFC 6455."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

from fuzz.draws import Draws, noise
from hatchway.transport.websocket.frames import MAX_FRAME, Parsers, WebSocketInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from picows import WSFrame

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_MASK = b"\x13\x57\x9b\xdf"
_FIXED_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
_LEFT_TO_THE_RELAY = (0, 1006)
"""Codes that picows takes, and that the relay refuses."""

Frame = tuple[int, bytes]
"""The first byte, and the payload without its mask."""


@dataclass
class Heard:
    """Whoever gets the frames."""

    frames: list[Frame] = field(default_factory=list)

    def on_frame(self, frame: WSFrame) -> None:
        kind = int(frame.msg_type)  # type: ignore[call-overload]
        first = frame.fin << 7 | frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4 | kind
        self.frames.append((first, frame.get_payload_as_bytes()))

    def on_frames_end(self) -> None:
        """They are all noted already."""


def one_input(data: bytes) -> None:
    draws = Draws(data)
    streams = [_stream(draws), _stream(draws)]
    heard = [Heard(), Heard()]
    parsers = Parsers()
    inputs = [WebSocketInput(parsers, end) for end in heard]
    faults: list[int | None] = [None, None]

    def work() -> None:
        left = list(streams)
        while any(left):
            turn = draws.below(2) if all(left) else 0 if left[0] else 1
            size = 1 + (draws.below(300) if draws else len(left[turn]))
            faults[turn] = give(inputs[turn], left[turn][:size])
            left[turn] = b"" if faults[turn] is not None else left[turn][size:]

    on_loop(work)
    for stream, end, fault in zip(streams, heard, faults, strict=True):
        frames, expected = _obvious(stream)
        # Nobody listens to what stands behind a close frame.
        assert _up_to_close(end.frames) == frames, (end.frames, frames)
        assert (frames[-1:] and _is_close(frames[-1])) or fault == expected, (fault, expected)


def give(input_: WebSocketInput, data: bytes) -> int | None:
    """What a connection does with bytes that it has decrypted."""
    while data:
        room = input_.room()
        size = min(len(room), len(data))
        room[:size] = data[:size]
        fault = input_.take(size)
        while fault is None and input_.behind:
            fault = input_.go_on()
        if fault is not None:
            return fault
        data = data[size:]
    return None


def on_loop(work: Callable[[], None]) -> None:
    """Run `work` where picows finds the event loop that it asks for."""

    async def run() -> None:
        work()

    _runner().run(run())


@cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


def _stream(draws: Draws) -> bytes:
    """What one client sends."""
    if draws.chance(4):
        return draws.octets(400)
    return b"".join(_drawn_frame(draws) for _ in range(draws.below(6)))


def _drawn_frame(draws: Draws) -> bytes:
    first = draws.byte() if draws.chance(6) else draws.one_of((0x82, 0x82, 0x02, 0x80, 0x89, 0x8A, 0x88))
    size = draws.one_of((0, 1, 5, 125, 126, 300, 65535, 65536, MAX_FRAME, MAX_FRAME + 1))
    if first & 8 and not draws.chance(6):
        size = min(size, 125)
    payload = draws.octets(8)
    if draws.chance(4):
        payload = draws.one_of((1000, 1005, 1006, 2999, 3000, 4999, 5000, 0)).to_bytes(2) + payload
    payload = payload[:size].ljust(size, b"x") if size > 5 else payload
    whole = frame(first, payload, masked=not draws.chance(12), longer=draws.below(12))
    return whole[: draws.below(20)] if draws.chance(16) else whole


def frame(first: int, payload: bytes, *, masked: bool = True, longer: int = 0) -> bytes:
    """A frame as a client sends it; with `longer` 1 or 2 its length takes more bytes than it should."""
    size = len(payload)
    if size < 126 and longer not in (1, 2):
        header = bytes((first, masked << 7 | size))
    elif size < 1 << 16 and longer != 2:
        header = bytes((first, masked << 7 | 126)) + size.to_bytes(2)
    else:
        header = bytes((first, masked << 7 | 127)) + size.to_bytes(8)
    return header + (_MASK + unmask(payload, _MASK) if masked else payload)


def unmask(payload: bytes, mask: bytes) -> bytes:
    whole = int.from_bytes(payload) ^ int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)])
    return whole.to_bytes(len(payload))


def _up_to_close(frames: list[Frame]) -> list[Frame]:
    for at, one in enumerate(frames):
        if _is_close(one):
            return frames[: at + 1]
    return frames


def _is_close(one: Frame) -> bool:
    return one[0] & 15 == _CLOSE


def _obvious(data: bytes) -> tuple[list[Frame], int | None]:
    """The frames up to a close frame or a fault, and the fault's code (RFC 6455 sections 5.2, 5.5, 7.4)."""
    frames: list[Frame] = []
    while len(data) >= 2:
        first, second = data[0], data[1]
        opcode, flag = first & 15, second & 127
        control = opcode >= 8
        if opcode not in (_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG) or not second & 128:
            return frames, 1002
        if control and (not first & 128 or flag > 125):
            return frames, 1002
        extra = {126: 2, 127: 8}.get(flag, 0)
        if len(data) < 2 + extra:
            break
        size = int.from_bytes(data[2 : 2 + extra]) if extra else flag
        if (extra and size < (126 if extra == 2 else 65536)) or size >> 63:
            return frames, 1002
        if size > MAX_FRAME:
            return frames, 1009
        end = 2 + extra + 4 + size
        if len(data) < end:
            break
        payload = unmask(data[6 + extra : end], data[2 + extra : 6 + extra])
        if opcode == _CLOSE:
            fault = _close_fault(payload)
            if fault is None:
                frames.append((first, payload))
            return frames, fault
        frames.append((first, payload))
        data = data[end:]
    return frames, None


def _close_fault(payload: bytes) -> int | None:
    if not payload:
        return None
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or (code < 3000 and code not in (*_FIXED_CODES, *_LEFT_TO_THE_RELAY)):
        return 1002
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return 1007
    return None


def seeds() -> list[bytes]:
    return noise(40, 120)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    streams = {
        "empty frames": frame(0x82, b"") * 10 * size,
        "frames of a byte": frame(0x82, b"x") * 10 * size,
        "pings": frame(0x89, b"ping") * 10 * size,
        "fragments": frame(0x02, b"x") + frame(0x00, b"") * 10 * size,
    }

    def work(stream: bytes) -> None:
        def given() -> None:
            give(WebSocketInput(Parsers(), Heard()), stream)

        on_loop(given)

    return {what: partial(work, stream) for what, stream in streams.items()}
