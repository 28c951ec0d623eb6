"""The digest by which a core of other sources is known."""

from pathlib import Path

import pytest
from tests.transport.compiled import needs_core

from hatchway.transport.core import source_digest as module
from hatchway.transport.core.loading import CORE
from hatchway.transport.core.source_digest import source_digest


@pytest.mark.parametrize("change", ["another content", "another name", "one more", "one less"])
def test_whatever_changes_the_sources_changes_it(tmp_path: Path, change: str) -> None:
    one, other = tmp_path / "one.c", tmp_path / "other.c"
    one.write_text("int one;")
    other.write_text("int other;")
    before = source_digest(tmp_path)
    match change:
        case "another content":
            one.write_text("int two;")
        case "another name":
            one.rename(tmp_path / "two.c")
        case "one more":
            (tmp_path / "third.c").touch()
        case _:
            other.unlink()
    assert source_digest(tmp_path) != before


def test_what_is_no_source_does_not(tmp_path: Path) -> None:
    (tmp_path / "one.c").write_text("int one;")
    before = source_digest(tmp_path)
    (tmp_path / "one.py").touch()
    assert source_digest(tmp_path) == before


def test_without_sources_there_is_none(tmp_path: Path) -> None:
    assert source_digest(tmp_path) is None


@needs_core
def test_a_core_carries_that_of_what_it_was_built_of() -> None:
    assert CORE is not None
    assert source_digest(Path(module.__file__).parent) == CORE.SOURCES
