"""A user's file, put in place whole."""

import os
import stat
from pathlib import Path

import pytest

from hatchway.client.atomic_file import write_atomically


def test_a_file_keeps_its_mode_and_a_new_one_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    write_atomically(path, "one")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("one", 0o600)
    path.chmod(0o640)
    write_atomically(path, "two")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("two", 0o640)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_gives_a_users_file_back_to_him_and_nothing_that_he_put_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shadow, home = tmp_path / "shadow", tmp_path / "home"
    shadow.touch(mode=0o600)
    home.mkdir()
    path = home / "config"
    path.touch(mode=0o644)
    for each in (home, path):
        os.chown(each, 65_534, 65_534)
    there = Path.stat

    def and_then_swapped(self: Path, **options: bool) -> os.stat_result:
        # What he may do at any moment.
        with os.scandir(home) as entries:
            for fresh in [entry.path for entry in entries if entry.name.startswith(".config.hatchway-")]:
                os.unlink(fresh)  # noqa: PTH108 - those of pathlib call what this stands for
                os.symlink(shadow, fresh)  # noqa: PTH211
        return there(self, **options)

    monkeypatch.setattr(Path, "stat", and_then_swapped)
    write_atomically(path, "new")
    monkeypatch.undo()
    status = shadow.lstat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o600)
