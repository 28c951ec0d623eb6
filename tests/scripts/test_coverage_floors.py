"""scripts/coverage_floors.py holds packages to what was recorded of them."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "coverage_floors.py"


def _file(lines: tuple[int, int], branches: tuple[int, int]) -> dict[str, dict[str, int]]:
    """Of how many, how many were taken."""
    return {
        "summary": {
            "num_statements": lines[0],
            "covered_lines": lines[1],
            "num_branches": branches[0],
            "covered_branches": branches[1],
        }
    }


REPORT = {
    "files": {
        "src/hatchway/store/url.py": _file((90, 90), (10, 8)),
        "src/hatchway/store/inner/empty.py": _file((100, 91), (0, 0)),
        "src/hatchway/logs.py": _file((10, 5), (0, 0)),
    }
}
"""store: 189 of 200; logs: 5 of 10."""
TOLD = "modules beside the packages: 50 %\nstore: 94 %\n"


def test_what_holds_is_told_by_package_with_lines_and_branches_in_one_figure(tmp_path: Path) -> None:
    assert _run(tmp_path, {"store": 94, "modules beside the packages": 49}) == (0, TOLD)


@pytest.mark.parametrize(
    ("floors", "told"),
    [
        ({"store": 95, "modules beside the packages": 50}, "store: 94 %, below its floor of 95 %\n"),
        ({"store": 94}, "modules beside the packages: 50 %, and no floor is recorded\n"),
        (
            {"store": 94, "modules beside the packages": 50, "gone": 1},
            "gone: has a floor, and is not there\n",
        ),
    ],
    ids=["reaches less", "new", "gone"],
)
def test_a_package_below_its_floor_or_without_one_is_a_fault(
    tmp_path: Path, floors: Mapping[str, int], told: str
) -> None:
    assert _run(tmp_path, floors) == (1, told)


def test_what_is_recorded_holds_from_then_on(tmp_path: Path) -> None:
    assert _run(tmp_path, {}, "--record") == (0, "")
    assert json.loads((tmp_path / "floors.json").read_text()) == {
        "modules beside the packages": 50,
        "store": 94,
    }


def _run(directory: Path, floors: Mapping[str, int], *options: str) -> tuple[int, str]:
    """Its exit code and what it said."""
    report, recorded = directory / "report.json", directory / "floors.json"
    report.write_text(json.dumps(REPORT))
    recorded.write_text(json.dumps(floors))
    done = subprocess.run(
        [sys.executable, SCRIPT, report, "--floors", recorded, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr
