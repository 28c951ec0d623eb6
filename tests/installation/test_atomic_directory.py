"""Directories that are filled whole or not at all: by who is killed, and by root in somebody else's, who puts
other things there meanwhile."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hatchway.errors import CommandFailed
from hatchway.installation.atomic_directory import filled_directory, replaced_files

SERVER = (65_534, 65_534)
"""The user and group as which servers run."""

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(made, *SERVER)
    return made


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A directory of root's, such as /etc."""
    made = tmp_path / "precious"
    made.mkdir()
    (made / "shadow").write_text("root")
    return made


def is_as_it_was(precious: Path) -> bool:
    status = (precious / "shadow").stat()
    return (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid()) and len([*precious.iterdir()]) == 1


def swap(directory: Path, target: Path) -> None:
    """What the directory's owner may do: give a new directory another name, and put a link there."""
    (aside,) = directory.glob(".unfinished-*")
    aside.rename(directory / "away")
    aside.symlink_to(target)


@root_only
def test_files_come_into_their_places_although_the_directory_of_new_ones_became_a_link(
    directory: Path, precious: Path
) -> None:
    with replaced_files(directory, last="b", keeps="", instead_of=()) as aside:
        (aside / "a").write_text("1")
        swap(directory, precious)
        (aside / "b").write_text("2")
    assert is_as_it_was(precious)
    for name, text in (("a", "1"), ("b", "2")):
        status = (directory / name).stat()
        assert ((directory / name).read_text(), (status.st_uid, status.st_gid)) == (text, SERVER)


@root_only
def test_nothing_but_what_was_made_is_given_away_when_a_directory_is_filled(
    directory: Path, precious: Path
) -> None:
    with filled_directory(directory, last="b", owner=SERVER) as aside:
        (aside / "b").write_text("2")
        swap(directory, precious)
    assert is_as_it_was(precious)
    assert (directory / "b").read_text() == "2"


@pytest.mark.parametrize("kind", ["link", "hard link", "directory", "pipe"])
def test_what_is_no_file_of_its_own_is_not_put_in_place(kind: str, directory: Path, precious: Path) -> None:
    shadow = precious / "shadow"

    def put(x: Path) -> None:
        match kind:
            case "link":
                x.symlink_to(shadow)
            case "hard link":
                x.hardlink_to(shadow)
            case "directory":
                x.mkdir()
            case _:
                os.mkfifo(x)

    with (
        pytest.raises((CommandFailed, OSError)),
        filled_directory(directory, last="b", owner=None) as aside,
    ):
        put(aside / "x")
    assert not (directory / "x").exists()
    assert is_as_it_was(precious)


def fill(directory: Path, content: str, *, keeps: str = "") -> None:
    with filled_directory(directory, last="c", keeps=keeps) as aside:
        for name in ("a", "b", "c"):
            (aside / name).write_text(content)


def killed(directory: Path, monkeypatch: pytest.MonkeyPatch, function: str, times: int) -> None:
    """Fills a directory in a process that is killed when it calls a function once more than so many times."""
    child = os.fork()
    if child == 0:
        left = [times]

        def kill_at_last(real: Callable[..., Any]) -> Callable[..., Any]:
            def called(*arguments: Any, **named: Any) -> Any:
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(*arguments, **named)

            return called

        try:
            monkeypatch.setattr(os, function, kill_at_last(getattr(os, function)))
            fill(directory, "killed", keeps=".unfinished-mine")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("function", "times"),
    [("rename", 0), ("rename", 1), ("rename", 2), *(("fsync", times) for times in range(5))],
)
def test_what_a_killed_command_has_put_into_its_place_the_next_takes_away(
    function: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / ".unfinished-mine").write_text("key")
    killed(directory, monkeypatch, function, times)
    if (function, times) == ("fsync", 4):
        # All was in its place.
        with pytest.raises(CommandFailed, match="it contains a, b, c"):
            fill(directory, "2", keeps=".unfinished-mine")
        return
    fill(directory, "2", keeps=".unfinished-mine")
    found = {path.name: path.read_text() for path in directory.iterdir()}
    assert found == {"a": "2", "b": "2", "c": "2", ".unfinished-mine": "key"}


def test_a_killed_command_that_takes_away_what_another_has_left_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    killed(directory, monkeypatch, "rename", 2)
    killed(directory, monkeypatch, "unlink", 1)
    fill(directory, "2")
    assert sorted(path.name for path in directory.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "noted", [b"../precious/shadow\n/etc/hostname\n..\n.\n\nb\n", b"\xff\n\0", b"x\n" * 4000, b""]
)
def test_nothing_else_is_taken_away_whatever_was_noted(noted: bytes, directory: Path, precious: Path) -> None:
    left = directory / ".unfinished-x"
    left.mkdir()
    (left / ".names").write_bytes(noted)
    (directory / "mine").write_text("1")
    with pytest.raises(CommandFailed, match="it contains mine"):
        fill(directory, "2")
    (directory / "mine").unlink()
    fill(directory, "2")
    assert is_as_it_was(precious)
    assert sorted(path.name for path in directory.iterdir()) == ["a", "b", "c"]
