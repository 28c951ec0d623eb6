"""One HTTPS server for all tests here, and a world for each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import ClientCreator
from tests.control.harness import SharedServer, World, new_database, new_world, serving

_create_class: Any = ClientCreator._create_client_class
_classes: dict[tuple[str, Any], Any] = {}


@pytest.fixture(autouse=True, scope="module")
def client_classes_are_made_once() -> Iterator[None]:
    """botocore makes a class with a method for each operation anew for each client: of EC2 that takes four
    times as long as all else of a client."""

    def made_once(creator: Any, service: str, model: Any) -> Any:
        key = (service, creator._event_emitter)
        if key not in _classes:
            _classes[key] = _create_class(creator, service, model)
        return _classes[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClientCreator, "_create_client_class", made_once)
        yield


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServer]:
    with serving(tmp_path_factory.mktemp("shared_server")) as shared_server:
        yield shared_server


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_database(tmp_path_factory.mktemp("template") / "empty.db")


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
