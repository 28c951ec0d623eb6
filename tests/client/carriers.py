"""All that carries a tunnel, and local ends for it."""

import asyncio
import fcntl
import io
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from tests.client.stubs import StubGateway, tunnel_plan

from hatchway.client.connection.tls import Trust
from hatchway.client.discovery.plan import TunnelPlan
from hatchway.client.tunnel import stream_relay
from hatchway.client.tunnel.local import LocalEnd, connection, standard_streams
from hatchway.client.tunnel.tunnel import open_tunnel
from hatchway.transport.core.event_loop import new_event_loop

MIB = 1 << 20

Carrier = Callable[[TunnelPlan, Trust, LocalEnd], None]


def by_core(plan: TunnelPlan, trusted: Trust, local: LocalEnd) -> None:
    """As the tunnels of a local port are carried where the compiled core is."""
    run_by(by_core, open_tunnel(plan, trusted, local))


def by_event_loop(plan: TunnelPlan, trusted: Trust, local: LocalEnd) -> None:
    """As they are without it."""
    run_by(by_event_loop, open_tunnel(plan, trusted, local))


def run_by(carrier: Carrier, main: Coroutine[Any, Any, None]) -> None:
    """In the event loop of one that has one."""
    with asyncio.Runner(loop_factory=LOOPS[carrier]) as runner:
        runner.run(main)


LOOPS: dict[Carrier, Callable[[], asyncio.AbstractEventLoop] | None] = {
    by_core: new_event_loop,
    by_event_loop: None,
}

CARRIERS: dict[str, Carrier] = {
    "core": by_core,
    "event_loop": by_event_loop,
    "alone": stream_relay.carry,
}
chosen: list[Carrier] = [stream_relay.carry]


def carry(gateway: StubGateway, local: LocalEnd, plan: TunnelPlan | None = None) -> None:
    chosen[0](plan or tunnel_plan(gateway), Trust(gateway.ca_bundle), local)


class FarEnds(NamedTuple):
    """What local input is written to, and local output read from."""

    input: io.RawIOBase
    output: io.RawIOBase


@contextmanager
def local_end() -> Iterator[tuple[LocalEnd, FarEnds]]:
    """Standard input and output, both of them pipes; for the core a connection: it takes nothing else."""
    if chosen[0] is by_core:
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        far = FarEnds(HalfOf(theirs), theirs.makefile("rb", buffering=0))
        # From now on it is open for as long as `output` is.
        theirs.close()
        with ours:
            yield connection(ours), far
        return
    input_read, input_write = os.pipe()
    fcntl.fcntl(input_write, fcntl.F_SETPIPE_SZ, 1 << 20)
    output_read, output_write = os.pipe()
    far = FarEnds(os.fdopen(input_write, "wb", buffering=0), os.fdopen(output_read, "rb", buffering=0))
    try:
        with standard_streams(input_read, output_write) as local:
            yield local, far
    finally:
        os.close(input_read)
        os.close(output_write)


class HalfOf(io.RawIOBase):
    """One direction of a connection, which can be closed alone."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sock.sendall(data)
        return len(data)

    def close(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)
        super().close()


def carry_bytes(gateway: StubGateway, data: bytes) -> bytes:
    """What comes out of local output when `data` is local input."""
    received: list[bytes] = []
    threads: list[threading.Thread] = []
    try:
        with local_end() as (local, far):

            def feed() -> None:
                with far.input, suppress(OSError):
                    for start in range(0, len(data), MIB):
                        far.input.write(data[start : start + MIB])

            def collect() -> None:
                with far.output:
                    received.append(far.output.read() or b"")

            threads += [threading.Thread(target=feed), threading.Thread(target=collect)]
            for thread in threads:
                thread.start()
            carry(gateway, local)
    finally:
        for thread in threads:
            thread.join(30)
    return received[0]
