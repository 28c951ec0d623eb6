"""A gateway whose tunnels answer each message with the same message, for WebSocket conformance suites.

A tunnel carries bytes and refuses TEXT, so a suite could tell nothing from what comes back through it. Here
everything is the gateway's own (listener, TLS, request, upgrade, frames, pings, close, limits, and a target
that gets the bytes), save two things: TEXT passes as BINARY does, checked for UTF-8 at its first wrong byte,
and a message that is whole is sent back as it was.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
import multiprocessing
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
import uvloop
from picows import WSMsgType
from tests.gateway.harness import Says, running_gateway, target
from tests.transport.harness import TIMEOUT

import hatchway.gateway.lifecycle
import hatchway.transport.websocket.frames
from hatchway.gateway.tunnel.relay import Relay
from hatchway.transport.core.flags import AS_FRAMES
from hatchway.transport.websocket.close import Closure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from picows import WSFrame

    from hatchway.transport.websocket.connection import WebSocketConnection

NOT_UTF_8 = Closure(1007, "A text message is not UTF-8")
_LARGEST = 65_535


class _AsBinary:
    """A TEXT frame that the relay takes for a BINARY one."""

    rsv1 = rsv2 = rsv3 = 0
    msg_type = WSMsgType.BINARY

    def __init__(self, frame: WSFrame) -> None:
        self.fin = frame.fin
        self.payload_size = frame.payload_size
        self.get_payload_as_memoryview = frame.get_payload_as_memoryview
        self.get_payload_as_bytes = frame.get_payload_as_bytes


class Echo(Relay):
    """A tunnel that says everything back."""

    def __init__(
        self, client: WebSocketConnection, loop: asyncio.AbstractEventLoop, *, half_close: bool = False
    ) -> None:
        super().__init__(client, loop, half_close=half_close)
        self._kind = WSMsgType.BINARY
        self._message = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    @property
    def outlet(self) -> int:
        """It looks at every frame."""
        return AS_FRAMES

    def on_frame(self, frame: WSFrame) -> None:
        kind = frame.msg_type
        is_text = kind == WSMsgType.TEXT and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        super().on_frame(_AsBinary(frame) if is_text else frame)  # type: ignore[arg-type]
        if self.closure is not None or kind not in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            return
        if kind != WSMsgType.CONTINUATION:
            self._kind = kind
            self._message.clear()
            self._decoder.reset()
        payload = frame.get_payload_as_bytes()
        if self._kind == WSMsgType.TEXT:
            try:
                self._decoder.decode(payload, final=bool(frame.fin))
            except UnicodeDecodeError:
                self.client_at_fault(NOT_UTF_8)
                return
        self._message += payload
        if frame.fin:
            self._answer()

    def _answer(self) -> None:
        opcode = int(self._kind)  # type: ignore[call-overload]
        for at in range(0, len(self._message) or 1, _LARGEST):
            piece = self._message[at : at + _LARGEST]
            fin = at + _LARGEST >= len(self._message)
            size = bytes([len(piece)]) if len(piece) < 126 else struct.pack(">BH", 126, len(piece))
            self._client.write_frames(bytes([fin << 7 | opcode]) + size + piece)
            opcode = 0


async def _discard(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1 << 20):
        pass


def _serve(max_frame: int, ready: Connection) -> None:
    hatchway.gateway.lifecycle.Relay = Echo  # type: ignore[attr-defined]
    hatchway.transport.websocket.frames.MAX_FRAME = max_frame  # type: ignore[misc]

    async def serve() -> None:
        async with target(_discard) as port, running_gateway(Says(port)) as gateway:
            ready.send(gateway.port)
            await asyncio.Event().wait()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    uvloop.run(serve())


@contextmanager
def echoing_gateway(max_frame: int = hatchway.transport.websocket.frames.MAX_FRAME) -> Iterator[str]:
    """Run it in a process of its own; gives its URL. `max_frame` is the largest frame taken, in bytes."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(max_frame, theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(TIMEOUT)
        yield f"wss://127.0.0.1:{ours.recv()}/openTunnel"
    finally:
        process.kill()
        process.join()
