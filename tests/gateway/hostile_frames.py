"""Clients and targets that try to have a gateway worker to themselves: one function for each way to do so.

Each opens a tunnel, or many, with one request that is good for all of them, keeps at it for so many seconds,
and tells what came of it. They block: run each in a process of its own, as `Hostiles` does.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import ssl
import struct
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self

from tests.forks import FORKS
from tests.transport.harness import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LOOPBACK,
    PING,
    PONG,
    TIMEOUT,
    client_tls,
    frame,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

Address = tuple[str, int]
"""Host and port of a gateway worker."""

BATCH: Final = 60_000
"""Bytes, about, that are written at once."""

BETWEEN_TUNNELS: Final = 0.3
"""Seconds before the next tunnel, of those whose tunnel ends at once. To open as many as will go is a
hostility of its own: `opens_and_leaves`."""


@dataclass
class Outcome:
    """What came of one hostility.

    Attributes:
        opened: tunnels that were opened.
        sent: bytes that the kernel took, encrypted.
        code: of the close frame that came last; None when there was none.
        reason: of that.
    """

    opened: int = 0
    sent: int = 0
    code: int | None = None
    reason: str = ""


class Refused(Exception):
    """The gateway opens no tunnel."""


class Wire:
    """A tunnel's client that holds TLS and TCP apart. The socket does not block."""

    def __init__(self, address: Address, context: ssl.SSLContext, receive_buffer: int | None = None) -> None:
        self.sock = socket.socket()
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing)
        self.received = bytearray()
        self.sent = 0

    @classmethod
    def open(
        cls,
        address: Address,
        target: str,
        *,
        context: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
        agent: str = "test",
    ) -> Self:
        """Open a tunnel by this request target, as a program that is called `agent`.

        Raises:
            Refused: the answer is not 101.
            OSError: there is none.
        """
        wire = cls(address, context or client_tls(), receive_buffer)
        wire.shake_hands()
        wire.write(request(target, User_Agent=agent))
        wire.flush()
        while b"\r\n\r\n" not in wire.received:
            data = wire.sock.recv(1 << 16)
            if not data:
                raise Refused("the gateway hung up")
            wire.incoming.write(data)
            wire.decrypt()
        head, _, rest = bytes(wire.received).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Refused(head.decode(errors="replace").splitlines()[0])
        wire.received = bytearray(rest)
        return wire

    def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.sock.recv(1 << 16))

    def write(self, data: bytes) -> None:
        """Encrypt, in records as large as they get."""
        self.tls.write(data)

    def flush(self) -> None:
        """Send what was encrypted.

        Raises:
            OSError: it cannot be sent.
        """
        data = self.outgoing.read()
        self.sock.sendall(data)
        self.sent += len(data)

    def decrypt(self) -> None:
        with suppress(ssl.SSLWantReadError):
            while data := self.tls.read(1 << 16):
                self.received += data

    def send_until(self, deadline: float) -> bool:
        """Send what was encrypted, and take what comes; False when there is no time or no peer left."""
        data = memoryview(self.outgoing.read())
        self.sock.setblocking(False)
        while data:
            if time.monotonic() > deadline:
                return False
            try:
                size = self.sock.send(data)
            except BlockingIOError:
                select.select([self.sock], [self.sock], [], 0.05)
                size = 0
            except OSError:
                self._hear()
                return False
            self.sent += size
            data = data[size:]
            if not self._hear():
                return False
        return time.monotonic() < deadline

    def _hear(self) -> bool:
        """Take what is there; False when the gateway has closed the tunnel."""
        try:
            while True:
                data = self.sock.recv(1 << 18)
                if not data:
                    return False
                self.incoming.write(data)
                self.decrypt()
                if len(self.received) > 1 << 20:
                    del self.received[: -(1 << 19)]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return self.close_frame() is None

    def close_frame(self) -> tuple[int, str] | None:
        """The close frame that ends what came, if it does."""
        at = self.received.rfind(b"\x88")
        if at < 0 or at + 4 > len(self.received) or at + 2 + self.received[at + 1] != len(self.received):
            return None
        return struct.unpack(">H", self.received[at + 2 : at + 4])[0], self.received[at + 4 :].decode(
            errors="replace"
        )

    def end(self, outcome: Outcome) -> Outcome:
        """Leave without a word."""
        outcome.opened += 1
        outcome.sent += self.sent
        outcome.code, outcome.reason = self.close_frame() or (None, "")
        self.sock.close()
        return outcome


