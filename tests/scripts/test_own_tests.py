"""scripts/own_tests.py finds what a module's own tests leave of it, in a small project made for that."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "own_tests.py"
CHOICE = "def choose(yes):\n    answer = 'no'\n    if yes:\n        answer = 'yes'\n    return answer\n"
"""One branch: taken on line 3, to line 4 or to line 5."""
TEST = "from thing.pure.{0} import choose\ndef test_it():\n    assert {1}\n"
YES, NO, BOTH = "choose(True) == 'yes'", "choose(False) == 'no'", "choose(True) + choose(False) == 'yesno'"

MODULES = {
    "whole": CHOICE,
    "whole_of_two": CHOICE,
    "line": CHOICE,
    "way": CHOICE,
    "neighbour": "from thing.pure.way import choose\ndef ask():\n    return choose(False)\n",
    "untested": CHOICE,
    "broken": CHOICE,
    "listed": CHOICE,
    "listed_in_vain": CHOICE,
    "constants": "SIZE = 3\n",
    "marked": "def no():\n    return 1  # pragma: no cover (nobody asks)\n",
    "marked_mutely": "def no():  # pragma: no cover\n    return 1\n",
    "inner/__init__": CHOICE,
}
TESTS = {
    "whole": TEST.format("whole", BOTH),
    "whole_of_two_yes": TEST.format("whole_of_two", YES),
    "whole_of_two_no": TEST.format("whole_of_two", NO),
    "line": TEST.format("line", NO),
    "way": TEST.format("way", YES),
    "neighbour": "from thing.pure.neighbour import ask\ndef test_it():\n    assert ask() == 'no'\n",
    "broken": TEST.format("broken", "choose(True) + choose(False) == 'what?'"),
    "listed_in_vain": TEST.format("listed_in_vain", BOTH),
    "inner/package": TEST.format("inner", BOTH),
}
SETTINGS = """
[tool.own-tests]
source = "src/thing"
packages = ["pure", "gone"]
[tool.own-tests.partial]
"pure/listed.py" = "nobody has written its tests"
"pure/listed_in_vain.py" = "its tests came later"
"pure/gone.py" = "deleted since"
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    return _run(_project(tmp_path_factory.mktemp("project"), MODULES, TESTS, SETTINGS), status=1)


def test_a_module_is_named_with_the_lines_and_the_ways_that_its_tests_leave(told: str) -> None:
    assert "\npure/line.py: its own tests leave 4\n" in told
    assert "\npure/way.py: its own tests leave 3->5\n" in told


def test_a_module_without_tests_of_its_own_is_named(told: str) -> None:
    assert "\npure/untested.py: it has no tests of its own\n" in told


def test_a_test_that_fails_is_told_as_pytest_tells_it(told: str) -> None:
    assert "\npure/broken.py: its own tests fail\n" in told
    assert "AssertionError: assert 'yesno' == 'what?'" in told


def test_what_is_covered_wholly_by_one_file_or_several_is_not_named(told: str) -> None:
    for name in ("whole", "whole_of_two", "neighbour", "inner/__init__"):
        assert f"pure/{name}.py" not in told


def test_what_has_nothing_to_run_needs_no_tests(told: str) -> None:
    assert "pure/constants.py" not in told
    assert "pure/marked.py" not in told


def test_a_pragma_without_a_reason_is_a_fault(told: str) -> None:
    assert "\npure/marked_mutely.py:1: a pragma needs its reason beside it" in told


def test_the_list_of_exceptions_excuses_a_module_until_it_is_whole(told: str) -> None:
    assert "pure/listed.py" not in told
    assert "\npure/listed_in_vain.py: covered wholly: take it out of the list\n" in told
    assert "\npure/gone.py: listed, but there is no such module\n" in told


def test_a_package_that_is_not_there_is_a_fault(told: str) -> None:
    assert "\ngone: held to this, but there is no such package\n" in told


def test_where_all_is_whole_it_says_so_and_succeeds(tmp_path: Path) -> None:
    project = _project(tmp_path, {"whole": CHOICE}, {"whole": TEST.format("whole", BOTH)}, SETTINGS)
    assert _run(project, "pure", status=0) == "\nown tests: 1 modules covered wholly\n"
    assert "nonsense is neither a package of" in _run(project, "nonsense", status=1)


def _project(root: Path, modules: Mapping[str, str], tests: Mapping[str, str], settings: str) -> Path:
    (root / "pyproject.toml").write_text(settings)
    (root / "scripts").mkdir()
    shutil.copy(SCRIPT, root / "scripts")
    for name, text in modules.items():
        _write(root / "src/thing/pure" / f"{name}.py", text)
    for name, text in tests.items():
        folder, _, stem = name.rpartition("/")
        _write(root / "tests/pure" / folder / f"test_{stem}.py", text)
    return root


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _run(project: Path, *arguments: str, status: int) -> str:
    """What it says, after an empty line."""
    done = subprocess.run(
        [sys.executable, project / "scripts/own_tests.py", *arguments],
        env={**os.environ, "PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    return f"\n{done.stdout}{done.stderr}"
