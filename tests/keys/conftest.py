from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.migrated import empty_store

from hatchway.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = empty_store(tmp_path / "hatchway.db")
    yield opened
    opened.close()
