"""A session of the core's with a gateway, whose client it is: beside a slow and obvious reader of frames."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transport.compiled import needs_core
from tests.transport.harness import certificate, server_tls

from hatchway.transport.core.flags import AS_FRAMES, FLAGS, REST, SIZE_SHIFT, TO_PYTHON
from hatchway.transport.core.loading import CORE
from hatchway.transport.websocket.frames import MAX_FRAME

if TYPE_CHECKING:
    from pathlib import Path

    # Where it is not compiled these tests skip.
    from hatchway.transport.core._core import Context, Session

pytestmark = needs_core

NOTHING, PLAIN, ENCRYPTED = 2, 16, 32
FULL_FRAME = 65_528
NO_PARTIAL_WILDCARDS = 4


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    """Of a client that trusts the server's certificate, which is for `localhost`."""
    return trusting(tmp_path_factory.mktemp("trusted"))


def trusting(directory: Path) -> Context:
    assert CORE is not None
    path = directory / "trusted.pem"
    path.write_bytes(certificate())
    flags = int(ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN)
    made: Context = CORE.client_context((str(path),), (), flags, NO_PARTIAL_WILDCARDS)
    return made


def shake_hands(session: Session) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    """A gateway that has it as its client, what that reads from, and what it writes to.

    Raises:
        SSLError: the client does not trust it.
    """
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    gateway = server_tls().wrap_bio(up, down, server_side=True)
    for done in (session.do_handshake, gateway.do_handshake) * 3:
        with suppress(ssl.SSLWantReadError):
            done()
        up.write(session.outgoing.read())
        session.incoming.write(down.read())
    return gateway, up, down


class Meeting:
    """A session and its gateway, at both ends of a connection."""

    def __init__(self, context: Context) -> None:
        self.session = context.session("localhost")
        self.gateway, self.up, self.down = shake_hands(self.session)
        self.ours, self.theirs = socket.socketpair()
        self.local, self.program = socket.socketpair()
        self.data, self.plain = bytearray(), bytearray()

    def __enter__(self) -> Meeting:
        return self

    def __exit__(self, *_exception: object) -> None:
        for each in (self.ours, self.theirs, self.local, self.program):
            each.close()

    def take(self, text: bytes) -> None:
        """What the gateway says, until it is read."""
        self.gateway.write(text)
        encrypted: bytes | None = self.down.read()
        while encrypted:
            outlet = AS_FRAMES if self.plain else TO_PYTHON
            result = self.session.pump(self.ours.fileno(), outlet, 1, encrypted)
            rest = self.session.take_rest()
            assert len(rest) == result >> SIZE_SHIFT
            assert bool(rest) == bool(result & REST)
            self.data += rest
            self.plain += self.session.take_plain()
            encrypted = self.session.take_encrypted() if result & FLAGS & ENCRYPTED else None

    def sent(self) -> bytes:
        """What has come of what the session has sent, encrypted."""
        self.theirs.setblocking(False)
        came = bytearray()
        with suppress(BlockingIOError):
            while True:
                came += self.theirs.recv(1 << 20)
        return bytes(came)


def frame(payload: bytes, first: int = 0x82, second: int = 0) -> bytes:
    """As a gateway sends it; `second` is what the second byte has besides the length."""
    size = len(payload)
    if size < 126:
        return bytes((first, second | size)) + payload
    if size < 1 << 16:
        return bytes((first, second | 126)) + size.to_bytes(2) + payload
    return bytes((first, second | 127)) + size.to_bytes(8) + payload


def plain_data(stream: bytes) -> tuple[bytes, bytes]:
    """The payloads before the first frame that is not plain data, and all from that on (RFC 6455, 5.2)."""
    data, at = bytearray(), 0
    while len(stream) - at >= 2 and stream[at] == 0x82 and not stream[at + 1] & 0x80:
        size, start = stream[at + 1] & 0x7F, at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(stream) - start < width:
                break
            least, size = (126 if width == 2 else 65_536), int.from_bytes(stream[start : start + width])
            start += width
            if size < least:
                break
        if not 0 < size <= MAX_FRAME:
            break
        data += stream[start : start + size]
        at = min(start + size, len(stream))
    return bytes(data), stream[at:]


