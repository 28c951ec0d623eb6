"""A Hatchway as a user starts it: `init`, `apply`, `serve`, in a directory and on ports of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.request
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.session import Session
from tests.cli.commands import COMMAND, environment, hatchway
from tests.e2e.waiting import free_port, wait_until

from hatchway.sigv4.signing import presign
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
DNS_NAME: Final = "gateway.example"
HOST: Final = "127.0.40.1"
"""Where the one registered instance is: loopback is a whole network."""
UNREGISTERED: Final = "127.0.40.9"
INSTANCE: Final = "i-0123456789abcdef1"
ENDPOINT: Final = "eice-0123456789abcdef0"
ENDPOINT_ARN: Final = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance-connect-endpoint/{ENDPOINT}"
SUBNET: Final = "subnet-0123456789abcdef0"

FLEET: Final[Mapping[str, Any]] = {
    "account": ACCOUNT,
    "region": REGION,
    "quotas": {"endpoints_per_vpc": 9, "endpoints_per_subnet": 9, "endpoints_per_account": 9},
    "vpcs": {
        "lab": {
            "cidr": "127.0.0.0/16",
            "subnets": {
                "web": {
                    "id": SUBNET,
                    "cidr": "127.0.40.0/24",
                    "availability_zone": "us-east-1a",
                    "tags": {"env": "prod", "Team": "red"},
                }
            },
            "security_groups": {
                "open": {"ingress": [{"protocol": "tcp", "ports": "all", "source": "127.0.0.0/16"}]}
            },
        }
    },
    "instances": {
        "web-1": {
            "id": INSTANCE,
            "subnet": "lab/web",
            "private_ip": HOST,
            "security_groups": ["lab/open"],
            "tags": {"Team": "red"},
        }
    },
    "endpoints": {"lab": {"id": ENDPOINT, "subnet": "lab/web", "max_tunnels": 2000, "tags": {"Team": "red"}}},
}


_session: Final = Session()
"""One for all: a session takes a while to read its models."""


@dataclass(frozen=True, slots=True)
class Key:
    """An access key."""

    id: str
    secret: str = field(repr=False)


@dataclass
class Site:
    """A running server, and ways to it.

    Attributes:
        process: of `hatchway serve`.
        metrics_port: where its gateway tells of itself.
        keys: access keys by user; `root` is the account's own.
    """

    directory: Path
    process: subprocess.Popen[str]
    api_address: tuple[str, int]
    gateway_address: tuple[str, int]
    metrics_port: int
    keys: dict[str, Key]
    _clients: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def api_url(self) -> str:
        return f"https://{self.api_address[0]}:{self.api_address[1]}"

    def api(self, service: str, user: str = "root", **config: Any) -> Any:
        """botocore's client; it does not try again."""
        key = self.keys[user]
        wanted = (service, user, tuple(config.items()))
        if wanted not in self._clients:
            self._clients[wanted] = self._client(service, key, config)
        return self._clients[wanted]

    def _client(self, service: str, key: Key, config: dict[str, Any]) -> Any:
        return _session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.api_url,
            verify=str(self.data / "ca.pem"),
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def gateway_pids(self) -> list[int]:
        """The process ids of the gateway workers."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                # The parent's is the second field behind the name, which is in parentheses (proc(5)).
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                words = (stat.parent / "cmdline").read_bytes().split(b"\0")
                if parent == self.process.pid and b"gateway" in words:
                    found.append(int(stat.parent.name))
        return found

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`hatchway ARGUMENTS…` on the server."""
        return hatchway(*arguments, variables={"HATCHWAY_DATA_DIR": str(self.data)})

    def user(self, name: str, *statements: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> Key:
        """A user with these statements, and a key of his, of whom the gateway knows."""
        iam = self.api("iam")
        iam.create_user(
            UserName=name, Tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        )
        if statements:
            self.permit(name, *statements)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        self.keys[name] = Key(made["AccessKeyId"], made["SecretAccessKey"])
        with closing(Store.open(f"sqlite:///{self.data}/hatchway.db")) as store:
            revision = store.revision()
        wait_until(lambda: self._revision_of_the_gateway() >= revision)
        return self.keys[name]

    def _revision_of_the_gateway(self) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60) as answer:
            found = re.search(rb"^hatchway_snapshot_revision (\S+)$", answer.read(), re.MULTILINE)
        assert found is not None
        return float(found[1])

    def permit(self, name: str, *statements: Mapping[str, Any]) -> None:
        """Make these the user's only ones."""
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        self.api("iam").put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document)

    def deactivate(self, name: str) -> None:
        self.api("iam").update_access_key(UserName=name, AccessKeyId=self.keys[name].id, Status="Inactive")

    def target(
        self,
        user: str,
        port: int,
        address: str = HOST,
        *,
        endpoint: str = ENDPOINT,
        now: datetime | None = None,
        expires: int = 3600,
    ) -> str:
        """The request target by which the user asks for a tunnel."""
        key = self.keys[user]
        return presign(
            DNS_NAME,
            "/openTunnel",
            {"instanceConnectEndpointId": endpoint, "remotePort": str(port), "privateIpAddress": address},
            access_key_id=key.id,
            secret_access_key=key.secret,
            now=now or datetime.now(UTC),
            region=REGION,
            service="ec2-instance-connect",
            expires=expires,
        )

    def processes(self) -> dict[str, int]:
        """The ids of the server's own processes, by what they do."""
        found = {}
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in map(int, text.split()):
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found["gateway" if " gateway" in line else "control" if " control" in line else line] = pid
        return found

    def log(self) -> str:
        return (self.directory / "server.log").read_text(errors="replace")


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


OPEN: Final = allow("ec2-instance-connect:OpenTunnel", ENDPOINT_ARN)


@contextmanager
def running(options: Sequence[str] = (), variables: Mapping[str, str] | None = None) -> Iterator[Site]:
    """A new installation with the fleet above, served; nothing of it is left in the end."""
    directory = Path(tempfile.mkdtemp(prefix="hatchway-attack-"))
    process = None
    try:
        data = directory / "data"
        given = {"HATCHWAY_DATA_DIR": str(data), **(variables or {})}
        init = hatchway(
            "init", "--account", ACCOUNT, "--gateway-dns-name", DNS_NAME, "--json", variables=given
        )
        assert init.returncode == 0, init.stderr
        made = json.loads(init.stdout)
        fleet = directory / "fleet.json"
        fleet.write_text(json.dumps(FLEET))
        applied = hatchway("apply", str(fleet), variables=given)
        assert applied.returncode == 0, applied.stderr
        metrics_port = free_port()
        process = _serve(directory, ["--metrics", f"127.0.0.1:{metrics_port}", *options], given)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), (directory / "server.log").read_text()
        urls = dict(word.split("=", 1) for word in line.split()[1:])
        root = Key(made["access_key_id"], made["secret_access_key"])
        api, gateway = _address(urls["api"]), _address(urls["gateway"])
        yield Site(directory, process, api, gateway, metrics_port, {"root": root})
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(directory)


def _serve(directory: Path, options: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [*COMMAND, "serve", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0", *options]
    with (directory / "server.log").open("w") as log:
        return subprocess.Popen(
            command,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.rpartition("/")[2].rpartition(":")
    return host, int(port)


def resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def free_source(last: int) -> str:
    """An address that an attacker connects from: nobody else does."""
    address = f"127.66.{last // 250}.{last % 250 + 1}"
    with socket.socket() as probe:
        probe.bind((address, 0))
    return address
