"""What the core makes of a client's bytes, whatever they are: beside a slow and obvious reader of frames."""

from __future__ import annotations

import ctypes
import socket
import ssl
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transport.compiled import core_context, needs_core
from tests.transport.core.test_core_tls import shake_hands_and_listen
from tests.transport.harness import certificate, frame
from tests.transport.records import HANDSHAKE, KEY_UPDATE, telling_client_tls

from hatchway.transport.core.flags import (
    AS_FRAMES,
    FLAGS,
    FULL,
    OUTGOING,
    READ_SIZE,
    SIZE_SHIFT,
    TO_PYTHON,
)
from hatchway.transport.core.loading import CORE
from hatchway.transport.websocket.frames import MAX_FRAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    # Where it is not compiled these tests skip.
    from hatchway.transport.core._core import Context

pytestmark = needs_core

NOTHING, END, REST, PLAIN, ENCRYPTED, TLS_ENDED, TLS_FAILED = 2, 4, 8, 16, 32, 128, 256
MOST_PUSHED = 4 * 65_532
BUFFER = 16 * 1024
CBC = "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:@SECLEVEL=0"
"""Suites whose records grow the most: by up to 85 bytes (RFC 5246, 6.2.3.2)."""


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return core_context(tmp_path_factory.mktemp("core"))


class Meeting:
    """A session of the core's and its client, at both ends of a connection.

    `data` is what has come of frames with data, `plain` what was left to Python.
    """

    def __init__(self, context: Context, tls: ssl.SSLContext | None = None) -> None:
        self.session = context.session()
        self.client, self.up, self.down = shake_hands_and_listen(self.session, tls)
        self.ours, self.theirs = socket.socketpair()
        self.data, self.plain = bytearray(), bytearray()

    def __enter__(self) -> Meeting:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.ours.close()
        self.theirs.close()

    def say(self, text: bytes) -> None:
        self.client.write(text)
        self.theirs.sendall(self.up.read())

    def take(self, encrypted: bytes | None = None) -> int:
        """Pump once; the flags."""
        outlet = AS_FRAMES if self.plain else TO_PYTHON
        result = self.session.pump(self.ours.fileno(), outlet, READ_SIZE, encrypted)
        rest, plain = self.session.take_rest(), self.session.take_plain()
        assert (len(rest), bool(rest), bool(plain)) == (
            result >> SIZE_SHIFT,
            bool(result & REST),
            bool(result & PLAIN),
        )
        self.data += rest
        self.plain += plain
        return result & FLAGS

    def take_all(self) -> int:
        """Pump while there is something; the last flags that say more."""
        last, encrypted = 0, None
        while not (flags := self.take(encrypted)) & (NOTHING | END | TLS_ENDED | TLS_FAILED):
            last = flags
            encrypted = self.session.take_encrypted() if flags & ENCRYPTED else None
        return last if flags & NOTHING else flags


