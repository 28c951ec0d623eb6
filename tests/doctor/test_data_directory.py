"""What is told of a data directory, and of a store that does not keep what was acknowledged."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.pki.test_certificates import as_version_2

from hatchway.doctor.data_directory import check_certificate_file, check_disk, check_files
from hatchway.doctor.findings import Status
from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.settings import DataDirectory

NOW = datetime.now(UTC)


def test_what_is_no_directory_is_said_to_be_none_and_is_not_to_be_changed(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.touch()
    (found,) = check_files(DataDirectory(file))
    assert (found.status, found.seen) == (Status.ERROR, f"{file} is not a directory")
    assert found.advice == "give the server's --data-dir"


def test_of_a_linked_file_its_target_is_what_is_to_be_changed_or_to_be_copied(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    target = tmp_path / "fullchain.pem"
    target.touch(mode=0o644)
    (directory / "server.pem").symlink_to(target)
    (found,) = check_files(DataDirectory(directory))
    assert found.status is Status.ERROR
    assert found.seen == (
        f"{directory}/server.pem is a link to {target}, which other users of this machine can access"
    )
    assert found.advice is not None and found.advice.startswith(f"chmod 600 {target}, unless somebody else")
    target.chmod(0o600)
    (found,) = check_files(DataDirectory(directory))
    assert found.status is Status.OK


@pytest.mark.parametrize(
    ("free", "status", "seen"),
    [
        (2 << 30, Status.OK, "2.0 GiB are free"),
        (500 << 20, Status.WARNING, "0.5 GiB are free"),
        (3 << 20, Status.ERROR, "the disk of {} is full: 3 MiB are free"),
    ],
)
def test_a_disk_on_which_nothing_can_be_recorded_is_an_error_and_one_with_little_room_a_warning(
    free: int, status: Status, seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=free))
    (found,) = check_disk(DataDirectory(tmp_path))
    assert found.status is status
    assert found.seen.startswith(seen.format(tmp_path))


@pytest.mark.parametrize(
    ("days_later", "seen"),
    [(0, []), (500, ["expired on"]), (-2, ["is not valid before"])],
    ids=["good", "ended", "early"],
)
def test_of_the_certificate_s_own_file_it_is_told_that_it_is_not_good_now(
    days_later: int, seen: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "server.pem"
    file.write_bytes(
        issue_server_certificate(create_ca("test", ["localhost"], NOW), ["localhost"], NOW).certificate
    )
    found = list(check_certificate_file(file, NOW + timedelta(days=days_later)))
    assert [finding.status for finding in found] == [Status.ERROR] * len(seen)
    assert all(words in finding.seen for words, finding in zip(seen, found, strict=True))


def test_of_a_certificate_s_file_that_cannot_be_read_nothing_else_is_told(tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    (missing,) = check_certificate_file(file, NOW)
    file.write_text("nothing")
    (damaged,) = check_certificate_file(file, NOW)
    assert missing.seen == f"{file}: No such file or directory"
    assert damaged.seen == f"{file} contains no valid PEM certificate"


def test_of_a_certificate_of_version_2_it_is_told_that_the_file_contains_none(tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    file.write_bytes(as_version_2(create_ca("test", ["localhost"], NOW).certificate))
    (found,) = check_certificate_file(file, NOW)
    assert found.seen == f"{file} contains no valid PEM certificate"
