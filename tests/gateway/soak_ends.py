"""The two ends of a tunnel that carries much: each sends a random stream and checks the one that comes."""

from __future__ import annotations

import hashlib
import math
import selectors
import socket
import ssl
import struct
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from tests.transport.harness import BINARY, CLOSE, LOOPBACK, PING, PONG, TIMEOUT, client_tls, frame, request

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

LARGEST: Final = 1 << 17
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_ZEROS: Final = memoryview(bytes(LARGEST))
_LAST: Final = 1 << 20
_RESET: Final = struct.pack("ii", 1, 0)


class Wrong(Exception):
    """A tunnel did what it must not."""


class Ending(Enum):
    """Who ends a tunnel first, and how."""

    CLIENT_CLOSES = auto()
    CLIENT_HANGS_UP = auto()
    TARGET_CLOSES = auto()
    CLIENT_RESETS = auto()
    TARGET_RESETS = auto()

    @property
    def in_order(self) -> bool:
        """Whether every byte must arrive."""
        return self not in (Ending.CLIENT_RESETS, Ending.TARGET_RESETS)


class Stream:
    """Random bytes that a seed gives again (AES-128 in counter mode), and the checksum of those seen."""

    def __init__(self, seed: bytes, pad: bytes = b"") -> None:
        """`pad` is a mask, as long as the largest piece; what is `masked` comes under it."""
        self._seed = seed
        self._bytes = self._begin()
        self._masked = self._begin()
        self._pad = memoryview(pad)
        self._sum = hashlib.sha256()
        self.size = 0

    def _begin(self) -> Callable[[memoryview], bytes]:
        # A key serves one stream, so the counter may begin with 0.
        return Cipher(AES(self._seed), CTR(bytes(16))).encryptor().update

    def send(self, size: int) -> bytes:
        """The next bytes."""
        self.size += size
        data = self._bytes(_ZEROS[:size])
        self._sum.update(data)
        return self._masked(self._pad[:size]) if self._pad else data

    def check(self, received: bytes) -> None:
        """Take what came for the next bytes.

        Raises:
            Wrong: it is not they.
        """
        expected = self._bytes(_ZEROS[: len(received)])
        if received != expected:
            differs = next(at for at, (a, b) in enumerate(zip(received, expected, strict=True)) if a != b)
            raise Wrong(f"byte {self.size + differs:,} is another than was sent")
        self.size += len(received)
        self._sum.update(received)

    @property
    def checksum(self) -> str:
        return self._sum.hexdigest()


class Wire:
    """A target's connection: bytes as they are."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)
        self.close_code: int | None = None
        self.ended = False

    def frame(self, payload: bytes) -> bytes:
        return payload

    def write(self, data: memoryview) -> int:
        """Bytes taken now."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def read(self, size: int) -> bytes:
        """What is there of that many payload bytes; `ended` tells whether more will come."""
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return b""
        self.ended = not data
        return data

    @property
    def pending(self) -> bool:
        """Whether something can be read although the socket has nothing."""
        return False

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()


class TunnelWire(Wire):
    """A client's connection: masked frames in TLS one way, whole frames the other."""

    sock: ssl.SSLSocket

    def __init__(self, sock: ssl.SSLSocket, mask: bytes) -> None:
        super().__init__(sock)
        self._mask = mask
        self._head = bytearray()
        self._opcode = 0
        self._left = 0
        self._control = bytearray()
        self.owed = bytearray()

    def frame(self, payload: bytes) -> bytes:
        """The payload has been masked."""
        head = frame(BINARY, payload, key=None)
        extended = {126: 2, 127: 8}.get(head[1], 0)
        return bytes((head[0], head[1] | 0x80)) + head[2 : 2 + extended] + self._mask + payload

    def write(self, data: memoryview) -> int:
        try:
            return self.sock.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def read(self, size: int) -> bytes:
        try:
            data = self.sock.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        self.ended = not data
        return self._unframe(memoryview(data))

    def _unframe(self, data: memoryview) -> bytes:
        payload = list[memoryview]()
        while data:
            data = self._take_payload(data, payload) if self._left else self._take_head(data)
        return b"".join(payload)

    def _take_payload(self, data: memoryview, payload: list[memoryview]) -> memoryview:
        piece, rest = data[: self._left], data[self._left :]
        self._left -= len(piece)
        if self._opcode == BINARY:
            payload.append(piece)
        else:
            self._control += piece
            if not self._left:
                self._obey()
        return rest

    def _take_head(self, data: memoryview) -> memoryview:
        needed = 2 if len(self._head) < 2 else 4
        while data and len(self._head) < needed:
            self._head.append(data[0])
            data = data[1:]
            if len(self._head) == 2:
                needed = 4 if self._head[1] == 126 else 2
        if len(self._head) == needed:
            self._opcode = self._head[0] & 0xF
            if self._head[0] & 0xF0 != 0x80 or self._head[1] > 126 or self.close_code is not None:
                raise Wrong(f"a frame that begins with {self._head.hex()}")
            self._left = int.from_bytes(self._head[2:]) if needed == 4 else self._head[1]
            self._head.clear()
            if not self._left and self._opcode != BINARY:
                self._obey()
        return data

    def _obey(self) -> None:
        said = bytes(self._control)
        self._control.clear()
        if self._opcode == CLOSE:
            self.close_code = int.from_bytes(said[:2])
        elif self._opcode == PING:
            self.owed += frame(PONG, said)
        else:
            raise Wrong(f"a frame of opcode {self._opcode}")

    @property
    def pending(self) -> bool:
        return self.sock.pending() > 0


