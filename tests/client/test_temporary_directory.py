"""Directories for what one command needs: gone with it, or with a later one where it was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hatchway.client.temporary_directory import temporary_directory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such locks")

PROGRAM = """
import sys, time
from hatchway.client.temporary_directory import temporary_directory

with temporary_directory(sys.argv[1]) as directory:
    (directory / "key").write_text("secret")
    print(directory, flush=True)
    time.sleep(600)
"""


def test_it_is_its_owners_alone_and_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    with temporary_directory(str(tmp_path)) as directory:
        assert directory.stat().st_mode & 0o777 == 0o700
        (directory / "key").write_text("secret")
    assert list(tmp_path.iterdir()) == []


def test_that_of_a_command_that_was_killed_is_removed_by_a_later_one_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = (Path(command.stdout.readline().strip()) for command in commands if command.stdout)
    try:
        for name in ("hatchway-mine", "hatchway-others"):
            # Of a name like theirs, but not marked as these are; and one that others may write.
            (tmp_path / name).mkdir(mode=0o700)
        (tmp_path / "hatchway-others" / "held-while-needed").touch()
        (tmp_path / "hatchway-others").chmod(0o777)
        (tmp_path / "hatchway-link").symlink_to(first)
        commands[0].kill()
        assert commands[0].wait() == -signal.SIGKILL
        kept = {second.name, "hatchway-mine", "hatchway-others", "hatchway-link"}

        def left() -> set[str]:
            with temporary_directory(str(tmp_path), tidies=True):
                pass
            return {path.name for path in tmp_path.iterdir()}

        # Whoever has only just made one may not have got the lock yet.
        assert left() == {first.name, *kept}
        now = time.time()
        monkeypatch.setattr("hatchway.client.temporary_directory.time.time", lambda: now + 3600)
        with temporary_directory(str(tmp_path)):
            assert left() >= kept
            assert not first.exists()
        assert (second / "key").read_text() == "secret"
        assert left() == kept
    finally:
        for command in commands:
            command.kill()
            command.communicate()
