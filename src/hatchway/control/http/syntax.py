"""What is taken as HTTP/1.1: no more than what every program on the way understands alike.

h11 reads requests as leniently as RFC 9112 lets it. Where a proxy in front and a server behind read one
request as two, or two as one, an attacker's request can pass for another's (section 11.2, request smuggling).
No AWS client needs any of what is refused here.
"""

import re
from typing import Final

import h11

LARGEST_HEAD: Final = 32 * 1024
"""Bytes of a request's line and headers."""
MOST_HEADERS: Final = 100
"""An AWS client sends a dozen. Each costs time to read and to check."""

_AMBIGUOUS: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\n[ \t]")
"""A bare CR or LF (section 2.2), and a header that goes on in the next line (section 5.2)."""


class HttpConnection(h11.Connection):
    """A server's side of a connection.

    Attributes:
        fault: the status and the sentence to answer with after `next_event` has raised.
    """

    fault: tuple[int, str] = (400, "The request is not HTTP/1.1 (RFC 9112).")

    def __init__(self) -> None:
        super().__init__(h11.SERVER, LARGEST_HEAD)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """As h11's.

        Raises:
            h11.RemoteProtocolError: what came is not to be answered but with `fault`.
        """
        received = self.trailing_data[0] if self.their_state is h11.IDLE else b""
        try:
            if _has_too_many_lines(received):
                # Before h11 reads it, which takes 15 µs a header.
                raise h11.RemoteProtocolError(_TOO_LARGE[1], error_status_hint=_TOO_LARGE[0])
            event = super().next_event()
        except h11.RemoteProtocolError as problem:
            if problem.error_status_hint == 431:
                self.fault = _TOO_LARGE
            raise
        if isinstance(event, h11.Request):
            fault = _fault(event, received[: len(received) - len(self.trailing_data[0])])
            if fault is not None:
                self.fault = fault
                raise h11.RemoteProtocolError(fault[1], error_status_hint=fault[0])
        return event


_TOO_LARGE: Final = (431, f"The request's headers are more than {LARGEST_HEAD} bytes, or {MOST_HEADERS}.")


def _has_too_many_lines(received: bytes) -> bool:
    """Whether a head that has come whole has more lines than a request's and those of so many headers."""
    # h11 takes either for the empty line at the end, and waits for it.
    ends = [end for end in (received.find(b"\n\r\n"), received.find(b"\n\n")) if end >= 0]
    return bool(ends) and received.count(b"\n", 0, min(ends)) > MOST_HEADERS


def _fault(request: h11.Request, head: bytes) -> tuple[int, str] | None:
    if len(head) > LARGEST_HEAD or len(request.headers) > MOST_HEADERS:
        return _TOO_LARGE
    if _AMBIGUOUS.search(head):
        return 400, "A line of the request's head is folded, or ends in something else than CR LF."
    if request.http_version not in {b"1.1", b"1.0"}:
        return 505, "The request is not HTTP/1.1."
    if not request.target.startswith(b"/"):
        return 400, "The request target must be a path: this is no proxy."
    names = [name for name, _ in request.headers]
    if b"transfer-encoding" in names:
        if b"content-length" in names:
            return 400, "A request has a Content-Length or a Transfer-Encoding, not both."
        return 411, "The body's length must be given in Content-Length: no transfer encoding is taken."
    return None
