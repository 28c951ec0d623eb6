"""A server run as `hatchway serve`, for the tests of the commands."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import botocore.session
import pytest
from botocore.loaders import create_loader
from tests.cli import command_tree
from tests.cli.commands import Command, environment, hatchway

from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import (
    Installation,
    open_installation,
    renew_server_certificate,
    server_names,
)
from hatchway.settings import Address, DataDirectory

if TYPE_CHECKING:
    import subprocess

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

    process: "subprocess.Popen[str] | Command"
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


@pytest.fixture(autouse=True, scope="session")
def commands_are_made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hatchway.cli.main.plain_command", command_tree.command)
        yield


@cache
def _loader() -> Any:
    """Reads the services' models, once: most of what a new session's first call takes."""
    return create_loader()


def alice_s_client(installed: Installed, service: str, **options: Any) -> Any:
    """Of boto's core, by the profile that `access-key create alice --profile alice` wrote."""
    with mock.patch.dict(os.environ, environment(installed.variables), clear=True):
        session = botocore.session.Session(profile="alice")
        session.register_component("data_loader", _loader())
        return session.create_client(service, **options)


def create_endpoint(installed: Installed, **options: Any) -> str:
    """Through the API: the endpoint's id."""
    ec2 = alice_s_client(installed, "ec2", **options)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    made = ec2.create_instance_connect_endpoint(SubnetId=subnet)["InstanceConnectEndpoint"]
    return str(made["InstanceConnectEndpointId"])


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
    return installation_in(tmp_path, template)


def installation_in(directory: Path, template: Path) -> Installed:
    """A copy of the template."""
    variables = {
        "HATCHWAY_DATA_DIR": str(directory / "data"),
        "AWS_CONFIG_FILE": str(directory / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(directory / "aws" / "credentials"),
    }
    shutil.copytree(template, directory / "data")
    return Installed(directory / "data", variables)


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
    """As `servers`."""
    with servers(tmp_path) as serve:
        yield serve


@contextmanager
def servers(logs: Path) -> Iterator[Serve]:
    """Starts servers on ports of their own, and stops what is left of them in the end.

    With `programs=True` the planes are programs of their own, as in earnest, for what depends on how Python
    begins: it costs another second of a processor for each.
    """
    started: list[Command] = []

    def serve(installed: Installed, *arguments: str, programs: bool = False) -> Server:
        ports = ("--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
        log = logs / f"server-{len(started)}.log"
        # A fork of what has imported everything.
        command = ("serve", *ports, *arguments)
        process = Command(*command, variables=installed.variables, errors=log, programs=programs)
        started.append(process)
        line = process.stdout.readline()
        assert line.startswith("ready "), log.read_text()
        return Server(process, dict(word.split("=", 1) for word in line.split()[1:]))

    try:
        yield serve
    finally:
        for process in started:
            process.end()
