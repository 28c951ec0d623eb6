"""Fixtures for the tests that run everything for real: machines with sshd, and the AWS CLI."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from tests.control.harness import World, new_database, new_world, serving
from tests.e2e.aws import AwsCli, AwsCliMissingError, find_aws_cli
from tests.e2e.hatchway_server import Hatchway, start_hatchway
from tests.e2e.machines import missing_for_machines
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd, start_sshd
from tests.e2e.outside import look_outside, processes_in
from tests.e2e.terraform import Terraform, TerraformMissingError, terraform
from tests.e2e.waiting import wait_until
from tests.programs import NOT_FETCHED


@pytest.fixture(scope="session")
def untouched_outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """When all machines are gone, this computer must be as it was before the first."""
    directory = tmp_path_factory.getbasetemp()
    before = look_outside(directory)
    yield
    assert not look_outside(directory).changes(before)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory, untouched_outside: None) -> Iterator[Network]:
    """A gateway with a network of its own. Machines in it live until the tests end or one is removed."""
    if reason := missing_for_machines():
        pytest.skip(reason)
    network = Network(tmp_path_factory.mktemp("machines"))
    yield network
    namespaces = network.namespaces
    network.stop()
    wait_until(lambda: not processes_in(namespaces), message=lambda: f"{processes_in(namespaces)}")


@pytest.fixture(scope="session")
def web_host(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Sshd:
    """The machine web-1 at 10.0.1.1 and fd00:10:0:1::1, with sshd on port 22 and the user ec2-user."""
    if shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin") is None:
        pytest.skip("OpenSSH's sshd is missing: install openssh-server")
    machine = network.machine("web-1", "10.0.1.1", "fd00:10:0:1::1")
    return start_sshd(machine, tmp_path_factory.mktemp("web-1") / "sshd.log")


@pytest.fixture(scope="session")
def aws_program() -> Path:
    """The path of the official AWS CLI 2."""
    try:
        return find_aws_cli()
    except AwsCliMissingError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def aws(network: Network, aws_program: Path, tmp_path: Path) -> AwsCli:
    """The AWS CLI on the gateway machine, with a new home and neither credentials nor endpoint yet."""
    return AwsCli(aws_program, network.gateway, tmp_path, {"AWS_REGION": "us-east-1"})


@pytest.fixture(scope="session")
def hatchway(
    network: Network, aws_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hatchway]:
    """A server on the gateway machine, with a fleet in which web-1 is an instance."""
    yield from start_hatchway(network, aws_program, tmp_path_factory.mktemp("hatchway"))


@pytest.fixture(scope="module")
def terraform_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An account on loopback for Terraform; no machine is needed for that."""
    directory = tmp_path_factory.mktemp("terraform_world")
    database = new_database(directory / "empty.db")
    with serving(directory) as server, new_world(server, database, directory, boto3.Session()) as world:
        yield world


@pytest.fixture(scope="module")
def tf(terraform_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Terraform with the root user's credentials for `terraform_world`."""
    server, root = terraform_world.shared_server, terraform_world.root
    try:
        with terraform(
            tmp_path_factory.mktemp("terraform"),
            ca_certificate=server.ca,
            aws={
                "AWS_ENDPOINT_URL": server.url,
                "AWS_ACCESS_KEY_ID": root.access_key_id,
                "AWS_SECRET_ACCESS_KEY": root.secret,
            },
        ) as found:
            yield found
    except TerraformMissingError as missing:
        pytest.skip(f"{NOT_FETCHED}{missing}")
