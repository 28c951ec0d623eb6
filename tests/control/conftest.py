"""One HTTPS server for all tests here, and a world for each."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from tests.control.harness import SharedServer, World, new_world

from hatchway.pki import create_ca, issue_server_certificate
from hatchway.store import Store
from hatchway.transport.listening.sources import Sources


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServer]:
    directory = tmp_path_factory.mktemp("shared_server")
    now = datetime.now(UTC)
    ca = create_ca("Hatchway test CA", [], now)
    server = issue_server_certificate(ca, ["127.0.0.1"], now)
    certificate, ca_certificate = directory / "server.pem", directory / "ca.pem"
    certificate.write_bytes(server.certificate + server.key)
    ca_certificate.write_bytes(ca.certificate)
    # One test after the other comes from the same address, and many fail to authenticate.
    patient = Sources(time.monotonic, may_waste=10**6, all_may_waste=10**6, may_fail=10**6)
    shared_server = SharedServer(certificate, ca_certificate, patient)
    yield shared_server
    shared_server.close()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "empty.db"
    store = Store.open(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    return boto3.Session()


@pytest.fixture
def world(
    shared_server: SharedServer, empty_database: Path, tmp_path: Path, session: boto3.Session
) -> Iterator[World]:
    with new_world(shared_server, empty_database, tmp_path, session) as world:
        yield world


@pytest.fixture(scope="module")
def module_world(
    shared_server: SharedServer,
    empty_database: Path,
    tmp_path_factory: pytest.TempPathFactory,
    session: boto3.Session,
) -> Iterator[World]:
    """One world for all tests of a module, which must not use `world` too: there is one server."""
    directory = tmp_path_factory.mktemp("module_world")
    with new_world(shared_server, empty_database, directory, session) as world:
        yield world
