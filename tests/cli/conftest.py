"""A server run as `hatchway serve`, for the tests of the commands."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, environment, hatchway

from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import (
    Installation,
    open_installation,
    renew_server_certificate,
    server_names,
)
from hatchway.settings import Address, DataDirectory

FLEET = """
account: "123456789012"
vpcs:
  lab:
    cidr: 127.0.40.0/24
    subnets: {web: {cidr: 127.0.40.0/24, availability_zone: us-east-1a}}
instances:
  web-1: {id: i-0123456789abcdef0, subnet: lab/web, private_ip: 127.0.40.1}
users:
  alice: {inline: {all: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}}}
  bob: {}
"""


@dataclass
class Server:
    """A running `hatchway serve`."""

    process: "subprocess.Popen[str]"
    urls: dict[str, str]

    @property
    def children(self) -> list[int]:
        """The process ids of its planes."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(word) for word in text.split()]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code once it has ended."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


@dataclass
class Installed:
    """An installation with the fleet above, and AWS files for its users."""

    directory: Path
    variables: dict[str, str]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return hatchway(*arguments, variables=self.variables)


def create_endpoint(installed: Installed) -> str:
    """Through the API, by a profile that `access-key create` wrote: the endpoint's id."""
    program = (
        "import botocore.session as s; ec2 = s.Session(profile='alice').create_client('ec2');"
        "subnet = ec2.describe_subnets()['Subnets'][0]['SubnetId'];"
        "made = ec2.create_instance_connect_endpoint(SubnetId=subnet)['InstanceConnectEndpoint'];"
        "print(made['InstanceConnectEndpointId'])"
    )
    done = subprocess.run(
        [COMMAND[0], "-c", program],
        env=environment(installed.variables), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as init and apply leave it, to be copied."""
    directory = tmp_path_factory.mktemp("template")
    data, fleet = directory / "data", directory / "fleet.yaml"
    fleet.write_text(FLEET)
    for command in (("init", "--account", "123456789012"), ("apply", str(fleet))):
        done = hatchway(*command, variables={"HATCHWAY_DATA_DIR": str(data)})
        assert done.returncode == 0, done.stderr
    return data


@pytest.fixture
def installed(template: Path, tmp_path: Path) -> Installed:
    variables = {
        "HATCHWAY_DATA_DIR": str(tmp_path / "data"),
        "AWS_CONFIG_FILE": str(tmp_path / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "aws" / "credentials"),
    }
    shutil.copytree(template, tmp_path / "data")
    return Installed(tmp_path / "data", variables)


@pytest.fixture(scope="module")
def opened(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    data = tmp_path_factory.mktemp("installation") / "data"
    shutil.copytree(template, data)
    with open_installation(DataDirectory(data), None) as opened:
        yield opened


@pytest.fixture
def installation(opened: Installation) -> Iterator[Installation]:
    """Its server never ran. Its gateway's name is localhost."""
    certificate = opened.directory.server_certificate.read_bytes()
    yield opened
    opened.directory.server_certificate.write_bytes(certificate)
    opened.directory.api_location.unlink(missing_ok=True)


def listen(installation: Installation, address: str, *further: str, name: str = "localhost") -> None:
    """What a server does that starts to listen there."""
    directory, at = installation.directory, Address.parse(address)
    names = server_names(directory, [name], api=at.host, further=further)
    renew_server_certificate(directory, names, datetime.now(UTC))
    certificate = directory.server_certificate
    ApiLocation.of(at, name, private_ca=True, certificate=certificate).write(directory)


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers on ports of their own, and stops what is left of them in the end."""
    started: list[Server] = []

    def serve(installed: Installed, *arguments: str) -> Server:
        ports = ("--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
        with (tmp_path / f"server-{len(started)}.log").open("w") as log:
            process = subprocess.Popen(
                [*COMMAND, "serve", *ports, *arguments],
                env=environment(installed.variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready "), Path(log.name).read_text()
        server = Server(process, dict(word.split("=", 1) for word in line.split()[1:]))
        started.append(server)
        return server

    yield serve
    for server in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.process.pid, signal.SIGKILL)
        server.process.communicate()