@dataclass
class Habits:
    """How an end behaves, all of it by chance.

    Attributes:
        small_buffers: whether its socket has as small buffers as the kernel grants.
        stalls_at: after how many received bytes it stops to read for `stall` seconds.
        resets_at: after how many sent bytes it resets the connection, when it does.
        pause: how probable it is that it pauses, for up to 20 ms, after a read or a write.
    """

    chance: random.Random
    small_buffers: bool = False
    stalls_at: float = math.inf
    stall: float = 0.0
    resets_at: float = math.inf
    pause: float = 0.01

    def size(self) -> int:
        """Bytes to read or write at once: mostly many, now and then one."""
        kind = self.chance.random()
        if kind < 0.02:
            return 1
        if kind < 0.05:
            return self.chance.randrange(2, 200)
        return self.chance.randrange(1 << 13, LARGEST + 1)


@dataclass
class End:
    """One end. The loop that drives it asks what it `wants` and calls `go`."""

    name: str
    wire: Wire
    habits: Habits
    ending: Ending
    outgoing: Stream
    to_send: int
    incoming: Stream
    expected: int
    finished: bool = False
    pauses: int = 0
    stalls: int = 0
    _unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    _offered: int = 0
    _read_after: float = 0.0
    _write_after: float = 0.0
    _said_goodbye: bool = False

    @property
    def all_sent(self) -> bool:
        return self.outgoing.size == self.to_send and not self._unsent

    @property
    def all_received(self) -> bool:
        return self.incoming.size == self.expected

    def wakes(self, now: float) -> float:
        """When the next of its pauses is over."""
        return min(
            (after for after in (self._read_after, self._write_after) if after > now), default=math.inf
        )

    @property
    def _has_to_write(self) -> bool:
        return bool(self._unsent) or self.outgoing.size < self.to_send

    def stall(self, until: float) -> None:
        """Read nothing until then."""
        self._read_after = until

    def wants(self, now: float) -> int:
        wants = READ if now >= self._read_after else 0
        return wants | (WRITE if self._has_to_write and now >= self._write_after else 0)

    def go(self, possible: int, now: float) -> int:
        """Read and write once, if possible; gives the bytes moved."""
        try:
            moved = self._read(now) if possible & READ else 0
            if not self.finished and possible & WRITE:
                moved += self._write(now)
            if not self.finished:
                self.end_if_due()
        except ConnectionError as gone:
            if self.ending.in_order:
                raise Wrong(f"{type(gone).__name__} after {self.incoming.size:,} bytes received") from gone
            self.finish()
            return 0
        return moved

    def _read(self, now: float) -> int:
        payload = self.wire.read(self.habits.size())
        self.incoming.check(payload)
        if self.incoming.size > self.expected:
            raise Wrong(f"{self.incoming.size:,} bytes came of {self.expected:,}")
        if self.incoming.size >= self.habits.stalls_at:
            self.habits.stalls_at = math.inf
            self.stalls += 1
            self._read_after = now + self.habits.stall
        elif self.habits.chance.random() < self.habits.pause:
            self.pauses += 1
            self._read_after = now + self.habits.chance.random() / 50
        if self.wire.ended:
            self._peer_ended()
        return len(payload)

    def _write(self, now: float) -> int:
        if not self._unsent:
            size = min(self.habits.size(), self.to_send - self.outgoing.size)
            self._unsent = memoryview(self.wire.frame(self.outgoing.send(size)))
        # TLS wants to be offered again what it could not take.
        self._offered = self._offered or self.habits.size()
        taken = self.wire.write(self._unsent[: self._offered])
        if not taken:
            return 0
        self._offered = 0
        self._unsent = self._unsent[taken:]
        if self.habits.chance.random() < self.habits.pause:
            self.pauses += 1
            self._write_after = now + self.habits.chance.random() / 50
        return taken

    def _peer_ended(self) -> None:
        if self.ending.in_order and not (self.all_received and self.all_sent):
            raise Wrong(
                f"it ended after {self.incoming.size:,} bytes of {self.expected:,} received"
                f" and {self.outgoing.size:,} of {self.to_send:,} sent"
            )
        self.finish()

    def finish(self) -> None:
        self.finished = True
        self.wire.sock.close()

    def end_if_due(self) -> None:
        """Say goodbye when it is time."""
        raise NotImplementedError

    def _reset_if_due(self) -> None:
        if self.outgoing.size >= self.habits.resets_at:
            self.finished = True
            self.wire.reset()


