"""Servers keep the data directory's secrets from others, and say so; what cannot be mended is one line."""

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.commands import environment, hatchway
from tests.cli.conftest import Installed, Serve
from tests.cli.test_user import python_for, user_group

from hatchway.errors import CommandFailed
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.installation import open_installation
from hatchway.installation.secret_files import (
    ensure_gateway_key,
    repair_modes,
    replace_private,
    restrict_to_root,
)
from hatchway.keys.key_files import new_key
from hatchway.settings import DataDirectory

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
FILES = ("hatchway.db", "hatchway.db-wal", "hatchway.db-shm", "server.pem")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    data = DataDirectory(tmp_path / "data")
    data.path.mkdir(mode=0o700)
    for name in FILES:
        (data.path / name).touch(mode=0o600)
    for path in (data.master_key, data.gateway_key, data.ca_key):
        new_key(path)
    return data


def test_what_is_as_it_should_be_is_left_alone(directory: DataDirectory) -> None:
    before = {path: path.stat() for path in directory.path.iterdir()}
    assert repair_modes(directory) == []
    assert {path: path.stat() for path in directory.path.iterdir()} == before


def test_a_directory_and_files_that_are_open_are_closed_and_told(directory: DataDirectory) -> None:
    directory.path.chmod(0o777)
    for name in FILES:
        (directory.path / name).chmod(0o644)
    told = repair_modes(directory)
    assert told[0] == f"{directory.path} was accessible to others (mode 0777); its mode is now 0750"
    assert [line.split()[0] for line in told[1:]] == [str(directory.path / name) for name in FILES]
    assert {mode(directory.path / name) for name in FILES} == {0o600}
    assert mode(directory.path) == 0o750
    assert repair_modes(directory) == []


