"""What the core makes of a client until its request has come: the handshake, and the head of the request."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transport.compiled import core_context, needs_core
from tests.transport.harness import client_tls
from tests.transport.records import HANDSHAKE, KEY_UPDATE, telling_client_tls

from hatchway.transport import client_hello
from hatchway.transport.connection.tls import MAX_EMPTY_RECORDS, MAX_UNTRUSTED_READS
from hatchway.transport.core.flags import (
    COST,
    ENCRYPTED,
    END,
    FAILED,
    FULL,
    NOTHING,
    OUTGOING,
    PLAIN,
    TLS_ENDED,
    TLS_FAILED,
    TOO_MUCH,
)
from hatchway.transport.core.loading import CORE
from hatchway.transport.websocket.handshake import MAX_HEAD

if TYPE_CHECKING:
    # Where it is not compiled these tests skip.
    from hatchway.transport.core._core import Context

pytestmark = needs_core

REQUEST = b"GET / HTTP/1.1\r\nhost: gateway\r\n\r\n"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return core_context(tmp_path_factory.mktemp("core"))


class Newcomer:
    """A client that has connected to a session of the core's, and the flags of all that was made of it."""

    def __init__(self, context: Context, tls: ssl.SSLContext | None = None) -> None:
        self.session = context.session()
        self.ours, self.theirs = socket.socketpair()
        self.theirs.settimeout(30)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = (tls or client_tls()).wrap_bio(self.incoming, self.outgoing)
        self.flags = 0

    def __enter__(self) -> Newcomer:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.ours.close()
        self.theirs.close()

    def greet(self, encrypted: bytes | None = None) -> int:
        flags = self.session.greet(self.ours.fileno(), self.ours.fileno(), encrypted)
        self.flags |= flags
        return flags

    def send(self, data: bytes, size: int = 1 << 16) -> None:
        """Have the core read it, in pieces of this size."""
        for at in range(0, len(data), size):
            self.theirs.sendall(data[at : at + size])
            while not self.greet() & (NOTHING | PLAIN | TOO_MUCH | TLS_FAILED):
                pass

    def shake_hands(self, size: int = 1 << 16) -> None:
        for _ in range(2):
            with suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.send(self.outgoing.read(), size)
            if not self.session.is_open:
                self.incoming.write(self.theirs.recv(1 << 16))

    def say(self, text: bytes, size: int = 1 << 16) -> None:
        self.client.write(text)
        self.send(self.outgoing.read(), size)


def test_a_handshake_of_more_than_anybody_needs_is_not_computed(context: Context) -> None:
    # OpenSSL compares each key that is offered with each group: all of one ClientHello take 75 ms.
    with Newcomer(context) as newcomer:
        newcomer.send(bytes.fromhex("1603012001"))
        assert newcomer.flags & TLS_FAILED
    with Newcomer(context) as newcomer:
        # A message of 12 KiB, of which the first 8 have come.
        newcomer.send(bytes.fromhex("1603012000 01002ffc 0303") + bytes(8_186))
        assert not newcomer.flags & TLS_FAILED
        newcomer.send(bytes.fromhex("1603010001"))
        assert newcomer.flags & TLS_FAILED


@given(size=st.integers(40, 2000), pieces=st.lists(st.integers(1, 40), max_size=8))
def test_the_head_comes_whole_wherever_the_network_cuts_it(
    size: int, pieces: list[int], context: Context
) -> None:
    with Newcomer(context) as newcomer:
        newcomer.shake_hands(size)
        assert newcomer.session.is_open
        at = 0
        for piece in (*pieces, len(REQUEST)):
            if REQUEST[at : at + piece]:
                newcomer.say(REQUEST[at : at + piece])
            at += piece
        assert newcomer.flags & ~(FULL | NOTHING) == PLAIN
        assert newcomer.session.take_plain() == REQUEST


def test_what_comes_behind_the_head_is_kept_for_later(context: Context) -> None:
    with Newcomer(context) as newcomer:
        newcomer.shake_hands()
        newcomer.client.write(REQUEST + b"more")
        newcomer.client.write(b"and more")
        newcomer.theirs.sendall(newcomer.outgoing.read() + b"\x17")
        assert newcomer.greet() == PLAIN | ENCRYPTED
        assert newcomer.session.take_plain() == REQUEST + b"more"
        encrypted = newcomer.session.take_encrypted()
        assert newcomer.session.pump(newcomer.ours.fileno(), -2, 1 << 16, encrypted) == PLAIN
        assert newcomer.session.take_plain() == b"and more"
        assert newcomer.session.leave() == (b"\x17", 0, 0)


def test_a_head_without_an_end_is_told_of_once_it_is_too_long(context: Context) -> None:
    with Newcomer(context) as newcomer:
        newcomer.shake_hands()
        newcomer.say(b"x" * (MAX_HEAD - 1))
        assert not newcomer.flags & PLAIN
        newcomer.say(b"x" * 1000)
        assert newcomer.flags & PLAIN
        assert len(newcomer.session.take_plain()) == MAX_HEAD + 999


def test_what_was_read_before_is_the_beginning_of_it(context: Context) -> None:
    with Newcomer(context) as newcomer:
        with suppress(ssl.SSLWantReadError):
            newcomer.client.do_handshake()
        assert newcomer.greet(newcomer.outgoing.read()) == 0
        newcomer.incoming.write(newcomer.theirs.recv(1 << 16))
        newcomer.client.do_handshake()
        newcomer.say(REQUEST)
        assert newcomer.session.take_plain() == REQUEST


