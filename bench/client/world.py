"""A server, on port 443 where the AWS CLI looks for its gateway, a target, and a link that can delay."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bench.gateway import machine
from bench.gateway.target import target

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT, REGION, NAME = "123456789012", "us-east-1", "gateway.bench"
INSTANCE, ENDPOINT = "i-0123456789abcdef0", "eice-0123456789abcdef0"
API, FAR_API = 8443, 9443
GATEWAY = "127.0.0.2"
"""Where it listens on port 443. Its name leads here, or by the link while that delays."""
LINK = "127.0.0.1"
HATCHWAY = (sys.executable, "-P", "-m", "hatchway")
BANNER = b"SSH-2.0-bench\r\n"
_SYSTEM = Path("/etc/ssl/certs/ca-certificates.crt")

_FLEET = {
    "vpcs": {
        "bench": {
            "cidr": "127.0.0.0/16",
            "subnets": {"hosts": {"cidr": "127.0.0.0/16", "availability_zone": f"{REGION}a"}},
            "security_groups": {
                "open": {"ingress": [{"protocol": "tcp", "ports": "all", "source": "127.0.0.0/8"}]}
            },
        }
    },
    "instances": {
        "host": {
            "id": INSTANCE,
            "subnet": "bench/hosts",
            "private_ip": "127.0.0.1",
            "security_groups": ["bench/open"],
        }
    },
    "endpoints": {"bench": {"id": ENDPOINT, "subnet": "bench/hosts", "max_tunnels": 20_000}},
    "users": {
        "alice": {
            "inline": {
                "all": {
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
                }
            }
        }
    },
}


class World:
    """Everything that is measured against. Made in a network namespace in which nothing else is."""

    def __init__(self, directory: Path, aws: Path) -> None:
        self.directory, self.aws = directory, aws
        self._stack = ExitStack()
        self._hosts = directory / "hosts"
        self._delay = 0.0
        self.banner = BANNER

    def __enter__(self) -> Self:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # Which every kernel has, and which where nothing is lost holds nothing up, as Debian's: bbr paces.
        Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")
        data = self.directory / "data"
        # Before there are threads, of which a fork has none.
        self.target, self.target_process = self._stack.enter_context(target(machine.allowed(), BANNER))
        self.delay = 0.0
        _mount(self._hosts, Path("/etc/hosts"))
        init = ("init", "--data-dir", str(data), "--account", ACCOUNT, "--region", REGION)
        self._hatchway(*init, "--gateway-dns-name", NAME)
        fleet = self.directory / "fleet.json"
        fleet.write_text(json.dumps(_FLEET))
        self._hatchway("apply", "--data-dir", str(data), str(fleet))
        trusted = self.directory / "trusted.pem"
        trusted.write_bytes(_SYSTEM.read_bytes() + (data / "ca.pem").read_bytes())
        _mount(trusted, _SYSTEM)
        serve = [*HATCHWAY, "serve", "--data-dir", str(data), "--api", f"127.0.0.1:{API}"]
        serve += ["--gateway", f"{GATEWAY}:443"]
        log = self._stack.enter_context((self.directory / "log").open("wb"))
        server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=log)
        self._stack.callback(_end, server)
        self.server = server.pid
        assert server.stdout is not None
        if not server.stdout.readline().startswith(b"ready"):
            raise SystemExit((self.directory / "log").read_text())
        self._hatchway("access-key", "create", "alice", "--data-dir", str(data), "--profile", "alice")
        self.sshd = self._run_sshd()
        ssh = str(self.directory / "ssh")
        self._hatchway("ssh-config", "--os-user", "root", "--ssh-directory", ssh)
        _serve(443, lambda sock: self._link(sock, (GATEWAY, 443)))
        _serve(FAR_API, lambda sock: self._link(sock, ("127.0.0.1", API)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def delay(self) -> float:
        """Seconds that each direction of the way to the gateway and to the far API takes."""
        return self._delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._delay = seconds
        # In place: it is mounted.
        self._hosts.write_text(f"127.0.0.1 localhost\n{LINK if seconds else GATEWAY} {NAME}\n")

    @property
    def environment(self) -> dict[str, str]:
        """Of the clients. Nothing of the caller's own AWS, proxies and certificates."""
        return {
            "HOME": str(self.directory),
            "PATH": os.environ["PATH"],
            "AWS_PROFILE": "alice",
            "AWS_EC2_METADATA_DISABLED": "true",
            # Not --endpoint-url: what open-tunnel of the AWS CLI asks of EC2 does not go there.
            **({"AWS_ENDPOINT_URL": f"https://127.0.0.1:{FAR_API}"} if self.delay else {}),
            "AWS_CONFIG_FILE": str(self.directory / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.directory / "credentials"),
        }

    def forget(self) -> None:
        """What `hatchway` remembers; the AWS CLI remembers nothing."""
        shutil.rmtree(self.directory / ".cache", ignore_errors=True)

    def forget_host(self) -> None:
        """What `hatchway` remembers of it; the file that was written last says where the gateway was."""
        *of_host, _ = sorted(self._answers(), key=lambda file: file.stat().st_mtime_ns)
        for file in of_host:
            file.unlink()

    def _answers(self) -> list[Path]:
        return [*(self.directory / ".cache" / "hatchway" / "answers").iterdir()]

    def age(self) -> None:
        """What `hatchway` remembers, so that it is good no more."""
        for file in self._answers():
            file.write_text(json.dumps({**json.loads(file.read_text()), "until": 0}))

    def ssh_commands(self) -> dict[str, list[str]]:
        """`ssh HOST true` to the same sshd: directly, by `hatchway ssh`, and by ssh's own configuration as
        `hatchway ssh-config` writes it."""
        options = ["-p", str(self.sshd), "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
        nowhere = ["-F", "none", "-o", "UserKnownHostsFile=/dev/null"]
        key = ["-i", str(self.directory / "user_key"), "-o", "IdentitiesOnly=yes"]
        config = ["-F", str(self.directory / "ssh" / "config")]
        return {
            "direct": ["ssh", *nowhere, *key, *options, "root@127.0.0.1", "true"],
            "hatchway ssh": [*HATCHWAY, "ssh", *nowhere, *options, f"root@{INSTANCE}", "true"],
            "ssh-config": ["ssh", *config, *options, f"root@{INSTANCE}", "true"],
        }

    def _run_sshd(self) -> int:
        """Its port. It takes any key: what a host's own does with Hatchway's is not what is measured."""
        for name in ("host_key", "user_key"):
            key = str(self.directory / name)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        config = self.directory / "sshd_config"
        # Bash would read its user's .bashrc, whatever that has to do, were it not within another.
        config.write_text(
            "SetEnv SHLVL=2\n"
            f"ListenAddress 127.0.0.1:{port}\n"
            f"HostKey {self.directory / 'host_key'}\n"
            "PidFile none\nUsePAM no\nPermitRootLogin yes\nStrictModes no\nAuthorizedKeysFile none\n"
            "PasswordAuthentication no\nMaxStartups 100\n"
            "AuthorizedKeysCommand /usr/bin/echo %t %k\nAuthorizedKeysCommandUser nobody\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        log = self._stack.enter_context((self.directory / "sshd.log").open("wb"))
        sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], stderr=log)
        self._stack.callback(_end, sshd)
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    raise SystemExit((self.directory / "sshd.log").read_text()) from None
                time.sleep(0.05)
            else:
                return port

    def commands(self, connections: int = 1) -> dict[str, list[str]]:
        """The command line of each client that opens a tunnel to the target, or so many at once."""
        words = ["open-tunnel", "--instance-id", INSTANCE, "--remote-port", str(self.target)]
        aws = [str(self.aws), "ec2-instance-connect", *words]
        if connections > 1:
            # It takes ten if not told otherwise.
            aws += ["--max-websocket-connections", str(connections)]
        return {"hatchway": [*HATCHWAY, *words], "aws": aws}

    def _hatchway(self, *arguments: str) -> None:
        done = subprocess.run(
            [*HATCHWAY, *arguments], env=self.environment, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise SystemExit(f"hatchway {arguments[0]}: {done.stderr or done.stdout}")

    def _link(self, near: socket.socket, to: tuple[str, int]) -> None:
        """Each byte, and the opening of the connection, takes `delay` each way."""
        time.sleep(2 * self.delay)
        with socket.create_connection(to) as far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            there = threading.Thread(target=self._carry, args=(near, far), daemon=True)
            there.start()
            self._carry(far, near)
            there.join()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        """Each piece arrives when its time has come, however many are under way."""
        under_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        arriving = threading.Thread(target=_arrive, args=(under_way, sink), daemon=True)
        arriving.start()
        data = b"."
        while data:
            try:
                data = source.recv(1 << 18)
            except OSError:
                data = b""
            under_way.put((time.monotonic() + self.delay, data))
        arriving.join()


@contextmanager
def running(world: World, command: list[str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A client, which has no input and no output but for `streams`, and is ended."""
    nothing = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen(command, env=world.environment, **{**nothing, **streams})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _arrive(under_way: queue.SimpleQueue[tuple[float, bytes]], sink: socket.socket) -> None:
    with suppress(OSError):
        while True:
            due, data = under_way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)


def _serve(port: int, answer: object) -> int:
    listening = socket.create_server(("127.0.0.1", port), backlog=256)

    def accept() -> None:
        while True:
            sock, _ = listening.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_attend, args=(answer, sock), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listening.getsockname()[1])


def _attend(answer: object, sock: socket.socket) -> None:
    with sock, suppress(OSError):
        answer(sock)  # type: ignore[operator]


def _mount(file: Path, over: Path) -> None:
    subprocess.run(["mount", "--bind", str(file), str(over)], check=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(30)
