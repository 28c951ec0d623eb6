"""Answers of HTTP/1.1: how each says where it ends, in whatever pieces it comes, and what is none."""

from collections.abc import Callable
from typing import Any

import pytest

from hatchway.client.connection.http_answer import AnswerReader, BadAnswer, Closed, HttpAnswer

OK = b"HTTP/1.1 200 OK\r\n"


def coming(data: bytes, piece: int = 1 << 20) -> Callable[[int], bytes]:
    """What gives these bytes, so many at once, and then the end."""
    left = bytearray(data)

    def receive(size: int) -> bytes:
        given = bytes(left[: min(size, piece)])
        del left[: len(given)]
        return given

    return receive


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("data", "body", "last"),
    [
        (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", False),
        (OK + b"content-length: 0\r\n\r\n", b"", False),
        (OK + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello", b"hello", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
        (OK + b"\r\nhello", b"hello", True),
        (
            OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
            b"hello",
            False,
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello", b"hello", False),
    ],
)
def test_an_answer_ends_where_it_says(data: bytes, body: bytes, piece: int, *, last: bool) -> None:
    answer, is_last = AnswerReader(coming(data, piece)).answer()
    assert (answer.status, answer.body, is_last) == (200, body, last)


def test_several_come_one_after_the_other() -> None:
    one = OK + b"Content-Length: 1\r\n\r\n"
    reader = AnswerReader(coming(one + b"a" + one + b"b"))
    assert [reader.answer()[0].body for _ in range(2)] == [b"a", b"b"]
    with pytest.raises(Closed):
        reader.answer()


def test_what_follows_a_switch_of_protocols_is_left_as_it_is() -> None:
    reader = AnswerReader(coming(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x82\x01x"))
    assert reader.answer() == (HttpAnswer(101, {"upgrade": "websocket"}, b""), False)
    assert reader.received == b"\x82\x01x"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + "Content-Length: ²\r\n\r\n".encode("latin-1"),
        OK + b"Content-Length: 101\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n60\r\n" + b"x" * 96 + b"\r\n60\r\n",
        OK + b"\r\n" + b"x" * 101,
        OK + b"X: " + b"x" * 400_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 400_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * 101,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 101,
    ],
)
def test_what_is_no_answer_or_too_long_for_one_is_told(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerReader(coming(data), body_limit=100).answer()


@pytest.mark.parametrize("data", [b"", OK, OK + b"Content-Length: 5\r\n\r\nhell"])
def test_an_end_before_the_answer_s_is_told(data: bytes) -> None:
    with pytest.raises(Closed):
        AnswerReader(coming(data)).answer()


class Counting(bytearray):
    """Counts the bytes that were looked through."""

    looked = 0

    def find(self, *arguments: Any) -> int:
        self.looked += len(self) - (arguments[1] if len(arguments) > 1 else 0)
        return super().find(*arguments)


@pytest.mark.parametrize("head", [OK, OK + b"Transfer-Encoding: chunked\r\n\r\n"], ids=["head", "chunk"])
def test_an_answer_that_comes_byte_by_byte_is_looked_through_once(head: bytes) -> None:
    reader = AnswerReader(coming(head + b"\r" * 5000, 1))
    received = reader.received = Counting()
    with pytest.raises(Closed):
        reader.answer()
    assert received.looked < 5 * 5000
