"""A server of its own on loopback, and bytes through a tunnel of it: whether this machine can do the work.

It has a data directory, ports, an account, a host and a user of its own, in a temporary directory, and is
gone afterwards. The installation that is looked at is not touched.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hatchway.account.fleet import apply_fleet
from hatchway.administration.access_keys import KeysOnServer
from hatchway.audit.local_trail import administrator
from hatchway.doctor.findings import Finding, error, ok
from hatchway.domain.account import Account
from hatchway.errors import CommandFailed
from hatchway.fleet import parse_fleet
from hatchway.installation.creation import create_installation
from hatchway.installation.installation import open_installation
from hatchway.settings import DataDirectory
from hatchway.supervision.processes import Processes

BYTES: Final = 1 << 20
TIMEOUT: Final = 30.0
"""Seconds for the tunnel, which needs a fraction of one."""
_CHECK: Final = "trial tunnel"
_REGION: Final = "us-east-1"
_HOST: Final = "127.0.40.7"
_USER: Final = "doctor"


def check_trial_tunnel() -> Iterator[Finding]:
    """Sends a MiB through a tunnel of a server that it starts, and looks at what comes back."""
    try:
        with ExitStack() as down:
            came_back = _carry(down, secrets.token_bytes(BYTES))
    except (CommandFailed, OSError) as problem:
        yield error(
            _CHECK, f"no tunnel could be opened on this machine: {problem}", "fix that, then try again"
        )
        return
    if came_back:
        yield ok(_CHECK, f"{BYTES >> 20} MiB went through a tunnel on loopback and came back unchanged")
    else:
        yield error(_CHECK, "data came back changed through a tunnel on loopback", "please report this")


def _carry(down: ExitStack, sent: bytes) -> bool:
    place = Path(down.enter_context(tempfile.TemporaryDirectory(prefix="hatchway-doctor-")))
    processes = down.enter_context(Processes())
    echo = down.enter_context(socket.create_server((_HOST, 0)))
    port = int(echo.getsockname()[1])
    directory = DataDirectory(place / "data")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "HATCHWAY_", "OTEL_")) and not name.lower().endswith("_proxy")
    }
    credentials, endpoint = _install(directory)
    urls = _serve(directory, place / "server.log", processes, environment)
    threading.Thread(target=_echo, args=(echo, len(sent)), daemon=True).start()
    command = [sys.executable, "-P", "-m", "hatchway", "open-tunnel"]
    command += ["--private-ip-address", _HOST, "--remote-port", str(port), "--region", _REGION]
    command += [
        "--instance-connect-endpoint-id",
        endpoint,
        "--instance-connect-endpoint-dns-name",
        "localhost",
    ]
    command += ["--gateway-address", "127.0.0.1", "--gateway-port", urls["gateway"].rpartition(":")[2]]
    command += ["--endpoint-url", urls["api"], "--ca-bundle", str(directory.ca_certificate)]
    try:
        tunnel = subprocess.run(
            command,
            input=sent,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env={**environment, **credentials},
        )
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"nothing came back within {TIMEOUT:.0f} seconds") from None
    if tunnel.returncode != 0:
        told = tunnel.stderr.decode(errors="replace").strip().splitlines()
        raise CommandFailed(told[-1].removeprefix("hatchway: ") if told else f"exit code {tunnel.returncode}")
    return tunnel.stdout == sent


def _install(directory: DataDirectory) -> tuple[Mapping[str, str], str]:
    """A user's credentials, as environment variables, and the endpoint's id."""
    now = datetime.now(UTC)
    account = Account(id="123456789012", region=_REGION, gateway_dns_name="localhost", created_at=now)
    # Its keys are files, whatever the environment says of the installation's own.
    with _without("HATCHWAY_MASTER_KEY", "HATCHWAY_GATEWAY_KEY"):
        create_installation(directory, None, account, now)
        with open_installation(directory, None) as installation:
            fleet = parse_fleet(json.dumps(_FLEET).encode())
            apply_fleet(installation.store, fleet, now=now, administrator=administrator())
            key = KeysOnServer(installation).create(_USER, None)
            with installation.store.read() as tx:
                endpoint = tx.endpoints.find()[0].id
    credentials = {"AWS_ACCESS_KEY_ID": key.key.id, "AWS_SECRET_ACCESS_KEY": key.secret}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {**credentials, **nowhere, "AWS_EC2_METADATA_DISABLED": "true"}, endpoint


_FLEET: Final[Mapping[str, Any]] = {
    "vpcs": {
        "trial": {
            "cidr": "127.0.40.0/24",
            "subnets": {"trial": {"cidr": "127.0.40.0/24", "availability_zone": f"{_REGION}a"}},
        }
    },
    "instances": {"echo": {"subnet": "trial/trial", "private_ip": _HOST}},
    "endpoints": {"trial": {"subnet": "trial/trial"}},
    "users": {
        _USER: {
            "inline": {
                "trial": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Action": "ec2-instance-connect:OpenTunnel", "Resource": "*"}
                    ],
                }
            }
        }
    },
}


@contextmanager
def _without(*variables: str) -> Iterator[None]:
    """Without these environment variables."""
    before = {name: os.environ.pop(name) for name in variables if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(before)


def _serve(
    directory: DataDirectory, log: Path, processes: Processes, environment: Mapping[str, str]
) -> Mapping[str, str]:
    """Starts `hatchway serve` on ports that are free; its two URLs.

    Raises:
        CommandFailed: it ended instead.
    """
    command = [sys.executable, "-P", "-m", "hatchway", "serve", "--data-dir", str(directory.path)]
    command += ["--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0"]
    server = processes.start(command, log=log, environment=environment)
    assert server.stdout is not None
    words = server.stdout.readline().split()
    if words[:1] != ["ready"]:
        errors = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise CommandFailed(f"the server did not start: {errors[-1] if errors else 'it said nothing'}")
    return dict(word.split("=", 1) for word in words[1:])


def _echo(listener: socket.socket, length: int) -> None:
    """Sends back what one connection brings, up to that length, and closes it."""
    with suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            while length > 0 and (data := connection.recv(65_536)):
                connection.sendall(data)
                length -= len(data)
