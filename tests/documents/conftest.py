"""One server for all documents."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.documents.world import World, world
from tests.e2e.conftest import aws_program
from tests.e2e.machines import missing_for_machines
from tests.e2e.network import Network
from tests.e2e.outside import processes_in
from tests.e2e.waiting import wait_until
from tests.programs import find

__all__ = ["aws_program"]


@pytest.fixture(scope="session")
def read_world(tmp_path_factory: pytest.TempPathFactory, aws_program: Path) -> Iterator[World]:
    """As readers have it before them."""
    if reason := missing_for_machines():
        pytest.skip(reason)
    if find("sshd") is None:
        pytest.skip("OpenSSH's sshd is missing: install openssh-server")
    network = Network(tmp_path_factory.mktemp("machines"))
    namespaces = network.namespaces
    try:
        with world(network, aws_program, tmp_path_factory.mktemp("documents")) as made:
            namespaces = network.namespaces
            yield made
    finally:
        network.stop()
    wait_until(lambda: not processes_in(namespaces), message=lambda: f"{processes_in(namespaces)}")