def _flood(address: Address, target: str, seconds: float, batch: bytes, before: bytes = b"") -> Outcome:
    deadline = time.monotonic() + seconds
    wire = Wire.open(address, target)
    wire.write(before)
    wire.flush()
    while True:
        wire.write(batch)
        if not wire.send_until(deadline):
            return wire.end(Outcome())


def _many(data: bytes) -> bytes:
    return data * (BATCH // len(data))


def one_byte_frames(address: Address, target: str, seconds: float) -> Outcome:
    """BINARY frames of one byte, thousands in a write."""
    return _flood(address, target, seconds, _many(frame(BINARY, b"x")))


def empty_frames(address: Address, target: str, seconds: float) -> Outcome:
    """Empty BINARY frames, as the AWS CLI sends them after its end of input, but thousands in a write."""
    return _flood(address, target, seconds, _many(frame(BINARY)))


def pings(address: Address, target: str, seconds: float) -> Outcome:
    return _flood(address, target, seconds, _many(frame(PING)))


def large_pings(address: Address, target: str, seconds: float) -> Outcome:
    """As large as they may be, each to be answered by as much."""
    return _flood(address, target, seconds, _many(frame(PING, bytes(125))))


def pongs(address: Address, target: str, seconds: float) -> Outcome:
    """Answers that nobody asked for."""
    return _flood(address, target, seconds, _many(frame(PONG)))


def fragments(address: Address, target: str, seconds: float) -> Outcome:
    """One message without end, in fragments of one byte."""
    begun = frame(BINARY, b"x", fin=False)
    return _flood(address, target, seconds, _many(frame(CONTINUATION, b"x", fin=False)), begun)


def empty_fragments(address: Address, target: str, seconds: float) -> Outcome:
    """One message without end, in empty fragments."""
    begun = frame(BINARY, fin=False)
    return _flood(address, target, seconds, _many(frame(CONTINUATION, fin=False)), begun)


def mixed_frames(address: Address, target: str, seconds: float) -> Outcome:
    """A large frame before every thousand small ones: who looks at averages sees nothing."""
    batch = frame(BINARY, bytes(60_000)) + frame(BINARY, b"x") * 300 + frame(PING) * 300 + frame(BINARY) * 400
    return _flood(address, target, seconds, batch)


def bulk(address: Address, target: str, seconds: float) -> Outcome:
    """As many bytes as will go, in frames of 65,000: what is no hostility."""
    return _flood(address, target, seconds, frame(BINARY, bytes(65_000)))


def close_frames(address: Address, target: str, seconds: float) -> Outcome:
    """A tunnel, thousands of close frames, and soon again."""
    deadline, outcome = time.monotonic() + seconds, Outcome()
    while time.monotonic() < deadline:
        time.sleep(BETWEEN_TUNNELS)
        wire = Wire.open(address, target)
        wire.write(_many(frame(CLOSE, b"\x03\xe8")))
        wire.send_until(deadline)
        wire.end(outcome)
    return outcome


def records_of_one_byte(address: Address, target: str, seconds: float) -> Outcome:
    """Large frames in TLS records of one byte each."""
    return _in_records(address, target, seconds, frame(BINARY, bytes(4000)), 1)


def a_frame_to_a_record(address: Address, target: str, seconds: float) -> Outcome:
    """Frames of one byte, each in a TLS record of its own."""
    small = frame(BINARY, b"x")
    return _in_records(address, target, seconds, small * 1000, len(small))


def an_empty_frame_to_a_record(address: Address, target: str, seconds: float) -> Outcome:
    """What the AWS CLI does after its end of input, as fast as it goes."""
    empty = frame(BINARY)
    return _in_records(address, target, seconds, empty * 1000, len(empty))


def _in_records(address: Address, target: str, seconds: float, data: bytes, size: int) -> Outcome:
    deadline = time.monotonic() + seconds
    wire = Wire.open(address, target)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    while True:
        for piece in pieces:
            wire.write(piece)
        if not wire.send_until(deadline):
            return wire.end(Outcome())


class _PySSLSocket(ctypes.Structure):
    """The beginning of CPython's PySSLSocket (Modules/_ssl.c), for what the module `ssl` does not offer."""

    _fields_ = (
        ("ob_refcnt", ctypes.c_ssize_t),
        ("ob_type", ctypes.c_void_p),
        ("socket", ctypes.c_void_p),
        ("ssl", ctypes.c_void_p),
    )


def _openssl() -> ctypes.CDLL:
    library = ctypes.CDLL("libssl.so.3")
    library.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.SSL_renegotiate.argtypes = [ctypes.c_void_p]
    library.SSL_do_handshake.argtypes = [ctypes.c_void_p]
    return library


def _pointer(tls: ssl.SSLObject) -> ctypes.c_void_p:
    inner = tls._sslobj  # type: ignore[attr-defined]
    return ctypes.c_void_p(_PySSLSocket.from_address(id(inner)).ssl)


def update_keys(tls: ssl.SSLObject, times: int, kind: int = 1) -> None:
    """Have a client's side of TLS 1.3 write so many KeyUpdate messages; of kind 1 each is to be answered."""
    pointer, openssl = _pointer(tls), _openssl()
    for _ in range(times):
        openssl.SSL_key_update(pointer, kind)
        openssl.SSL_do_handshake(pointer)


def _update_keys(address: Address, target: str, seconds: float, kind: int, data: bytes) -> Outcome:
    deadline = time.monotonic() + seconds
    wire, openssl = Wire.open(address, target), _openssl()
    pointer = _pointer(wire.tls)
    while True:
        for _ in range(500):
            openssl.SSL_key_update(pointer, kind)
            openssl.SSL_do_handshake(pointer)
            if data:
                wire.write(data)
        if not wire.send_until(deadline):
            return wire.end(Outcome())


def key_updates(address: Address, target: str, seconds: float) -> Outcome:
    """TLS 1.3 KeyUpdate messages (RFC 8446 section 4.6.3): a record of 27 bytes has new keys derived."""
    return _update_keys(address, target, seconds, 0, b"")


def key_updates_to_be_answered(address: Address, target: str, seconds: float) -> Outcome:
    """The same, each asking for the gateway's own."""
    return _update_keys(address, target, seconds, 1, b"")


def key_updates_between_frames(address: Address, target: str, seconds: float) -> Outcome:
    """One for each frame of one byte."""
    return _update_keys(address, target, seconds, 0, frame(BINARY, b"x"))


def renegotiations(address: Address, target: str, seconds: float) -> Outcome:
    """TLS 1.2: a tunnel, a renegotiation asked for in it, and soon again."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    deadline, outcome, openssl = time.monotonic() + seconds, Outcome(), _openssl()
    while time.monotonic() < deadline:
        time.sleep(BETWEEN_TUNNELS)
        wire = Wire.open(address, target, context=context)
        pointer = _pointer(wire.tls)
        openssl.SSL_renegotiate(pointer)
        openssl.SSL_do_handshake(pointer)
        wire.send_until(deadline)
        wire.end(outcome)
    return outcome


def opens_and_leaves(address: Address, target: str, seconds: float) -> Outcome:
    """A tunnel, a byte, gone, and again."""
    deadline, outcome = time.monotonic() + seconds, Outcome()
    while time.monotonic() < deadline:
        wire = Wire.open(address, target)
        wire.write(frame(BINARY, b"x"))
        wire.send_until(deadline)
        wire.end(outcome)
    return outcome


def opens_as_other_programs_and_leaves(address: Address, target: str, seconds: float) -> Outcome:
    """The same, with another User-Agent each time: no decision is there already."""
    deadline, outcome, count = time.monotonic() + seconds, Outcome(), 0
    while time.monotonic() < deadline:
        count += 1
        wire = Wire.open(address, target, agent=f"{os.getpid()}-{count}")
        wire.end(outcome)
    return outcome


def reads_byte_by_byte(address: Address, target: str, seconds: float) -> Outcome:
    """The smallest receive buffer, read a byte at a time; of use when the target sends much."""
    deadline = time.monotonic() + seconds
    wire = Wire.open(address, target, receive_buffer=1)
    wire.write(frame(BINARY, b"x" * 60_000) * 4)
    wire.sock.settimeout(0.1)
    with suppress(TimeoutError):
        wire.flush()
    while time.monotonic() < deadline:
        try:
            if not wire.sock.recv(1):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return wire.end(Outcome())


def waits(address: Address, target: str, seconds: float) -> Outcome:
    """Opens a tunnel and takes whatever comes: of use with a hostile target."""
    deadline = time.monotonic() + seconds
    wire = Wire.open(address, target)
    wire.sock.setblocking(False)
    while time.monotonic() < deadline:
        time.sleep(0.001)
        if not wire._hear():
            break
        wire.received.clear()
    return wire.end(Outcome())


class Hostility(Protocol):
    """One way to be hostile: to whom, with which request target, for how many seconds."""

    __name__: str

    def __call__(self, address: Address, target: str, seconds: float, /) -> Outcome: ...


ON_FRAMES: Final[Mapping[str, Hostility]] = {
    hostility.__name__: hostility
    for hostility in (
        one_byte_frames,
        empty_frames,
        pings,
        large_pings,
        pongs,
        fragments,
        empty_fragments,
        mixed_frames,
        close_frames,
    )
}
ON_TLS: Final[Mapping[str, Hostility]] = {
    hostility.__name__: hostility
    for hostility in (
        records_of_one_byte,
        a_frame_to_a_record,
        an_empty_frame_to_a_record,
        key_updates,
        key_updates_to_be_answered,
        key_updates_between_frames,
        renegotiations,
    )
}
OTHERS: Final[Mapping[str, Hostility]] = {
    hostility.__name__: hostility for hostility in (opens_and_leaves, reads_byte_by_byte, bulk, waits)
}
ALL: Final[Mapping[str, Hostility]] = {
    **ON_FRAMES,
    **ON_TLS,
    **OTHERS,
    "opens_as_other_programs_and_leaves": opens_as_other_programs_and_leaves,
}


# Targets.


def _discards(sock: socket.socket) -> None:
    room = bytearray(1 << 20)
    while sock.recv_into(room):
        pass


def _echoes(sock: socket.socket) -> None:
    while data := sock.recv(1 << 16):
        sock.sendall(data)


def _drips(sock: socket.socket) -> None:
    """A byte, a packet, without end."""
    while True:
        sock.send(b"x")


def _pours(sock: socket.socket) -> None:
    """As much as will go."""
    block = bytes(1 << 18)
    while True:
        sock.sendall(block)


TARGETS: Final[Mapping[str, Callable[[socket.socket], None]]] = {
    "discards": _discards,
    "echoes": _echoes,
    "drips": _drips,
    "pours": _pours,
}


def _serve_target(kind: str, ready: Connection, nice: int) -> None:
    os.nice(nice)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.create_server((LOOPBACK, 0), backlog=256) as listening:
        ready.send(listening.getsockname()[1])
        while True:
            sock, _ = listening.accept()
            if os.fork() == 0:
                # A process for each: one that sends without end is in nobody's way.
                signal.alarm(300)
                listening.close()
                if kind == "echoes":
                    # It is the others' measure, not what is measured.
                    _schedule([os.getpid()], os.SCHED_FIFO, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with suppress(OSError):
                    TARGETS[kind](sock)
                os._exit(0)
            sock.close()


@contextmanager
def target_process(kind: str, *, nice: int = 0) -> Iterator[int]:
    """A target of this kind on loopback, in processes of its own; gives its port."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=_serve_target, args=(kind, theirs, nice), daemon=True)
    process.start()
    try:
        assert ours.poll(TIMEOUT)
        yield ours.recv()
    finally:
        process.kill()
        process.join()


# What the machine does besides.


@contextmanager
def undisturbed(*pids: int) -> Iterator[None]:
    """Have the machine's other work not count for these processes, where that may be had.

    To wait for a processor is not to wait for the gateway. Threads that they start meanwhile are no
    exception: they may hold an interpreter's lock.
    """
    _schedule(pids, os.SCHED_FIFO, 1)
    try:
        yield
    finally:
        _schedule(pids, os.SCHED_OTHER, 0)


def _schedule(pids: Sequence[int], policy: int, priority: int) -> None:
    with suppress(OSError):
        for pid in pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), policy, os.sched_param(priority))


