"""Control planes and gateways of one account, each a process that is started again when it was killed."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from tests.e2e.fault_server import ENDPOINT, FLEET, GATEWAY_NAME, REGION
from tests.e2e.waiting import free_port, wait_until
from tests.transport.harness import LOOPBACK

from hatchway.sigv4.signing import presign

QUOTA = 8
"""Tunnels of the endpoint `narrow`."""
NARROW = "eice-0123456789abcdef1"
_EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
WIDE_FLEET: Mapping[str, Any] = {
    **FLEET,
    "quotas": {"endpoints_per_vpc": 5, "endpoints_per_subnet": 5},
    "endpoints": {
        **FLEET["endpoints"],  # type: ignore[dict-item]
        "narrow": {"id": NARROW, "subnet": "loopback/all", "max_tunnels": QUOTA},
    },
    "users": {**FLEET["users"], "bob": {"inline": {"all": _EVERYTHING}}},  # type: ignore[dict-item]
}
"""With an endpoint for few, and somebody whose permission is taken away."""
_RESTART = 0.5
_READY = 240.0
"""Seconds for a process to begin in, on a machine that others keep busy."""


class Process:
    """One `hatchway` process, in the place of which another is started until it is stopped."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._environment = environment
        self._stopped = threading.Event()
        self.started = 0
        self._process = self._start()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.started += 1
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if self._stopped.wait(_RESTART):
                return
            self._process = self._start()

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def end(self) -> None:
        """In order; another is started."""
        self.signal(signal.SIGTERM)

    def stop(self, seconds: float = 60) -> None:
        """In order, and for good."""
        self._stopped.set()
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._keeper.join(10)

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Cluster:
    """All of it. `gateway_port` is another gateway's each time: the load asks for it at each tunnel."""

    def __init__(
        self,
        directory: Path,
        url: str,
        source: Path | None = None,
        *,
        fleet: Mapping[str, Any] = WIDE_FLEET,
        apart: bool = True,
    ) -> None:
        """
        Args:
            directory: for all that belongs to it.
            url: the store's, by which the account is made.
            source: the program that makes it, and first runs it: that of a version before.
            fleet: what is in it.
            apart: whether each process has a data directory of its own.
        """
        self._directory = directory
        self._url = url
        self._source = source
        self._apart = apart
        self.data = directory / "account"
        self.only: tuple[str, ...] = ()
        init = ["init", "--account", "123456789012", "--gateway-dns-name", GATEWAY_NAME, "--json"]
        made = json.loads(self._run(*init))
        self.root = made["access_key_id"], made["secret_access_key"]
        file = directory / "fleet.json"
        file.write_text(json.dumps(fleet))
        self._run("apply", str(file))
        self.keys = {
            name: self._key(json.loads(self._run("access-key", "create", name, "--json")))
            for name in fleet["users"]
        }
        self.processes: dict[str, Process] = {}
        self._ports: dict[str, int] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._making = threading.Lock()
        self._random = random.Random(1)
        self._source = None

    @staticmethod
    def _key(made: dict[str, Any]) -> tuple[str, str]:
        return made["access_key_id"], made["secret_access_key"]

    def add_control(self, name: str, url: str, source: Path | None = None, *options: str) -> None:
        """A control plane with a data directory of its own, whose keys are the account's."""
        own = self._copy(name)
        self._add(name, ["control", "--api", "{address}", *options], own, url, source)

    def add_gateway(self, name: str, url: str, source: Path | None = None) -> None:
        own = self._copy(name)
        self._add(name, ["gateway", "--gateway", "{address}", "--drain-timeout", "5"], own, url, source)

    def _copy(self, name: str) -> Path:
        if not self._apart:
            return self.data
        own = self._directory / name
        if not own.exists():
            own.mkdir(mode=0o700)
            for file in self.data.iterdir():
                if file.suffix in (".key", ".pem"):
                    (own / file.name).write_bytes(file.read_bytes())
                    (own / file.name).chmod(0o600)
        return own

    def _add(self, name: str, command: list[str], data: Path, url: str, source: Path | None) -> None:
        port = self._ports.setdefault(name, free_port())
        words = [word.format(address=f"{LOOPBACK}:{port}") for word in command]
        words += ["--data-dir", str(data), *self._store(url), "--log-format", "json"]
        before = self.processes.get(name)
        log = self._directory / f"{name}.log"
        ready = log.read_text().count("\nready ") if log.exists() else 0
        if before is not None:
            before.stop()
        self.processes[name] = Process(name, hatchway_command(*words), log, environment(source))
        process = self.processes[name]
        wait_until(
            lambda: process.log().count("\nready ") > ready or process.log().startswith("ready "),
            _READY,
            process.log,
        )

    def _store(self, url: str) -> list[str]:
        # In a directory that all share, it is where it always is.
        return ["--store-url", url] if self._apart else []

    def remove(self, name: str) -> None:
        self.processes.pop(name).stop()

    def stop(self) -> None:
        for process in list(self.processes.values())[::-1]:
            process.stop()

    def names(self, kind: str) -> list[str]:
        """Those of a kind that people use: `only` these, where that says some."""
        return [
            name for name in self.processes if name.startswith(kind) and (not self.only or name in self.only)
        ]

    @property
    def gateway_port(self) -> int:
        return self._ports[self._random.choice(self.names("gateway"))]

    def accepts(self, name: str) -> bool:
        """Whether somebody listens there."""
        try:
            socket.create_connection((LOOPBACK, self._ports[name]), timeout=5).close()
        except OSError:
            return False
        return True

    def port(self, name: str) -> int:
        return self._ports[name]

    def signed_target(self, port: int) -> str:
        return self.target(port, "alice", ENDPOINT)

    def target(self, port: int, user: str, endpoint: str) -> str:
        key_id, secret = self.keys[user]
        return presign(
            GATEWAY_NAME,
            "/openTunnel",
            {"instanceConnectEndpointId": endpoint, "privateIpAddress": LOOPBACK, "remotePort": str(port)},
            access_key_id=key_id,
            secret_access_key=secret,
            now=datetime.now(UTC),
            region=REGION,
            service="ec2-instance-connect",
            expires=60,
        )

    def log(self) -> str:
        return "\n".join(process.log()[-2000:] for process in self.processes.values())

    def clients(self, service: str) -> list[Any]:
        """A client of each control plane, which asks once and waits for a while."""
        return [self._client(service, name) for name in self.names("control")]

    def _client(self, service: str, name: str) -> Any:
        # Making one takes longer than its call.
        with self._making:
            if (service, name) not in self._clients:
                self._clients[service, name] = boto3.client(
                    service,
                    endpoint_url=f"https://{LOOPBACK}:{self._ports[name]}",
                    verify=False,
                    region_name=REGION,
                    aws_access_key_id=self.root[0],
                    aws_secret_access_key=self.root[1],
                    config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=40),
                )
            return self._clients[service, name]

    def _run(self, *arguments: str) -> str:
        command = [
            *hatchway_command(*arguments),
            "--data-dir",
            str(self.data),
            *self._store(self._url),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_READY,
            env=environment(self._source),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def hatchway_command(*arguments: str) -> list[str]:
    """By the Python of now."""
    return [sys.executable, "-P", "-m", "hatchway", *arguments]


def environment(source: Path | None) -> dict[str, str]:
    """With the sources of a program of before, or of this one."""
    return dict(os.environ) if source is None else {**os.environ, "PYTHONPATH": str(source / "src")}
