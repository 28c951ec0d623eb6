"""What root does in a directory of somebody else's, who puts other things there meanwhile."""

import os
from pathlib import Path

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
