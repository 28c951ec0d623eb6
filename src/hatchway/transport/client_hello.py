"""What clients offer at the beginning of TLS, inspected before OpenSSL computes what they ask for. Pure.

Python's `ssl` cannot set the groups for key agreement; the compiled core can (`core/tls.c`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 8 * 1024
"""Bytes of handshake messages that a client may send. It needs some hundred, or two thousand. OpenSSL
compares each offered key with each group, which takes 75 milliseconds for 62 KB of them."""

_HEADER: Final = 5
_HANDSHAKE: Final = 22
"""Bytes of a TLS record's header, and the type of handshake records (RFC 8446 section 5.1)."""
_CLIENT_HELLO: Final = 1
_KEY_SHARE: Final = 51
_FINITE_FIELDS: Final = 0x01
"""The first byte of finite-field groups (RFC 7919 section 2)."""


class ClientHellos:
    """The ClientHello messages of one connection, as it sends them."""

    __slots__ = ("_header", "_kind", "_left", "_messages")

    def __init__(self) -> None:
        # The beginning of a record's header; the type of a record that has begun, and how much of it is to
        # come.
        self._header = bytearray()
        self._kind = self._left = 0
        self._messages = bytearray()

    def are_too_costly(self, sent: memoryview) -> bool:
        """Whether what was sent so far offers key agreement in a finite field.

        That takes 5 to 170 milliseconds; a curve takes 0.1 to 4. More than `MOST` bytes are too costly as
        well. OpenSSL refuses malformed messages.
        """
        self._take(sent)
        if len(self._messages) > MOST:
            return True
        try:
            return any(map(_offers_finite_field, _client_hellos(self._messages)))
        except IndexError:
            return False

    def _take(self, sent: memoryview) -> None:
        """Reassemble the handshake messages, however records divide them (RFC 8446 section 5.1)."""
        while sent:
            if self._left:
                size = min(self._left, len(sent))
                self._left -= size
                if self._kind == _HANDSHAKE:
                    self._messages += sent[:size]
            else:
                size = min(_HEADER - len(self._header), len(sent))
                self._header += sent[:size]
                if len(self._header) == _HEADER:
                    self._kind, self._left = self._header[0], _number(self._header, 3)
                    self._header.clear()
            sent = sent[size:]


def _client_hellos(messages: bytearray) -> Iterator[bytearray]:
    """The bodies of the complete ones (RFC 8446 section 4.1.2)."""
    at = 0
    while at + 4 <= len(messages):
        kind, begin = messages[at], at + 4
        at = begin + (messages[at + 1] << 16) + _number(messages, at + 2)
        if kind == _CLIENT_HELLO and at <= len(messages):
            yield messages[begin:at]


def _offers_finite_field(hello: bytearray) -> bool:
    """
    Raises:
        IndexError: it is malformed.
    """
    at = 34  # version and random bytes
    at += 1 + hello[at]  # a session
    at += 2 + _number(hello, at)  # ciphers
    at += 1 + hello[at]  # compressions
    at += 2
    while at < len(hello):
        kind, end = _number(hello, at), at + 4 + _number(hello, at + 2)
        at += 4
        if kind == _KEY_SHARE:
            at += 2
            while at < end:
                if hello[at] == _FINITE_FIELDS:
                    return True
                at += 4 + _number(hello, at + 2)
        at = end
    return False


def _number(data: bytearray, at: int) -> int:
    return data[at] << 8 | data[at + 1]