frames = st.one_of(
    st.builds(frame, st.binary(max_size=300)),
    st.builds(frame, st.integers(0, MAX_FRAME + 1).map(bytes)),
    st.builds(frame, st.binary(max_size=10), st.integers(0, 255), st.sampled_from([0, 0x80])),
    st.builds(lambda count: frame(b"s") * count, st.integers(1, 200)),
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
            meeting.take(stream[at : at + cut])
            at += cut
        data, plain = bytes(meeting.data), bytes(meeting.plain)
    assert stream.endswith(plain)
    if plain:
        assert plain_data(stream[: len(stream) - len(plain)]) == (data, b"")
    else:
        # The beginning of a header is still in the core.
        wanted, header = plain_data(stream)
        assert (data, len(header) < 10) == (wanted, True)


@given(st.lists(st.integers(1, 2 * FULL_FRAME), min_size=1, max_size=4))
def test_what_is_sent_is_masked_each_frame_by_a_key_of_its_own(context: Context, sizes: list[int]) -> None:
    with Meeting(context) as meeting:
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            for each in (meeting.local, meeting.program, meeting.ours, meeting.theirs):
                each.setsockopt(socket.SOL_SOCKET, buffer, 1 << 20)
        keys, received = list[bytes](), list[bytes]()
        for size in sizes:
            said = (b"0123456789" * (size // 10 + 1))[:size]
            meeting.program.sendall(said)
            came = 0
            while came < size:
                result = meeting.session.push(meeting.local.fileno(), meeting.ours.fileno(), 2 * FULL_FRAME)
                assert not result & NOTHING
                assert result >> SIZE_SHIFT <= 2 * FULL_FRAME
                meeting.up.write(meeting.sent() + meeting.session.outgoing.read())
                came += result >> SIZE_SHIFT
            received.append(said)
        stream = bytearray()
        with suppress(ssl.SSLWantReadError):
            while True:
                stream += meeting.gateway.read(1 << 16)
        data = bytearray()
        while stream:
            assert stream[0] == 0x82
            assert stream[1] & 0x80
            size, start = stream[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(stream[2:4]), 4
            assert 0 < size <= FULL_FRAME
            key, masked = bytes(stream[start : start + 4]), stream[start + 4 : start + 4 + size]
            keys.append(key)
            pad = (key * (size // 4 + 1))[:size]
            data += (int.from_bytes(masked) ^ int.from_bytes(pad)).to_bytes(size)
            del stream[: start + 4 + size]
        assert data == b"".join(received)
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("name", ["127.0.0.1", "other.example", "localhost.example", "ocalhost", "*"])
def test_whoever_is_of_another_name_is_not_trusted(context: Context, name: str) -> None:
    session = context.session(name)
    with pytest.raises(ssl.SSLError):
        shake_hands(session)
    code, said = session.verify_result()
    assert (code, "mismatch" in said) == (64 if name == "127.0.0.1" else 62, True)


def test_whoever_nobody_vouches_for_is_not_trusted() -> None:
    assert CORE is not None
    session = CORE.client_context((), (), 0, NO_PARTIAL_WILDCARDS).session("localhost")
    with pytest.raises(ssl.SSLError):
        shake_hands(session)
    assert session.verify_result()[0] in (18, 19, 20, 21)


def test_a_client_s_session_is_of_a_name_and_a_server_s_of_none(context: Context, tmp_path: Path) -> None:
    assert CORE is not None
    with pytest.raises(TypeError):
        context.session()
    for name in ("", ".localhost", "local\0host"):
        with pytest.raises(ValueError):
            context.session(name)
    path = tmp_path / "server.pem"
    path.write_bytes(certificate())
    with pytest.raises(TypeError):
        CORE.Context(str(path), str(path), "ECDHE+AESGCM", None).session("localhost")


def test_files_without_certificates_vouch_for_nobody(tmp_path: Path) -> None:
    assert CORE is not None
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    nobodys = CORE.client_context((str(empty), str(tmp_path / "missing.pem")), (str(empty),), 0, 0)
    with pytest.raises(ssl.SSLError):
        shake_hands(nobodys.session("localhost"))
    with pytest.raises(TypeError):
        CORE.client_context((7,), (), 0, 0)
