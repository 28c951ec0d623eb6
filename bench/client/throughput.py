"""How much goes through `--local-port`: by the clock, and by the CPU that each process has had.

Little else is in the way: no link, and at both ends what is sent comes out of the kernel's memory and what
arrives is thrown away by the kernel (`bench.gateway.target`).
"""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from bench.client.world import running
from bench.gateway import machine, target

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from bench.client.world import World

_START_SECONDS = 60.0
_BLOB = 64 << 20


@dataclass(frozen=True)
class Flow:
    """`rate` in MB/s; the others are seconds of CPU for each GB: of the client, the server, and the load."""

    rate: float
    client: float
    server: float
    load: float

    @property
    def total(self) -> float:
        """What a GB takes of the cores that they share."""
        return self.client + self.server + self.load

    @property
    def busy(self) -> str:
        """How busy everybody was, in hundredths of a core."""
        shares = {"client": self.client, "server": self.server, "load": self.load}
        return ", ".join(f"{who} {seconds * self.rate / 10:.0f} %" for who, seconds in shares.items())


def median(flows: Sequence[Flow]) -> Flow:
    """Each figure's own."""
    names = [field.name for field in fields(Flow)]
    return Flow(*(statistics.median(getattr(flow, name) for flow in flows) for name in names))


def flow(world: World, command: list[str], direction: str, connections: int, megabytes: int) -> Flow:
    """Start a client, have it carry so much over so many connections, evenly, and end it.

    Args:
        direction: `up` to the target, or `down` from it.

    Raises:
        RuntimeError: a connection was lost.
    """
    each = megabytes * 1_000_000 // connections
    act = _take if direction == "down" else _give
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running(world, [*command, "--local-port", str(port)]) as process:
        socks = [_connect(port, process) for _ in range(connections)]
        for sock in socks:
            if sock.recv(len(world.banner), socket.MSG_WAITALL) != world.banner:
                raise RuntimeError(f"{command[0]} opened no tunnel")
        parts = (machine.tree(process.pid), machine.tree(world.server), [os.getpid(), world.target_process])
        lost: list[OSError] = []
        threads = [threading.Thread(target=_act, args=(act, sock, each, lost)) for sock in socks]
        before = [machine.cpu_seconds(pids) for pids in parts]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        after = [machine.cpu_seconds(pids) for pids in parts]
        for sock in socks:
            sock.close()
    if lost:
        raise RuntimeError(f"{command[0]}: {lost[0]}, on {len(lost)} of {connections} connections")
    gigabytes = each * connections / 1e9
    spent = [(end - begin) / gigabytes for begin, end in zip(before, after, strict=True)]
    return Flow(gigabytes * 1000 / took, *spent)


def _act(
    act: Callable[[socket.socket, int], None], sock: socket.socket, size: int, lost: list[OSError]
) -> None:
    try:
        act(sock, size)
    except OSError as problem:
        lost.append(problem)


def _take(sock: socket.socket, size: int) -> None:
    sock.sendall(b"D" + target.LENGTH.pack(size))
    target.discard(sock, size)


def _give(sock: socket.socket, size: int) -> None:
    sock.sendall(b"U" + target.LENGTH.pack(size))
    blob = os.memfd_create("blob")
    try:
        os.truncate(blob, _BLOB)
        while size:
            size -= os.sendfile(sock.fileno(), blob, 0, min(size, _BLOB))
    finally:
        os.close(blob)
    if sock.recv(1) != b"k":
        raise ConnectionError("the target did not get everything")


def _connect(port: int, process: subprocess.Popen[bytes]) -> socket.socket:
    """A client takes its time until it listens."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)
