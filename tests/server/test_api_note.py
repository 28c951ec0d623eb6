"""Where the API is, for commands, when several control planes run on one data directory."""

import errno
import fcntl
import json
from contextlib import closing
from pathlib import Path

import pytest
from tests.e2e.waiting import wait_until

from hatchway.installation.api_location import ApiLocation
from hatchway.server.api_note import ApiNote
from hatchway.settings import Address, DataDirectory


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    return DataDirectory(tmp_path)


def _note(directory: DataDirectory, port: int) -> ApiNote:
    certificate = directory.server_certificate
    at = Address("127.0.0.1", port)
    return ApiNote(ApiLocation.of(at, "localhost", private_ca=True, certificate=certificate), directory)


def _noted(directory: DataDirectory) -> str:
    return ApiLocation.read(directory).url


def test_a_second_control_plane_leaves_the_note_of_the_first_and_notes_its_own_when_that_has_ended(
    directory: DataDirectory,
) -> None:
    first, second = _note(directory, 8443), _note(directory, 9443)
    first.put()
    with closing(second):
        second.put()
        assert _noted(directory) == "https://127.0.0.1:8443"
        first.close()
        wait_until(lambda: _noted(directory) == "https://127.0.0.1:9443")


def test_processes_of_one_api_hold_their_note_together(directory: DataDirectory) -> None:
    first, beside, other = _note(directory, 8443), _note(directory, 8443), _note(directory, 9443)
    first.put()
    beside.put()
    first.close()
    with closing(other), closing(beside):
        other.put()
        assert _noted(directory) == "https://127.0.0.1:8443"


def test_a_note_that_somebody_deletes_is_put_there_again_by_whoever_waits(directory: DataDirectory) -> None:
    first, second = _note(directory, 8443), _note(directory, 9443)
    first.put()
    with closing(second):
        second.put()
        directory.api_location.unlink()
        first.close()
        wait_until(lambda: _noted(directory) == "https://127.0.0.1:9443")


@pytest.mark.parametrize("left", ["", "{", json.dumps({"url": "https://127.0.0.1:1", "private_ca": True})])
def test_a_note_whose_server_is_gone_is_replaced_at_once(directory: DataDirectory, left: str) -> None:
    directory.api_location.write_text(left)
    with closing(_note(directory, 9443)) as note:
        note.put()
        assert _noted(directory) == "https://127.0.0.1:9443"


def test_a_link_in_the_place_of_the_note_is_replaced_and_not_followed(directory: DataDirectory) -> None:
    directory.api_location.symlink_to("elsewhere")
    with closing(_note(directory, 9443)) as note:
        note.put()
    assert _noted(directory) == "https://127.0.0.1:9443"
    assert not (directory.path / "elsewhere").exists()


@pytest.mark.parametrize("problem", [errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_the_file_system_has_no_locks_each_one_notes_its_own(
    directory: DataDirectory, problem: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(problem, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    for port in (8443, 9443, 9443):
        _note(directory, port).put()
        assert _noted(directory) == f"https://127.0.0.1:{port}"
