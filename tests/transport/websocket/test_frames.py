"""Tunnels share the parsers of their frames, and never see each other's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hatchway.transport.websocket.frames import (
    MAX_FRAME,
    MOST_FRAMES,
    Parsers,
    WebSocketInput,
    binary_header,
    lone_close_code,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows import WSFrame

_BINARY, _CLOSE, _PING = 0x82, 0x88, 0x89
_MASK = b"\x13\x57\x9b\xdf"


@dataclass
class Listens:
    """Who gets the frames: first byte and payload of each."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)
    at_once: list[int] = field(default_factory=list)
    _payloads: list[memoryview] = field(default_factory=list)

    def on_frame(self, frame: WSFrame) -> None:
        kind = int(frame.msg_type)  # type: ignore[call-overload]
        self.frames.append((frame.fin << 7 | kind, frame.get_payload_as_bytes()))
        self._payloads.append(frame.get_payload_as_memoryview())

    def on_frames_end(self) -> None:
        """All payloads are still where they were."""
        at_once = len(self._payloads)
        assert [bytes(payload) for payload in self._payloads] == [
            payload for _, payload in self.frames[-at_once:]
        ]
        self.at_once.append(at_once)
        self._payloads.clear()


@pytest.fixture(autouse=True)
def loop() -> Any:
    """What picows asks for when a parser is made."""

    async def none() -> None:
        return None

    with asyncio.Runner() as runner:
        runner.run(none())
        yield runner.get_loop()


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        header = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        header = bytes((first, 0x80 | 126)) + size.to_bytes(2)
    else:
        header = bytes((first, 0x80 | 127)) + size.to_bytes(8)
    masked = bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(payload))
    return header + _MASK + masked


def _give(input_: WebSocketInput, data: bytes) -> int | None:
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


def _on_the_loop(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    async def run() -> None:
        work()

    loop.run_until_complete(run())


_payloads = st.binary(max_size=300) | st.integers(120, 70_000).map(lambda size: b"\xa5" * size)
_streams = st.lists(
    st.lists(st.tuples(st.sampled_from([_BINARY, _PING]), _payloads), max_size=4), min_size=1, max_size=4
)


@given(streams=_streams, ends=st.booleans(), data=st.data())
def test_each_tunnel_gets_its_own_frames_however_their_bytes_are_cut_and_mixed(
    streams: list[list[tuple[int, bytes]]], ends: bool, data: st.DataObject
) -> None:
    said = [
        [(kind, payload if kind == _BINARY else payload[:125]) for kind, payload in frames]
        + ([(_CLOSE, b"\x03\xe8")] if ends else [])
        for frames in streams
    ]
    left = [b"".join(_frame(*frame) for frame in frames) for frames in said]
    parsers = Parsers()
    ends_ = [Listens() for _ in said]
    inputs = [WebSocketInput(parsers, end) for end in ends_]

    async def run() -> None:
        while any(left):
            turn = data.draw(st.sampled_from([at for at, rest in enumerate(left) if rest]))
            size = data.draw(st.integers(1, len(left[turn])))
            assert _give(inputs[turn], left[turn][:size]) is None
            left[turn] = left[turn][size:]

    asyncio.run(run())
    assert [end.frames for end in ends_] == said


@given(
    first=st.sampled_from([_CLOSE, _BINARY, 0x08, 0xC8]),
    code=st.binary(max_size=3) | st.integers(900, 5100).map(lambda code: code.to_bytes(2)),
    rest=st.binary(max_size=1),
)
@example(first=_CLOSE, code=b"\x03\xe8", rest=b"")
@example(first=_CLOSE, code=b"\x03\xed", rest=b"")
@example(first=_CLOSE, code=b"\x0b\xb7", rest=b"")
@example(first=_CLOSE, code=b"", rest=b"")
def test_a_close_frame_that_comes_alone_is_read_without_a_parser_as_with_one(
    first: int, code: bytes, rest: bytes
) -> None:
    said = _frame(first, code) + rest
    number = int.from_bytes(code) if code else 1000
    usual = first == _CLOSE and len(code) in (0, 2) and not rest and (number < 1004 or number >= 3000)
    assert lone_close_code(said) == (number if usual and 1000 <= number < 5000 else None)
    for end in range(len(said)):
        assert lone_close_code(said[:end]) is None or (rest and end == len(said) - 1)
    assert lone_close_code(bytes((first, len(code))) + code) is None


def test_tunnels_that_say_whole_frames_share_one_parser(loop: asyncio.AbstractEventLoop) -> None:
    def work() -> None:
        parsers = Parsers()
        ends = [Listens() for _ in range(50)]
        inputs = [WebSocketInput(parsers, end) for end in ends]
        for input_ in inputs * 2:
            _give(input_, _frame(_BINARY, b"hello"))
        assert len(parsers.spare) == 1
        assert all(end.frames == [(_BINARY, b"hello")] * 2 for end in ends)

    _on_the_loop(loop, work)


def test_a_parser_goes_on_after_a_tunnel_has_closed_in_order(loop: asyncio.AbstractEventLoop) -> None:
    def work() -> None:
        parsers = Parsers()
        for _ in range(3):
            end = Listens()
            assert _give(WebSocketInput(parsers, end), _frame(_CLOSE, b"\x03\xe8")) is None
            assert end.frames == [(_CLOSE, b"\x03\xe8")]
        assert len(parsers.spare) == 1

    _on_the_loop(loop, work)


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x83\x80" + _MASK,
        b"\x82\x01a",
        _frame(_PING, b"x" * 126),
        _frame(_CLOSE, b"\x03"),
        _frame(_CLOSE, b"") * 2,
        _frame(_BINARY, b"fine") + b"\x83\x80" + _MASK,
        b"\x82\xff" + (MAX_FRAME + 1).to_bytes(8) + _MASK,
    ],
)
def test_nobody_gets_a_parser_that_has_found_fault(loop: asyncio.AbstractEventLoop, wrong: bytes) -> None:
    def work() -> None:
        parsers = Parsers()
        assert _give(WebSocketInput(parsers, Listens()), wrong) in (1002, 1009)
        assert not parsers.spare
        after = Listens()
        assert _give(WebSocketInput(parsers, after), _frame(_BINARY, b"fine")) is None
        assert after.frames == [(_BINARY, b"fine")]

    _on_the_loop(loop, work)