def test_through_a_link_nothing_is_changed(directory: DataDirectory, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.touch(mode=0o644)
    precious.chmod(0o644)
    directory.server_certificate.unlink()
    directory.server_certificate.symlink_to(precious)
    directory.master_key.unlink()
    directory.master_key.symlink_to(precious)
    owner = precious.stat().st_uid
    assert repair_modes(directory) == []
    if os.geteuid() == 0:
        restrict_to_root("nobody", directory)
    assert (mode(precious), precious.stat().st_uid) == (0o644, owner)


def test_a_file_in_place_of_the_directory_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(CommandFailed, match="is not a directory"):
        repair_modes(DataDirectory(tmp_path / "data"))


def test_a_gateway_key_is_made_where_there_is_none_and_never_twice(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HATCHWAY_GATEWAY_KEY", raising=False)
    before = directory.gateway_key.read_bytes()
    assert not ensure_gateway_key(directory)
    assert directory.gateway_key.read_bytes() == before
    directory.gateway_key.unlink()
    assert ensure_gateway_key(directory)
    assert mode(directory.gateway_key) == 0o600
    assert directory.gateway_key.stat().st_nlink == 1
    assert {path.name for path in directory.path.iterdir()} == {*FILES, "master.key", "gateway.key", "ca.key"}
    directory.gateway_key.unlink()
    monkeypatch.setenv("HATCHWAY_GATEWAY_KEY", "whatever")
    assert not ensure_gateway_key(directory)
    assert not directory.gateway_key.exists()


@root_only
def test_the_keys_that_gateways_must_not_have_become_roots_own(directory: DataDirectory) -> None:
    for path in (directory.path, *directory.path.iterdir()):
        shutil.chown(path, "nobody")
    told = restrict_to_root("nobody", directory)
    assert [line.split()[0] for line in told] == [str(directory.master_key), str(directory.ca_key)]
    owners = {path.name: path.owner() for path in directory.path.iterdir()}
    assert {name for name, owner in owners.items() if owner == "root"} == {"master.key", "ca.key"}
    assert restrict_to_root("nobody", directory) == []
    assert restrict_to_root("root", directory) == []


def test_a_server_mends_its_directory_and_says_so(installed: Installed, serve: Serve, tmp_path: Path) -> None:
    installed.directory.chmod(0o755)
    (installed.directory / "hatchway.db").chmod(0o666)
    server = serve(installed)
    log = (tmp_path / "server-0.log").read_text()
    assert log.count("data directory mended") >= 2
    assert mode(installed.directory) == 0o750
    assert mode(installed.directory / "hatchway.db") == 0o600
    assert server.stop() == 0


def test_an_installation_from_before_there_was_a_gateway_key_gets_one(
    installed: Installed, serve: Serve
) -> None:
    (installed.directory / "gateway.key").unlink()
    server = serve(installed)
    assert mode(installed.directory / "gateway.key") == 0o600
    assert server.stop() == 0
    with sqlite3.connect(installed.directory / "hatchway.db") as store:
        names = [name for (name,) in store.execute("SELECT event_name FROM audit_records")]
    assert names.count("CreateGatewayKey") == 1


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "an open master key": (lambda data: (data / "master.key").chmod(0o644), "chmod 600"),
    "an open gateway key": (lambda data: (data / "gateway.key").chmod(0o644), "chmod 600"),
    "an open CA key": (lambda data: (data / "ca.key").chmod(0o644), "chmod 600"),
    "no gateway key": (lambda data: lost(data / "gateway.key"), "hatchway gateway-key create"),
    "no master key": (lambda data: (data / "master.key").unlink(), "restore"),
    "no CA key": (lambda data: (data / "ca.key").unlink(), "ca.key"),
    "a short master key": (lambda data: (data / "master.key").write_text("c2hvcnQ="), "32 bytes"),
    "another installation's master key": (
        lambda data: another(data / "master.key"),
        "does not belong to this store",
    ),
    "an empty gateway key": (lambda data: (data / "gateway.key").write_text(""), "remove the file and run"),
    "a newer store": (lambda data: newer(data / "hatchway.db"), "install the newer version again"),
    "a damaged CA key": (lambda data: (data / "ca.key").write_text("x"), "damaged"),
    "a link for a master key": (lambda data: link(data / "master.key"), "symbolic link"),
    "a link for a gateway key": (lambda data: link(data / "gateway.key"), "symbolic link"),
    "a link for a CA key": (lambda data: link(data / "ca.key"), "symbolic link"),
    "a damaged certificate": (lambda data: (data / "ca.pem").write_text("x"), "damaged"),
    "a directory for a key": (lambda data: replaced(data / "gateway.key"), "not a regular file"),
    "a store that is none": (lambda data: (data / "hatchway.db").write_text("x" * 5000), "not a database"),
    "no store": (lambda data: (data / "hatchway.db").unlink(), "no store"),
}


def lost(gateway_key: Path) -> None:
    """After a server has run."""
    with open_installation(DataDirectory(gateway_key.parent), None, migrate=True):
        gateway_key.unlink()


def link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def another(key: Path) -> None:
    key.unlink()
    new_key(key)


def newer(path: Path) -> None:
    with sqlite3.connect(path) as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")


def replaced(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_directory_that_cannot_be_served_is_told_of_in_a_line(spoilt: str, installed: Installed) -> None:
    spoil, words = SPOILT[spoilt]
    spoil(installed.directory)
    # As if the certificate were due: so that the CA is asked.
    (installed.directory / "server.pem").unlink()
    done = installed.run("serve", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
    assert done.returncode in {1, 2}
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("hatchway: ")]
    assert words in line
    assert "Traceback" not in done.stderr


def test_without_the_ca_s_key_a_server_starts_when_another_ca_is_made(
    installed: Installed, serve: Serve
) -> None:
    (installed.directory / "ca.key").unlink()
    refused = installed.run("serve", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
    assert "'hatchway ca rotate --step add' creates another CA" in refused.stderr
    assert installed.run("ca", "rotate", "--step", "add").returncode == 0
    assert serve(installed).stop() == 0


def test_a_gateway_without_a_certificate_is_told_how_it_gets_one(installed: Installed) -> None:
    (installed.directory / "server.pem").unlink()
    refused = installed.run("gateway", "--gateway", "127.0.0.1:0")
    assert refused.returncode == 1
    assert "there is no certificate" in refused.stderr and "(hatchway join)" in refused.stderr


def test_under_another_installations_master_key_nothing_is_sealed(installed: Installed) -> None:
    another(installed.directory / "master.key")
    before = (installed.directory / "hatchway.db").read_bytes()
    done = installed.run("access-key", "create", "bob")
    assert (done.returncode, done.stdout) == (1, "")
    assert "opens none of its secrets: check that" in done.stderr
    assert (installed.directory / "hatchway.db").read_bytes() == before
    variables = {**installed.variables, "HATCHWAY_MASTER_KEY": "A" * 43 + "="}
    done = hatchway("export", variables=variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert "in environment variable HATCHWAY_MASTER_KEY does not belong to this store" in done.stderr


@root_only
@pytest.mark.parametrize("command", ["init", "serve", "control", "gateway", "apply"])
def test_another_user_is_told_as_whom_to_run_it(command: str, installed: Installed) -> None:
    arguments = {
        "apply": ["apply", "/dev/null"],
        "gateway": ["gateway", "--gateway", "127.0.0.1:0"],
    }.get(command, [command])
    found = python_for("nobody")
    if found is None:
        pytest.skip("nobody can run no Python that is here")
    program, variables = found
    done = subprocess.run(
        [*program, *arguments],
        env={**environment(installed.variables), **variables}, cwd="/", user="nobody",
        group=user_group("nobody"), extra_groups=[], capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode in {1, 2}, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("hatchway: ")]
    assert any(words in line for words in ("ermission denied", "cannot be read", "run this as root"))


def test_the_master_key_in_a_gateways_environment_is_complained_of(installed: Installed) -> None:
    variables = {**installed.variables, "HATCHWAY_MASTER_KEY": "c2VjcmV0", "HATCHWAY_GATEWAY_KEY": "short"}
    done = hatchway("gateway", "--gateway", "127.0.0.1:0", variables=variables)
    assert done.returncode == 1
    assert "gateways have no use for the master key" in done.stderr
    assert "the gateway key in environment variable HATCHWAY_GATEWAY_KEY is damaged" in done.stderr
    assert "c2VjcmV0" not in done.stderr


@root_only
def test_a_gateway_key_that_becomes_a_link_while_it_is_made_gives_nothing_of_root_s_away(
    directory: DataDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is its owner's, who may be a server in wrong hands."""
    shadow = tmp_path / "shadow"
    shadow.touch(mode=0o600)
    directory.gateway_key.unlink()
    os.chown(directory.path, 65_534, 65_534)
    on_the_disk = os.fsync

    def and_then_swapped(descriptor: int) -> None:
        on_the_disk(descriptor)
        for number, made in enumerate(directory.path.glob(".gateway*")):
            is_directory = made.is_dir()
            made.rename(directory.path / f"away-{number}")
            if is_directory:
                made.mkdir()
            link = made / "gateway.key" if is_directory else made
            link.symlink_to(shadow)

    monkeypatch.setattr(os, "fsync", and_then_swapped)
    ensure_gateway_key(directory)
    status = shadow.lstat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 0, 0o600)


def test_what_is_put_in_place_has_its_mode_and_follows_no_link(
    directory: DataDirectory, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    precious.chmod(0o600)
    for name in ("ca.pem.new", "api.new", "api.json.new"):
        (directory.path / name).symlink_to(precious)
    replace_private(directory.ca_certificate, b"CA", 0o644)
    location = ApiLocation(url="https://x", everywhere=False, private_ca=True, certificate=None)
    location.write(directory)
    assert (mode(directory.ca_certificate), mode(directory.api_location)) == (0o644, 0o644)
    assert (precious.read_text(), mode(precious)) == ("precious", 0o600)
    assert ApiLocation.read(directory).url == "https://x"
