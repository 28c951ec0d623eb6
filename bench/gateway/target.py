"""The host behind the proxies. It greets, as sshd speaks first, then does what it is asked.

`U` and a length: takes so many bytes, throws them away in the kernel, and says `k`. `D` and a length: sends
so many, without copying them. `P`, a length and a pace: sends so many, so many a second. `E`: echoes. Whoever
says something else it hangs up on.
"""

from __future__ import annotations

import multiprocessing
import os
import selectors
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bench.gateway import machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

GREETING = b"."
ORDERS = (b"U", b"D", b"P", b"E")
LENGTH = struct.Struct("!Q")
PIECE = 65_000
"""Bytes that are sent at once at a pace."""

_BLOB = 64 << 20
_DISCARD = 1 << 20


@contextmanager
def target(on: set[int], greeting: bytes = GREETING) -> Iterator[tuple[int, int]]:
    """Run it in a process of its own on these cores; its port and process id."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(there, on, greeting), daemon=True
    )
    process.start()
    assert process.pid is not None
    try:
        yield here.recv(), process.pid
    finally:
        process.kill()
        process.join()


def _serve(answer: Connection, on: set[int], greeting: bytes) -> None:
    machine.pin(os.getpid(), on)
    listener = socket.create_server(("", 0), backlog=4096)
    answer.send(listener.getsockname()[1])
    blob = os.memfd_create("blob")
    os.truncate(blob, _BLOB)
    ready = selectors.EpollSelector()
    ready.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with suppress(OSError):
                    connection.send(greeting)
                ready.register(connection, selectors.EVENT_READ)
                continue
            connection = key.fileobj  # type: ignore[assignment]
            try:
                asked = connection.recv(1)
            except OSError:
                asked = b""
            ready.unregister(connection)
            if asked in ORDERS:
                threading.Thread(target=_work, args=(connection, asked, blob), daemon=True).start()
            else:
                connection.close()


def _work(connection: socket.socket, asked: bytes, blob: int) -> None:
    with connection, suppress(OSError):
        if asked == b"E":
            while data := connection.recv(65536):
                connection.sendall(data)
            return
        (length,) = LENGTH.unpack(connection.recv(LENGTH.size, socket.MSG_WAITALL))
        if asked == b"U":
            discard(connection, length)
            connection.sendall(b"k")
        elif asked == b"P":
            (pace,) = LENGTH.unpack(connection.recv(LENGTH.size, socket.MSG_WAITALL))
            for size in at_pace(length, pace):
                _send(connection, blob, size)
        else:
            _send(connection, blob, length)
        connection.recv(1)


def _send(connection: socket.socket, blob: int, length: int) -> None:
    while length:
        length -= os.sendfile(connection.fileno(), blob, 0, min(length, _BLOB))


def at_pace(length: int, pace: int) -> Iterator[int]:
    """Sizes of pieces, each when its time has come at so many bytes a second; at once when that is 0."""
    began, done = time.monotonic(), 0
    while done < length:
        if pace:
            time.sleep(max(0.0, began + done / pace - time.monotonic()))
        size = min(PIECE, length - done)
        yield size
        done += size


def discard(connection: socket.socket, length: int) -> None:
    """Take so many bytes from a TCP connection and let the kernel throw them away (tcp(7), MSG_TRUNC)."""
    nowhere = bytearray(_DISCARD)
    while length > 0:
        size = connection.recv_into(nowhere, min(length, _DISCARD), socket.MSG_TRUNC)
        if not size:
            raise ConnectionError("the peer left in the middle")
        length -= size