def plain_data(stream: bytes) -> tuple[bytes, bytes]:
    """The payloads before the first frame that is not plain data, and all from that on (RFC 6455, 5.2).

    The payload of a frame that is yet to come whole counts as far as it goes.
    """
    data, at = bytearray(), 0
    while len(stream) - at >= 6 and stream[at] == 0x82 and stream[at + 1] & 0x80:
        size, start = stream[at + 1] & 0x7F, at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(stream) - start < width + 4:
                break
            least, size = (126 if width == 2 else 65_536), int.from_bytes(stream[start : start + width])
            start += width
            if size < least:
                break
        if not 0 < size <= MAX_FRAME:
            break
        key, start = stream[start : start + 4], start + 4
        payload = stream[start : start + size]
        pad = (key * (len(payload) // 4 + 1))[: len(payload)]
        data += (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(len(payload))
        at = start + len(payload)
    return bytes(data), stream[at:]


def whole_payloads(stream: bytes) -> Iterator[bytes]:
    """Of a server's frames, of 126 bytes to 64 KiB each."""
    while stream:
        assert stream[:2] == b"\x82\x7e"
        end = 4 + int.from_bytes(stream[2:4])
        yield stream[4:end]
        stream = stream[end:]


keys = st.binary(min_size=4, max_size=4)
frames = st.one_of(
    st.builds(frame, st.just(2), st.binary(max_size=300), key=keys),
    st.builds(frame, st.just(2), st.integers(0, MAX_FRAME + 1).map(bytes), key=keys),
    st.builds(frame, st.integers(0, 15), st.binary(max_size=10), fin=st.booleans(), rsv=st.integers(0, 7)),
    st.builds(lambda count: frame(2, b"s", key=b"keys") * count, st.integers(1, 200)),
    st.binary(max_size=20),
)


@given(st.lists(frames, max_size=10), st.lists(st.integers(1, 50_000), max_size=8))
def test_plain_data_comes_out_and_everything_else_as_it_was(
    context: Context, sent: list[bytes], cuts: list[int]
) -> None:
    stream, at = b"".join(sent), 0
    with Meeting(context) as meeting:
        while at < len(stream):
            cut = cuts.pop() if cuts else 50_000
            meeting.say(stream[at : at + cut])
            meeting.take_all()
            at += cut
        data, plain = bytes(meeting.data), bytes(meeting.plain)
    assert stream.endswith(plain)
    if plain:
        # It begins with a frame for Python, or comes after as many as are handed over at once.
        assert plain_data(stream[: len(stream) - len(plain)]) == (data, b"")
    else:
        # The beginning of a header is still in the core.
        wanted, header = plain_data(stream)
        assert (data, len(header) < 14) == (wanted, True)


@given(st.binary(min_size=1, max_size=2000))
def test_bytes_that_are_no_tls_fail_or_wait(context: Context, garbage: bytes) -> None:
    with Meeting(context) as meeting:
        meeting.say(frame(2, b"before", key=b"1234"))
        meeting.take_all()
        meeting.theirs.sendall(garbage)
        meeting.take_all()
        assert (bytes(meeting.data), bytes(meeting.plain)) == (b"before", b"")


def test_what_was_wrong_with_a_client_s_tls_is_not_found_by_python_s(context: Context) -> None:
    with Meeting(context) as meeting:
        meeting.theirs.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
        assert meeting.take_all() & TLS_FAILED
        with pytest.raises(ssl.SSLWantReadError):
            meeting.client.read(1)


def test_the_end_of_tls_and_of_tcp_are_told(context: Context) -> None:
    with Meeting(context) as meeting:
        with pytest.raises(ssl.SSLWantReadError):
            meeting.client.unwrap()
        meeting.theirs.sendall(meeting.up.read())
        assert meeting.take_all() & TLS_ENDED
    with Meeting(context) as meeting:
        meeting.theirs.close()
        assert meeting.take_all() == END


def test_more_than_is_taken_at_once_is_kept_in_order(context: Context) -> None:
    sent = bytes(range(256)) * 1200
    with Meeting(context) as meeting:
        meeting.client.write(b"".join(frame(2, sent[at : at + 60_000]) for at in range(0, len(sent), 60_000)))
        encrypted: bytes | None = meeting.up.read()
        while encrypted:
            flags = meeting.take(encrypted)
            encrypted = meeting.session.take_encrypted() if flags & ENCRYPTED else None
        assert meeting.data == sent


@given(
    st.lists(st.integers(1, 125_000), min_size=1, max_size=4), st.lists(st.integers(1, 60_000), max_size=6)
)
def test_wherever_the_network_cuts_records_their_data_is_the_same(
    context: Context, sizes: list[int], cuts: list[int]
) -> None:
    sent = [bytes(range(251)) * (size // 251 + 1) for size in sizes]
    with Meeting(context) as meeting:
        meeting.client.write(b"".join(frame(2, each, key=b"keys") for each in sent))
        records, at = meeting.up.read(), 0
        while at < len(records):
            cut = cuts.pop() if cuts else 60_000
            meeting.theirs.sendall(records[at : at + cut])
            assert meeting.take_all() & ~FULL in (0, REST)
            at += cut
        assert (meeting.data == b"".join(sent), bytes(meeting.plain)) == (True, b"")


@pytest.mark.parametrize("tls", ["TLS 1.3", "TLS 1.2 with CBC"])
def test_a_target_s_bytes_come_as_they_were_however_much_their_records_grow(
    tls: str, tmp_path: Path, context: Context
) -> None:
    assert CORE is not None
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname, theirs.verify_mode = False, ssl.CERT_NONE
    if tls != "TLS 1.3":
        path = tmp_path / "server.pem"
        path.write_bytes(certificate())
        context = CORE.Context(str(path), str(path), CBC, None)
        theirs.maximum_version = ssl.TLSVersion.TLSv1_2
        theirs.set_ciphers(CBC)
    sent = bytes(range(251)) * (MOST_PUSHED // 251 + 1)
    (target, ours), (client, to_client) = tcp_pair(), tcp_pair()
    with target, ours, client, to_client, Meeting(context, theirs) as meeting:
        assert (meeting.client.version() == "TLSv1.3") == (tls == "TLS 1.3")
        target.setblocking(True)
        target.sendall(sent[:MOST_PUSHED])
        pushed, came = 0, bytearray()
        while pushed < MOST_PUSHED:
            result = meeting.session.push(ours.fileno(), to_client.fileno(), MOST_PUSHED)
            pushed += result >> SIZE_SHIFT
            with suppress(BlockingIOError):
                while True:
                    meeting.down.write(client.recv(1 << 20))
            meeting.down.write(meeting.session.outgoing.read())
        with suppress(ssl.SSLWantReadError):
            while True:
                came += meeting.client.read(1 << 16)
    assert b"".join(whole_payloads(bytes(came))) == sent[:MOST_PUSHED]


def test_a_tunnel_that_waits_has_none_of_the_memory_that_openssl_reads_and_writes_by(
    context: Context,
) -> None:
    in_use = memory_in_use()
    (target, ours), (client, to_client) = tcp_pair(), tcp_pair()
    with target, ours, client, to_client, ExitStack() as meetings:
        many = [meetings.enter_context(Meeting(context)) for _ in range(50)]
        for meeting in many:
            meeting.client.write(frame(2, bytes(40_000)))
        sent = [meeting.up.read() for meeting in many]
        before = in_use()
        for meeting, records in zip(many, sent, strict=True):
            for part in (records[:20_000], records[20_000:]):
                meeting.theirs.sendall(part)
                meeting.take_all()
            meeting.data.clear()
            target.sendall(bytes(40_000))
            assert (
                meeting.session.push(ours.fileno(), to_client.fileno(), MOST_PUSHED) >> SIZE_SHIFT == 40_000
            )
            with suppress(BlockingIOError):
                while True:
                    client.recv(1 << 20)
        assert in_use() - before < len(many) * BUFFER / 2


def memory_in_use() -> Callable[[], int]:
    """What tells how many bytes malloc has given out."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("this C library does not tell")
    mallinfo.restype = MemoryInfo
    return lambda: int(mallinfo().uordblks)


class MemoryInfo(ctypes.Structure):
    """mallinfo(3)."""

    _fields_ = (
        ("others", ctypes.c_size_t * 7),
        ("uordblks", ctypes.c_size_t),
        ("more", ctypes.c_size_t * 2),
    )


def test_calls_that_make_no_sense_are_refused(context: Context) -> None:
    assert CORE is not None
    session = context.session()
    with pytest.raises(ssl.SSLError, match="amid a message"):
        session.push(0, 0, 1)
    with pytest.raises(ValueError, match="state"):
        session.enter(b"12345", 0, 0)
    with pytest.raises(ValueError, match="closed"):
        CORE.Poller().pair(session, -1, 0)
    with pytest.raises(TypeError):
        session.pump(0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        session.push(0)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        type(session)()
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    session.incoming.write(b"something")
    with pytest.raises(ValueError, match="not been read"):
        session.pump(0, 0, 1, None)
    with Meeting(context) as meeting:
        with pytest.raises(OSError, match="Bad file"):
            meeting.session.pump(-1, -1, 1, None)
        meeting.session.write(b"something")
        with pytest.raises(ValueError, match="sent first"):
            meeting.session.push(0, 0, 1)


def test_a_pair_forgets_its_sockets_when_it_parts(context: Context) -> None:
    assert CORE is not None
    poller = CORE.Poller()
    with Meeting(context) as meeting:
        poller.register(meeting.ours.fileno(), 1)
        pair = poller.pair(meeting.session, meeting.ours.fileno(), meeting.theirs.fileno())
        pair.read_client()
        pair.part()
        pair.part()
        pair.read_client()
        meeting.say(frame(2, b"x"))
        assert poller.poll(0) == [(meeting.ours.fileno(), 1)]
        assert (pair.bytes_in, pair.bytes_out, pair.has_events, pair.take_client(), pair.take_target()) == (
            0,
            0,
            False,
            0,
            0,
        )


def test_what_cannot_be_written_amid_a_message_of_tls_stays_with_the_target(context: Context) -> None:
    assert CORE is not None
    poller = CORE.Poller()
    one, other = socket.socketpair()
    with one, other, telling_client_tls() as (tls, records), Meeting(context, tls) as meeting:
        meeting.theirs.sendall(records().record(KEY_UPDATE[:4], HANDSHAKE))
        meeting.take_all()
        poller.register(one.fileno(), 1)
        pair = poller.pair(meeting.session, meeting.ours.fileno(), one.fileno())
        pair.read_target()
        other.sendall(b"x")
        assert poller.poll(0) == [(one.fileno(), 1)]
        assert (pair.has_events, pair.bytes_out, one.recv(2)) == (False, 0, b"x")


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection, which do not block and hold some frames."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listener.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
        one = socket.socket()
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            one.setsockopt(socket.SOL_SOCKET, option, 1 << 20)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    one.setblocking(False)
    other.setblocking(False)
    return one, other


def test_a_socket_that_stays_full_is_gone_on_with_and_python_is_not_told(context: Context) -> None:
    assert CORE is not None
    size, poller = 16 << 20, CORE.Poller()
    (client, to_client), (target, to_target) = tcp_pair(), tcp_pair()
    with Meeting(context) as meeting, client, to_client, target, to_target:
        session = meeting.session
        for sock in (to_client, to_target):
            poller.register(sock.fileno(), 1)
        pair = poller.pair(session, to_client.fileno(), to_target.fileno())
        pair.read_target()
        left = memoryview(bytes(size))
        while pair.bytes_out < size:
            with suppress(BlockingIOError):
                left = left[target.send(left) :]
            for _ in poller.poll(0):
                # That the client takes no more is for Python, and not that there is more.
                assert pair.take_target() & OUTGOING
            unsent = memoryview(session.outgoing.read())
            while True:
                with suppress(BlockingIOError):
                    while client.recv(1 << 20):
                        pass
                if not unsent:
                    break
                with suppress(BlockingIOError):
                    unsent = unsent[to_client.send(unsent) :]
            pair.read_target()
        assert not left
