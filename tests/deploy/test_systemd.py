"""systemd takes the units that are there for it, and finds them as closed as the documents say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.programs import find, needs

UNITS = sorted((Path(__file__).parents[2] / "deploy/systemd").glob("*.service"))
PAGE = Path(__file__).parents[2] / "docs/service.md"
PROGRAM = "/opt/hatchway/bin/hatchway"

pytestmark = needs("systemd-analyze", "systemd")


def analyze(*words: "str | Path") -> "subprocess.CompletedProcess[str]":
    program = find("systemd-analyze")
    assert program is not None
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


@pytest.fixture(params=UNITS, ids=lambda unit: unit.name)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit whose program is one that is there."""
    unit: Path = request.param
    text = unit.read_text()
    assert PROGRAM in text
    here = tmp_path / unit.name
    here.write_text(text.replace(PROGRAM, sys.executable))
    return here


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """The gateway's unit as it is beside a control plane."""
    (source,) = (each for each in UNITS if each.name == "hatchway-gateway.service")
    here = tmp_path / source.name
    here.write_text(source.read_text().replace(PROGRAM, sys.executable))
    shutil.copytree(f"{source}.d", f"{here}.d")
    return here


def test_systemd_finds_nothing_wrong_with_a_gateway_beside_a_control_plane(beside: Path) -> None:
    done = analyze("verify", "--man=no", "--recursive-errors=one", beside)
    said = [line for line in done.stderr.splitlines() if "hatchway" in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_systemd_finds_nothing_wrong_with_a_unit(unit: Path) -> None:
    done = analyze("verify", "--man=no", "--recursive-errors=one", unit)
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_a_unit_is_as_exposed_as_the_documents_say_and_no_more(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+) OK", done.stdout)
    assert found, done.stdout + done.stderr
    told = re.findall(r"(\d\.\d)\s+for\s+((?:(?!\d\.\d|\().)*)", PAGE.read_text(), re.DOTALL)
    (said,) = {float(level) for level, names in told if f"`{unit.name}`" in names}
    # Versions of systemd differ in a tenth.
    assert float(found[1]) <= said + 0.15, done.stdout