def test_a_client_that_sends_it_byte_by_byte_has_so_many_reads_and_no_more(context: Context) -> None:
    with Newcomer(context) as newcomer:
        newcomer.shake_hands()
        newcomer.client.write(bytes(100))
        reads = 2
        for byte in newcomer.outgoing.read():
            newcomer.theirs.sendall(bytes([byte]))
            reads += 1
            if newcomer.greet() & TOO_MUCH:
                break
        assert reads == MAX_UNTRUSTED_READS + 1


def test_a_client_that_changes_its_keys_again_and_again_has_taken_too_much(context: Context) -> None:
    with telling_client_tls() as (tls, records_of), Newcomer(context, tls) as newcomer:
        newcomer.shake_hands()
        records = records_of()
        for _ in range(MAX_EMPTY_RECORDS):
            newcomer.send(records.record(KEY_UPDATE, HANDSHAKE))
            records.update_keys()
        assert newcomer.flags & COST
        assert not newcomer.flags & TOO_MUCH
        newcomer.send(records.record(KEY_UPDATE, HANDSHAKE))
        assert newcomer.flags & TOO_MUCH


@pytest.mark.parametrize("greeted", [False, True])
def test_what_is_no_tls_gets_an_alert(greeted: bool, context: Context) -> None:
    with Newcomer(context) as newcomer:
        if greeted:
            newcomer.shake_hands()
        newcomer.send(b"\x16\x03\x01\0\x06\x01\0\0\x02\x03\x03")
        assert newcomer.flags & TLS_FAILED
        assert newcomer.theirs.recv(1 << 16)
        assert newcomer.session.is_open is greeted


def test_the_end_of_tls_and_of_tcp_are_told(context: Context) -> None:
    with Newcomer(context) as newcomer:
        newcomer.shake_hands()
        with suppress(ssl.SSLWantReadError):
            newcomer.client.unwrap()
        newcomer.theirs.sendall(newcomer.outgoing.read())
        assert newcomer.greet() & TLS_ENDED
        newcomer.theirs.close()
        assert newcomer.greet() == END


def test_where_the_socket_may_not_be_sent_by_the_answer_is_left_to_python(context: Context) -> None:
    with Newcomer(context) as newcomer:
        with suppress(ssl.SSLWantReadError):
            newcomer.client.do_handshake()
        newcomer.theirs.sendall(newcomer.outgoing.read())
        assert newcomer.session.greet(newcomer.ours.fileno(), -1, None) == OUTGOING
        assert newcomer.session.outgoing.pending


def test_a_poller_tells_of_a_client_when_its_request_is_whole_and_not_before(context: Context) -> None:
    assert CORE is not None
    with Newcomer(context) as newcomer, select.epoll() as untrusted:
        poller, ours = CORE.Poller(), newcomer.ours.fileno()
        poller.greet_by(untrusted.fileno())
        poller.register(untrusted.fileno(), select.EPOLLIN)
        untrusted.register(ours, select.EPOLLIN)
        alone = poller.pair(newcomer.session, ours)
        alone.read_client()
        with suppress(ssl.SSLWantReadError):
            newcomer.client.do_handshake()
        newcomer.theirs.sendall(newcomer.outgoing.read())
        assert poller.poll(1) == []
        newcomer.incoming.write(newcomer.theirs.recv(1 << 16))
        newcomer.client.do_handshake()
        newcomer.client.write(REQUEST)
        newcomer.theirs.sendall(newcomer.outgoing.read())
        # Whoever does not wait has something to do first.
        assert poller.poll(0) == [(untrusted.fileno(), select.EPOLLIN)]
        assert poller.greet() == [(ours, select.EPOLLIN)]
        assert alone.take_client() == PLAIN
        assert newcomer.session.take_plain() == REQUEST
        # It is Python's now.
        newcomer.theirs.sendall(b"x")
        assert poller.poll(1) == [(ours, select.EPOLLIN)]
        alone.read_client()
        newcomer.theirs.shutdown(socket.SHUT_WR)
        newcomer.ours.recv(1)
        assert poller.poll(1) == [(ours, select.EPOLLIN)]
        assert alone.take_client() == END
        alone.part()
        alone.read_client()
        assert poller.poll(1) == [(ours, select.EPOLLIN)]


def test_calls_that_make_no_sense_are_refused(context: Context) -> None:
    assert CORE is not None
    session = context.session()
    with pytest.raises(TypeError):
        session.greet(0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        session.greet("x", 0, None)  # type: ignore[arg-type]
    with pytest.raises(OSError):
        session.greet(-1, -1, None)
    with pytest.raises(ValueError, match="closed"):
        CORE.Poller().pair(session, -1)
    with pytest.raises(TypeError):
        CORE.Poller().greet_by("x")
    assert FAILED == CORE.FAILED
    assert TOO_MUCH == CORE.TOO_MUCH
    bounds = CORE.MAX_HEAD, CORE.MOST_GREETED, CORE.MOST_EMPTY, CORE.MOST_HANDSHAKE
    assert bounds == (MAX_HEAD, MAX_UNTRUSTED_READS, MAX_EMPTY_RECORDS, client_hello.MOST)