class Target(End):
    """Accepts one connection, and is the second to end unless it is to be the first."""

    def end_if_due(self) -> None:
        if self.ending is Ending.TARGET_RESETS:
            self._reset_if_due()
        elif self.ending is Ending.TARGET_CLOSES and not self._said_goodbye and self._may_close:
            self._said_goodbye = True
            self.wire.sock.shutdown(socket.SHUT_WR)

    @property
    def _may_close(self) -> bool:
        # From then on the client has only seconds for what it has still to send, and its answer.
        return self.all_sent and self.incoming.size > self.expected - _LAST


class Client(End):
    """Opens the tunnel."""

    wire: TunnelWire

    def end_if_due(self) -> None:
        if self.wire.owed and not self._unsent:
            self._unsent = memoryview(bytes(self.wire.owed))
            self.wire.owed.clear()
        if self.ending is Ending.CLIENT_RESETS:
            self._reset_if_due()
        elif self._said_goodbye:
            return
        elif self.wire.close_code is not None:
            self._answer(self.wire.close_code)
        elif self.all_sent and self.all_received:
            if self.ending is Ending.CLIENT_HANGS_UP:
                self.finish()
            elif self.ending is Ending.CLIENT_CLOSES:
                self._say_goodbye()

    def _peer_ended(self) -> None:
        if self.ending.in_order and self.wire.close_code != 1000:
            raise Wrong(f"it ended with close code {self.wire.close_code}")
        super()._peer_ended()

    def _answer(self, code: int) -> None:
        if code != 1000:
            raise Wrong(f"close code {code}")
        if self.ending is Ending.CLIENT_CLOSES:
            raise Wrong("the gateway closed first")
        if self.ending is Ending.TARGET_CLOSES and not self.all_received:
            raise Wrong(f"a close frame after {self.incoming.size:,} bytes of {self.expected:,}")
        if self.all_sent:
            self._say_goodbye()
        elif not self.ending.in_order:
            self.finish()

    def _say_goodbye(self) -> None:
        self._said_goodbye = True
        self._unsent = memoryview(frame(CLOSE, struct.pack(">H", 1000)))


def listen(habits: Habits) -> socket.socket:
    listener = socket.create_server((LOOPBACK, 0))
    _shrink(listener, habits)
    return listener


def open_tunnel(port: int, path: str, habits: Habits, mask: bytes) -> TunnelWire:
    """Connect and upgrade."""
    plain = socket.socket()
    _shrink(plain, habits)
    plain.settimeout(TIMEOUT)
    plain.connect((LOOPBACK, port))
    tls = client_tls().wrap_socket(plain)
    tls.sendall(request(path))
    answer = b""
    # Not a byte more, so that none of the first frame is lost.
    while not answer.endswith(b"\r\n\r\n"):
        byte = tls.recv(1)
        if not byte:
            raise Wrong(f"no upgrade: {answer!r}")
        answer += byte
    if not answer.startswith(b"HTTP/1.1 101 "):
        raise Wrong(f"no upgrade: {answer!r}")
    return TunnelWire(tls, mask)


def _shrink(sock: socket.socket, habits: Habits) -> None:
    if habits.small_buffers:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, 4096)
