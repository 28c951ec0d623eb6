"""One account and one server for all tests of a module: each makes what it changes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.control.harness import SharedServer, World, new_world


@pytest.fixture(scope="module")
def account(
    shared_server: SharedServer,
    empty_database: Path,
    tmp_path_factory: pytest.TempPathFactory,
    session: boto3.Session,
) -> Iterator[World]:
    with new_world(shared_server, empty_database, tmp_path_factory.mktemp("account"), session) as world:
        yield world


@pytest.fixture(scope="module")
def ec2(account: World) -> Any:
    """EC2 as root calls it."""
    return account.client("ec2")
