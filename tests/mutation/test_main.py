"""`python -m mutation` on what is not there."""

import importlib
import sys
from types import ModuleType

import pytest


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Without the runner, which needs mutmut."""
    runner = ModuleType("mutation.run")
    runner.__dict__.update(dict.fromkeys(("Outcome", "in_a_fork", "run")))
    monkeypatch.setitem(sys.modules, "mutation.run", runner)
    monkeypatch.delitem(sys.modules, "mutation.__main__", raising=False)
    return importlib.import_module("mutation.__main__")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (["access/vault.py"], "there is no access/vault.py"),
        (["keys/vault.py", "gone"], "there is no gone"),
        (["keys/__init__.py"], "keys/__init__.py has no tests of its own"),
    ],
)
def test_a_module_that_moved_or_has_no_tests_is_named_before_any_is_tried(
    main: ModuleType, capsys: pytest.CaptureFixture[str], wanted: list[str], told: str
) -> None:
    with pytest.raises(SystemExit):
        main.main(wanted)
    assert told in capsys.readouterr().err