# Many at once.


def _be_hostile(name: str, address: Address, target: str, seconds: float, told: Connection) -> None:
    # What they themselves cost must not count against the gateway: they stand back for it.
    os.nice(19)
    told.send(None)
    try:
        outcome: Outcome | str = ALL[name](address, target, seconds)
    except (Refused, OSError) as problem:
        outcome = f"{name}: {type(problem).__name__}: {problem}"
    told.send(outcome)


class Hostiles:
    """Hostile clients, each in a process of its own, that can be stopped and let go on."""

    def __init__(
        self, names: Sequence[str], address: Address, targets: Sequence[str], seconds: float
    ) -> None:
        """`targets` are request targets, one for each name."""
        self._told = []
        self._processes = []
        for name, target in zip(names, targets, strict=True):
            ours, theirs = FORKS.Pipe()
            process = FORKS.Process(
                target=_be_hostile, args=(name, address, target, seconds, theirs), daemon=True
            )
            process.start()
            theirs.close()
            self._told.append(ours)
            self._processes.append(process)
        for told in self._told:
            assert told.poll(3 * TIMEOUT), "a hostile client does not begin"
            told.recv()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def outcomes(self) -> list[Outcome | str | None]:
        """What came of those that are done; None for the others."""
        return [told.recv() if told.poll() else None for told in self._told]

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.join()

    def _signal(self, number: int) -> None:
        for process in self._processes:
            if process.is_alive() and process.pid is not None:
                os.kill(process.pid, number)
