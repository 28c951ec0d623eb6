"""What is taken as a request's head, before and after h11 reads it."""

import time

import h11
import pytest

from hatchway.control.http.syntax import MOST_HEADERS, HttpConnection

EMPTY = pytest.mark.parametrize("ending", [b"\r\n", b"\n"])


def head(headers: int, ending: bytes = b"\r\n") -> bytes:
    return ending.join([b"GET / HTTP/1.1", b"host: h", *[b"a:b"] * (headers - 1), b"", b""])


def refused(data: bytes) -> int:
    """The status of the answer; 0 when it is a request."""
    connection = HttpConnection()
    connection.receive_data(data)
    try:
        assert isinstance(connection.next_event(), h11.Request)
    except h11.RemoteProtocolError:
        return connection.fault[0]
    return 0


def test_a_head_may_have_so_many_headers_and_no_more_whatever_follows() -> None:
    follows = b"a\n" * 1000 + b"\n\n"
    assert refused(head(MOST_HEADERS) + follows) == 0
    assert refused(head(MOST_HEADERS + 1) + follows) == 431


@EMPTY
def test_a_head_of_thousands_of_headers_is_not_read(ending: bytes) -> None:
    """It takes less than the largest that is, several times as long before."""

    def least(data: bytes) -> float:
        times = []
        for _ in range(5):
            began = time.thread_time()
            assert refused(data) in {0, 431}
            times.append(time.thread_time() - began)
        return min(times)

    assert least(head(5000, ending)) < 2 * least(head(MOST_HEADERS))
