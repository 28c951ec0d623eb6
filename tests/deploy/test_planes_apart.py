"""A gateway beside a control plane, by the units: what it is kept from stays away through rotations."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import Installed, installed, template
from tests.e2e.machines import missing_for_machines
from tests.programs import needs

from hatchway.administration import certificate_authority, master_key
from hatchway.administration.certificate_authority import Step as AuthorityStep
from hatchway.administration.key_steps import Step
from hatchway.installation.installation import open_installation
from hatchway.settings import DataDirectory

__all__ = ["installed", "template"]

UNITS = Path(__file__).parents[2] / "deploy/systemd"
CONTROL = UNITS / "hatchway-control.service"
GATEWAY = (
    UNITS / "hatchway-gateway.service",
    UNITS / "hatchway-gateway.service.d/beside-control-plane.conf",
)
_HIDING = """
mount --make-rprivate / || exit
for path in "$@"; do
    [ ! -d "$path" ] || mount --bind "$EMPTY" "$path" || exit
    [ ! -f "$path" ] || mount --bind /dev/null "$path" || exit
done
echo hidden
while read -r path; do cat "$path" 2>&1 | tr '\\n' ' '; echo; done
"""
"""Hides paths as `InaccessiblePaths=` does, and says then what is in those that it is asked for."""


def told(*files: Path) -> dict[str, list[str]]:
    """What a unit and its drop-ins say: words by setting. As in systemd, an empty one forgets the former."""
    settings: dict[str, list[str]] = {}
    for file in files:
        for line in file.read_text().splitlines():
            name, separator, value = line.partition("=")
            if separator and not line.startswith("#"):
                before = settings.setdefault(name, []) if value else []
                settings[name] = [*before, *value.split()]
    return settings


@contextmanager
def hidden(paths: list[Path], empty: Path) -> Iterator["subprocess.Popen[str]"]:
    empty.mkdir(mode=0)
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _HIDING, "sh", *map(str, paths)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "EMPTY": str(empty)},
    )
    with process:
        assert process.stdout is not None and process.stdout.readline() == "hidden\n"
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()


def read_by(process: "subprocess.Popen[str]", path: Path) -> str:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{path}\n")
    process.stdin.flush()
    return process.stdout.readline()


def test_a_gateway_beside_a_control_plane_has_a_user_a_directory_and_an_environment_of_its_own() -> None:
    control, gateway = told(CONTROL), told(*GATEWAY)
    for each in ("User", "Group", "StateDirectory", "EnvironmentFile"):
        assert not set(control[each]) & set(gateway[each][-1:]), each
    assert gateway["Environment"][-1] == f"HATCHWAY_DATA_DIR=/var/lib/{gateway['StateDirectory'][0]}"
    assert gateway["InaccessiblePaths"] == ["-" + control["Environment"][0].partition("=")[2]]


@needs("unshare", "util-linux")
@pytest.mark.skipif(bool(missing_for_machines()), reason=missing_for_machines() or "-")
def test_what_the_units_hide_of_a_control_plane_is_hidden_after_its_keys_were_rotated_too(
    installed: Installed, tmp_path: Path
) -> None:
    assert shutil.which("mount")
    directory = DataDirectory(installed.directory)
    paths = [
        Path(each.removeprefix("-").replace("/var/lib/hatchway", str(directory.path)))
        for each in told(*GATEWAY)["InaccessiblePaths"]
    ]
    with hidden(paths, tmp_path / "empty") as gateway, open_installation(directory, None) as installation:
        certificate_authority.rotate(installation, AuthorityStep.ADD)
        master_key.rotate(installation, *Step)
        next_key = directory.next_ca_key.read_text()
        assert next_key.split("\n")[1] not in read_by(gateway, directory.next_ca_key)
        certificate_authority.rotate(installation, AuthorityStep.USE)
        for path in (directory.master_key, directory.ca_key):
            secret = path.read_text().strip().split("\n")
            assert secret[len(secret) // 2] not in read_by(gateway, path), path.name
