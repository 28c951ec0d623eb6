"""A fleet of one host, whom it lets in, and how a test starts a server and comes to the host through it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cli.commands import environment

ACCOUNT = "123456789012"
CLIENT = "127.0.9.9"
HOST = "127.0.40.1"
ENDPOINT = "eice-0123456789abcdef0"

FLEET = f"""
account: "{ACCOUNT}"
vpcs:
  lab:
    cidr: 127.0.40.0/24
    subnets: {{web: {{cidr: 127.0.40.0/24, availability_zone: us-east-1a}}}}
instances:
  web-1: {{id: i-0123456789abcdef0, subnet: lab/web, private_ip: {HOST}}}
endpoints:
  office: {{id: {ENDPOINT}, subnet: lab/web, max_tunnels: 1000}}
users:
  alice:
    inline:
      all:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Action: "*"
            Resource: "*"
            Condition: {{IpAddress: {{"aws:SourceIp": {CLIENT}}}}}
"""
"""Alice may do all of it, and only from that address."""


@dataclass(frozen=True)
class Started:
    """A process; as a container's it is process 1 of a namespace of its own (pid_namespaces(7))."""

    process: "subprocess.Popen[str]"
    contained: bool

    def line(self) -> str:
        """What it says next on standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def stop(self) -> int:
        """Its exit code once it has ended, by SIGTERM."""
        pid = self.process.pid
        if self.contained:
            (pid,) = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        os.kill(pid, signal.SIGTERM)
        return self.process.wait(timeout=60)


def start(
    down: ExitStack,
    log: Path,
    command: Sequence[str],
    variables: Mapping[str, str],
    *,
    contained: bool = False,
) -> Started:
    """A process that is gone with the context; what it says on standard error is in the log.

    Only root may have one contained: it is not for others.
    """
    contained = contained and os.geteuid() == 0
    first = ["unshare", "--pid", "--fork", "--kill-child=KILL"] if contained else []
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*first, *command],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def end() -> None:
        process.kill()
        process.communicate()

    down.callback(end)
    return Started(process, contained)


def answers(address: str, port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((address, port)) == 0


def through_a_tunnel(*options: str, key: tuple[str, str]) -> "subprocess.CompletedProcess[str]":
    """What the host answers `hello` through `hatchway open-tunnel`: its standard output."""
    with socket.create_server((HOST, 0)) as target:
        threading.Thread(target=_answer, args=(target,), daemon=True).start()
        command = [sys.executable, "-P", "-m", "hatchway", "open-tunnel", "--private-ip-address", HOST]
        command += ["--remote-port", str(target.getsockname()[1]), "--region", "us-east-1"]
        command += ["--instance-connect-endpoint-id", ENDPOINT]
        command += ["--instance-connect-endpoint-dns-name", "localhost", "--source-address", CLIENT]
        variables = {"AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
        return subprocess.run(
            [*command, *options],
            env=environment(variables),
            input="hello",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


ANSWER = "hello, here is the host"


def _answer(target: socket.socket) -> None:
    with suppress(OSError):
        connection, _ = target.accept()
        with connection:
            if connection.recv(5) == b"hello":
                connection.sendall(ANSWER.encode())
