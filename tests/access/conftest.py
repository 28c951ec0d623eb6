from collections.abc import Iterator
from pathlib import Path

import pytest

from hatchway.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/hatchway.db")
    opened.migrate()
    yield opened
    opened.close()
