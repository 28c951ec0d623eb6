"""Frames of a WebSocket: what RFC 6455 shows of them, in whatever pieces they come, and what is none."""

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.client.tunnel import frames
from hatchway.client.tunnel.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NO_FRAME_REASON,
    NO_STATUS,
    NORMAL,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    UNSUPPORTED_DATA,
    BadFrame,
    FrameReader,
    accept_value,
    masked,
    new_key,
    read_close,
    write_close,
    write_frame,
)

FINAL = 0x80


def frame(kind: int, payload: bytes = b"", *, final: bool = True, key: bytes = b"") -> bytes:
    """As a server writes it; with a key, as it may not."""
    size = len(payload)
    length = (
        bytes([size])
        if size < 126
        else b"\x7e" + size.to_bytes(2, "big")
        if size < 65_536
        else b"\x7f" + size.to_bytes(8, "big")
    )
    if key:
        length = bytes([length[0] | FINAL]) + length[1:] + key
    return bytes([kind | (FINAL if final else 0)]) + length + payload


def test_a_server_s_answer_to_a_key_is_that_of_the_rfc() -> None:
    assert accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_masked_text_is_that_of_the_rfc() -> None:
    key = bytes.fromhex("37fa213d")
    assert write_frame(TEXT, b"Hello", key) == bytes.fromhex("818537fa213d7f9f4d5158")


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_is_that_of_one_byte_after_the_other_and_undoes_itself(data: bytes, key: bytes) -> None:
    expected = bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
    assert masked(data, key) == masked(memoryview(data), key) == expected
    assert masked(expected, key) == data


@pytest.mark.parametrize("size", [4096, 4097, 65_000, 65_003])
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "not compiled"])
def test_many_bytes_are_masked_alike_whatever_masks_them(
    size: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setitem(sys.modules, "websockets.speedups", None)
    frames._mask_many.cache_clear()
    data, key = os.urandom(size), os.urandom(4)
    expected = bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
    assert masked(data, key) == masked(memoryview(bytearray(data)), key) == expected
    frames._mask_many.cache_clear()


def test_what_masks_many_bytes_is_compiled_where_this_runs() -> None:
    frames._mask_many.cache_clear()
    assert frames._mask_many() is not frames._mask


def test_each_key_is_four_bytes_that_nobody_foresees() -> None:
    keys = {new_key() for _ in range(64)}
    assert len(keys) == 64
    assert all(len(set(column)) > 16 for column in zip(*keys, strict=True))


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 70_000])
def test_a_frame_says_how_long_it_is_in_the_fewest_bytes(size: int) -> None:
    payload, key = os.urandom(size), b"\0\0\0\0"
    written = write_frame(BINARY, payload, key)
    assert written == frame(BINARY, payload, key=key)


def read(data: bytes, *cuts: int) -> list[tuple[int, bytes]]:
    """What is read of a server's bytes that come in pieces; data joined."""
    reader = FrameReader()
    found: list[tuple[int, bytes]] = []
    at = 0
    for cut in (*sorted(cuts), len(data)):
        for kind, payload in reader.read(memoryview(data[at:cut])):
            if kind == BINARY and found and found[-1][0] == BINARY:
                found[-1] = (BINARY, found[-1][1] + bytes(payload))
            else:
                found.append((kind, bytes(payload)))
        at = max(at, cut)
    return found


MESSAGES = st.lists(
    st.one_of(
        st.tuples(st.just(BINARY), st.binary(max_size=300)),
        st.tuples(st.sampled_from([TEXT, PING, PONG, CLOSE]), st.binary(max_size=125)),
    ),
    max_size=5,
)


@given(MESSAGES, st.lists(st.integers(0, 900), max_size=8))
def test_what_a_server_says_is_read_the_same_in_whatever_pieces_it_comes(
    messages: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(frame(kind, payload) for kind, payload in messages)
    whole = read(data)
    assert read(data, *(min(cut, len(data)) for cut in cuts)) == whole
    assert b"".join(p for k, p in whole if k == BINARY) == b"".join(p for k, p in messages if k == BINARY)
    assert [pair for pair in whole if pair[0] != BINARY] == [pair for pair in messages if pair[0] != BINARY]


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536])
def test_data_is_given_before_its_frame_is_whole(size: int) -> None:
    data = os.urandom(size)
    assert read(frame(BINARY, data)[:-10]) == [(BINARY, data[:-10])]
    assert read(frame(BINARY, data), 1, 2, 3, 5, 9) == [(BINARY, data)]


def test_control_frames_stand_between_fragments() -> None:
    data = frame(BINARY, b"a", final=False) + frame(PING, b"?") + frame(CONTINUATION, b"b")
    assert read(data) == [(BINARY, b"a"), (PING, b"?"), (BINARY, b"b")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(BINARY, b"x", key=b"abcd"), PROTOCOL_ERROR),
        (bytes([FINAL | 0x40 | BINARY, 0]), PROTOCOL_ERROR),
        (frame(3), PROTOCOL_ERROR),
        (frame(11), PROTOCOL_ERROR),
        (frame(PING, bytes(126)), PROTOCOL_ERROR),
        (frame(CLOSE, final=False), PROTOCOL_ERROR),
        (frame(CONTINUATION, b"x"), PROTOCOL_ERROR),
        (frame(BINARY, b"x", final=False) + frame(BINARY, b"y"), PROTOCOL_ERROR),
        (frame(BINARY, b"x", final=False) + frame(TEXT, b"y"), PROTOCOL_ERROR),
        (bytes([FINAL | BINARY, 127]) + b"\xff" * 8, PROTOCOL_ERROR),
        (frame(TEXT, bytes(126)), UNSUPPORTED_DATA),
        (frame(TEXT, b"x", final=False), UNSUPPORTED_DATA),
    ],
)
def test_what_no_server_may_send_ends_it_with_the_code_for_that(data: bytes, code: int) -> None:
    with pytest.raises(BadFrame) as caught:
        read(data)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", (NO_STATUS, "")),
        (b"\x03", (PROTOCOL_ERROR, NO_FRAME_REASON)),
        (write_close(NORMAL), (NORMAL, "")),
        (b"\x0f\xa1time is up", (4001, "time is up")),
        (b"\x0f\xa1\xff", (4001, "\ufffd")),
    ],
)
def test_a_close_holds_a_code_and_a_reason(payload: bytes, said: tuple[int, str]) -> None:
    assert read_close(payload) == said
