"""The three proxies, each with the same certificate and ciphers before the same target, on its own core."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.gateway import machine
from bench.gateway.cipher import SUITES
from bench.gateway.installation import HATCHWAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.gateway.installation import Installation

HATCHWAY_SIDE, HAPROXY_SIDE, WEBSOCKIFY_SIDE = "Hatchway", "HAProxy", "websockify"
_START_SECONDS = 60.0
_LOOPBACK = "127.0.0.1"

_HAPROXY_CONFIGURATION = """
global
    nbthread 1
    maxconn {connections}
    ssl-default-bind-ciphersuites {suites}
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
frontend tls
    bind 127.0.0.1:{port} ssl crt {certificate} ssl-min-ver TLSv1.2
    default_backend target
backend target
    server target 127.0.0.1:{target}
"""

_OPENSSL_CONFIGURATION = """
openssl_conf = all
[all]
ssl_conf = contexts
[contexts]
system_default = suites
[suites]
Ciphersuites = {suite}
"""
"""Leaves a program one suite of TLS 1.3 (config(5)): websockify would choose in the client's order."""

_WEBSOCKET_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass
class Proxy:
    """A running proxy. `carriers` are the processes through which the bytes go."""

    name: str
    address: tuple[str, int]
    make_request: Callable[[], bytes | None]
    carriers: Callable[[], list[int]]
    requests: list[bytes] = field(default_factory=list)

    def request(self) -> bytes | None:
        return self.make_request()

    def cpu_seconds(self) -> float:
        return machine.cpu_seconds(self.carriers())

    def resident_bytes(self) -> int:
        return machine.resident_bytes(self.carriers())


@contextmanager
def hatchway(
    installation: Installation, target: int, on: set[int], *, workers: int = 1, python: str = sys.executable
) -> Iterator[Proxy]:
    """`hatchway serve`: the control plane, which has nothing to do, and gateway workers."""
    path = installation.directory.path
    command = [python, *HATCHWAY[1:], "serve", "--data-dir", str(path), "--api", f"{_LOOPBACK}:0"]
    command += ["--gateway", f"{_LOOPBACK}:0", "--gateway-workers", str(workers)]
    with _running(command, path / "serve.log", on, pipe=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline().decode().split()
        if ready[:1] != ["ready"]:
            raise SystemExit(f"hatchway serve did not start: {(path / 'serve.log').read_text()}")
        url = next(word for word in ready if word.startswith("gateway="))
        port = int(url.rpartition(":")[2])
        gateways = [pid for pid in machine.tree(process.pid) if "gateway" in machine.command_line(pid)]
        requests = [way.request(target) for way in installation.ways]
        yield Proxy(HATCHWAY_SIDE, (_LOOPBACK, port), lambda: requests[0], lambda: gateways, requests)


@contextmanager
def gateway_alone(
    installation: Installation, target: int, on: set[int], *, prefix: tuple[str, ...] = ()
) -> Iterator[Proxy]:
    """`hatchway gateway` below a program such as valgrind, and beside it `hatchway control` without."""
    path = installation.directory.path
    control = [*HATCHWAY, "control", "--data-dir", str(path), "--api", f"{_LOOPBACK}:0"]
    command = [*prefix, *HATCHWAY, "gateway", "--data-dir", str(path), "--gateway", f"{_LOOPBACK}:0"]
    with started(control, path / "control.log"), started(command, path / "gateway.log", on) as (pid, ready):
        port = int(ready[-1].rpartition(":")[2])
        requests = [way.request(target) for way in installation.ways]
        yield Proxy(HATCHWAY_SIDE, (_LOOPBACK, port), lambda: requests[0], lambda: [pid], requests)


@contextmanager
def started(command: list[str], log: Path, on: set[int] | None = None) -> Iterator[tuple[int, list[str]]]:
    """A server of Hatchway's, on any core if none are given, once it is ready; its process id, and what it
    says then."""
    with _running(command, log, on or machine.allowed(), pipe=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline().decode().split()
        if ready[:1] != ["ready"]:
            raise SystemExit(f"{' '.join(command)} did not start: {log.read_text()}")
        yield process.pid, ready


@contextmanager
def haproxy(
    installation: Installation, target: int, on: set[int], *, prefix: tuple[str, ...] = ()
) -> Iterator[Proxy]:
    """HAProxy with one thread, TLS in front and TCP behind; nothing that does not help is switched on."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("haproxy is missing: install Debian's package haproxy")
    path, port = installation.directory.path, _free_port()
    configuration = path / "haproxy.cfg"
    configuration.write_text(
        _HAPROXY_CONFIGURATION.format(
            # Two descriptors to a connection, and some of its own.
            connections=resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - 100,
            port=port,
            suites=":".join(SUITES),
            certificate=installation.directory.server_certificate,
            target=target,
        )
    )
    log = path / "haproxy.log"
    with _running([*prefix, program, "-db", "-f", str(configuration)], log, on) as process:
        _await_port(process, port, log)
        yield Proxy(HAPROXY_SIDE, (_LOOPBACK, port), lambda: None, lambda: machine.tree(process.pid))


@contextmanager
def websockify(installation: Installation, target: int, on: set[int]) -> Iterator[Proxy]:
    """websockify, which forks a process for each connection."""
    path, port = installation.directory.path, _free_port()
    command = [sys.executable, "-P", "-m", "websockify", "--ssl-only"]
    command += ["--cert", str(installation.directory.server_certificate)]
    command += [f"{_LOOPBACK}:{port}", f"{_LOOPBACK}:{target}"]
    configuration = path / "openssl.cnf"
    configuration.write_text(_OPENSSL_CONFIGURATION.format(suite=SUITES[0]))
    log = path / "websockify.log"
    with _running(["env", f"OPENSSL_CONF={configuration}", *command], log, on) as process:
        _await_port(process, port, log)
        yield Proxy(
            WEBSOCKIFY_SIDE,
            (_LOOPBACK, port),
            lambda: _WEBSOCKET_REQUEST,
            lambda: machine.tree(process.pid),
        )


@contextmanager
def _running(
    command: list[str], log: Path, on: set[int], *, pipe: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    def settle() -> None:
        os.sched_setaffinity(0, on)
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    with log.open("wb") as written:
        process = subprocess.Popen(
            command,
            preexec_fn=settle,  # noqa: PLW1509 - nothing else runs here while this starts
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else written,
            stderr=written,
        )
    try:
        yield process
    finally:
        # A second signal ends it without waiting for tunnels.
        for _ in range(2):
            if process.poll() is None:
                process.terminate()
                time.sleep(0.2)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as sock:
        return int(sock.getsockname()[1])


def _await_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((_LOOPBACK, port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens on port {port}: {log.read_text()}")