@pytest.mark.parametrize("what", ["on_frame", "on_frames_end"])
def test_what_a_handler_raises_is_its_own_fault_and_not_the_client_s(
    loop: asyncio.AbstractEventLoop, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a handler's fault")

    def work() -> None:
        parsers, listens = Parsers(), Listens()
        monkeypatch.setattr(listens, what, fail)
        with pytest.raises(LookupError):
            _give(WebSocketInput(parsers, listens), _frame(_BINARY, b"well"))
        assert not parsers.spare

    _on_the_loop(loop, work)


def test_nobody_gets_a_parser_that_was_left_within_a_frame(loop: asyncio.AbstractEventLoop) -> None:
    def work() -> None:
        parsers = Parsers()
        for cut in range(1, 11):
            _give(WebSocketInput(parsers, Listens()), _frame(_BINARY, b"secret")[:cut])
            assert not parsers.spare
            _give(
                WebSocketInput(parsers, Listens()), _frame(_BINARY, b"a") + _frame(_BINARY, b"secret")[:cut]
            )
            assert not parsers.spare

    _on_the_loop(loop, work)


def test_only_so_many_parsers_are_kept(loop: asyncio.AbstractEventLoop) -> None:
    def work() -> None:
        parsers = Parsers()
        inputs = [WebSocketInput(parsers, Listens()) for _ in range(100)]
        half = len(_frame(_BINARY, b"hello")) // 2
        for part in (slice(0, half), slice(half, None)):
            for input_ in inputs:
                _give(input_, _frame(_BINARY, b"hello")[part])
        assert 0 < len(parsers.spare) < 50

    _on_the_loop(loop, work)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1000])
def test_frames_are_handed_over_in_portions_and_none_is_lost(
    loop: asyncio.AbstractEventLoop, size: int
) -> None:
    def work() -> None:
        count = 5 * MOST_FRAMES // 2
        end = Listens()
        said = [(_BINARY, (b"%d." % number)[:1] * size) for number in range(count)]
        input_ = WebSocketInput(Parsers(), end)
        assert _give(input_, b"".join(_frame(*frame) for frame in said)) is None
        assert end.frames == said
        assert max(end.at_once) <= MOST_FRAMES
        assert not input_.behind

    _on_the_loop(loop, work)


def test_what_came_with_the_request_is_handed_over_in_portions_too(loop: asyncio.AbstractEventLoop) -> None:
    def work() -> None:
        end = Listens()
        input_ = WebSocketInput(Parsers(), end)
        given = _frame(_BINARY, b"x") * (3 * MOST_FRAMES) + _frame(_BINARY, b"y" * 9000)
        input_.give(given[:-4000])
        while input_.behind:
            input_.go_on()
        assert len(end.frames) == 3 * MOST_FRAMES
        _give(input_, given[-4000:])
        assert end.frames[-1] == (_BINARY, b"y" * 9000)

    _on_the_loop(loop, work)


@pytest.mark.parametrize("begun", [bytes((_PING, 0x80 | 126, 0)), bytes((_BINARY, 126, 0))])
def test_a_header_that_is_wrong_already_is_not_waited_for(
    loop: asyncio.AbstractEventLoop, begun: bytes
) -> None:
    def work() -> None:
        # A control frame with a long length, and an unmasked frame: 1002, whatever follows.
        end = Listens()
        assert _give(WebSocketInput(Parsers(), end), begun) == 1002
        assert not end.frames

    _on_the_loop(loop, work)


def test_a_header_that_is_not_whole_yet_is_waited_for(loop: asyncio.AbstractEventLoop) -> None:
    def work() -> None:
        end = Listens()
        input_ = WebSocketInput(Parsers(), end)
        whole = _frame(_BINARY, bytes(300))
        for byte in range(len(whole)):
            assert not end.frames
            assert _give(input_, whole[byte : byte + 1]) is None
        assert end.frames == [(_BINARY, bytes(300))]

    _on_the_loop(loop, work)


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65_535, b"\x82\x7e\xff\xff"),
        (65_536, b"\x82\x7f" + (65_536).to_bytes(8)),
    ],
)
def test_the_header_of_a_frame_has_the_shortest_length_that_says_it(size: int, header: bytes) -> None:
    assert binary_header(size) == header


def test_an_input_is_busy_while_something_waits() -> None:
    websocket, busy = WebSocketInput(Parsers(), Listens()), []
    for data in (b"", b"x"):
        websocket.give(data)
        busy.append(websocket.is_busy)
    assert busy == [False, True]
