"""`hatchway backup` and `hatchway restore`: from a server that runs to an empty machine."""

import json
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import COMMAND, environment
from tests.cli.conftest import Installed, Serve, create_endpoint
from tests.cli.test_account_commands import events_of
from tests.e2e.waiting import free_port
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.cli.main import app
from hatchway.errors import BadUsage, CommandFailed
from hatchway.installation import restore
from hatchway.installation.api_location import ApiLocation
from hatchway.installation.backup_set import content_of
from hatchway.settings import Address, DataDirectory
from hatchway.store import Store

KEYS = ("master.key", "gateway.key", "ca.key", "ca.pem", "server.pem")
HOST = "127.0.40.1"


def run(*arguments: object) -> None:
    """A command in this process; what it raises is what its process would end with."""
    app([str(argument) for argument in arguments], standalone_mode=False)


@pytest.fixture(scope="module")
def original(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory, with a backup of it beside."""
    data = tmp_path_factory.mktemp("backed-up") / "data"
    shutil.copytree(template, data)
    run("backup", data.parent / "backup", "--data-dir", data)
    return data


@pytest.fixture
def backed_up(original: Path, tmp_path: Path) -> Path:
    """A copy of that backup."""
    return shutil.copytree(original.parent / "backup", tmp_path / "backup")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """Where there is no data directory yet."""
    return tmp_path / "machine" / "data"


def refused(source: Path, directory: Path, *more: object) -> str:
    """What `restore` says, having left the directory as it was."""
    before = contents(directory)
    with pytest.raises(CommandFailed) as failure:
        run("restore", source, "--data-dir", directory, *more)
    assert contents(directory) == before
    return str(failure.value)


def contents(directory: Path) -> dict[str, bytes] | None:
    if not directory.exists():
        return None
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def rewrite(source: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes what a backup's list says."""
    path = source / "backup.json"
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))


def test_yesterdays_profile_opens_a_tunnel_on_an_empty_machine(
    installed: Installed, serve: Serve, tmp_path: Path
) -> None:
    api = f"127.0.0.1:{free_port()}"
    server = serve(installed, "--api", api)
    assert installed.run("access-key", "create", "alice", "--profile", "alice").returncode == 0
    create_endpoint(installed)
    run("backup", tmp_path / "backup", "--data-dir", installed.directory)
    assert server.stop() == 0
    # The server's disk is lost; its users' machines are not.
    shutil.rmtree(installed.directory)

    run("restore", tmp_path / "backup", "--data-dir", installed.directory)
    serve(installed, "--api", api)
    assert through_a_tunnel(installed) == b"hello from the host"


def through_a_tunnel(installed: Installed) -> bytes:
    """What a host says to alice, whose profile is all that she has."""

    def say_hello(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"hello from the host")

    with socket.create_server((HOST, 0)) as listening:
        host = threading.Thread(target=say_hello, args=[listening], daemon=True)
        host.start()
        port = str(listening.getsockname()[1])
        done = subprocess.run(
            [*COMMAND, "open-tunnel", "--profile", "alice", "--instance-id", "i-0123456789abcdef0",
             "--remote-port", port],
            env=environment(installed.variables), stdin=subprocess.DEVNULL, capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_restored_is_what_was_backed_up(original: Path, backed_up: Path, empty: Path) -> None:
    run("restore", backed_up, "--data-dir", empty)
    for name in KEYS:
        assert (empty / name).read_bytes() == (original / name).read_bytes()
    with closing(sqlite3.connect(empty / "hatchway.db")) as store:
        assert store.execute("SELECT count(*) FROM access_keys").fetchone() == (1,)
        assert store.execute("SELECT count(*) FROM users").fetchone() == (2,)


def test_only_the_owner_can_read_a_backup_and_what_is_restored_has_the_modes_of_init(
    original: Path, backed_up: Path, empty: Path
) -> None:
    assert set(modes(backed_up)) == {"hatchway.db", "backup.json", *KEYS}
    assert set(modes(backed_up).values()) == {0o600}
    assert stat.S_IMODE(backed_up.stat().st_mode) == 0o700
    run("restore", backed_up, "--data-dir", empty)
    assert modes(empty) == modes(original)
    assert stat.S_IMODE(empty.stat().st_mode) == 0o700


def test_a_restored_installation_does_not_claim_that_its_api_is_where_the_other_is(
    template: Path, tmp_path: Path, empty: Path
) -> None:
    data = shutil.copytree(template, tmp_path / "data")
    certificate = DataDirectory(data).server_certificate
    noted = ApiLocation.of(Address("10.0.1.9", 8443), "x", private_ca=True, certificate=certificate)
    noted.write(DataDirectory(data))
    run("backup", tmp_path / "backup", "--data-dir", data)
    run("restore", tmp_path / "backup", "--data-dir", empty)
    assert ApiLocation.read(DataDirectory(data)).url == "https://10.0.1.9:8443"
    assert not ApiLocation.read(DataDirectory(empty)).noted


def test_both_are_in_the_audit_trail(original: Path, backed_up: Path, empty: Path) -> None:
    (made,) = events_of(Installed(original, {}), "CreateBackup")
    assert made["requestParameters"] == {"directory": str(original.parent / "backup")}
    run("restore", backed_up, "--data-dir", empty)
    (restored,) = events_of(Installed(empty, {}), "RestoreBackup")
    assert str(backed_up) in json.dumps(restored["requestParameters"])
    secret = (original / "master.key").read_text().strip()
    assert secret not in json.dumps([made, restored])


def test_it_says_what_it_holds_and_what_not(
    installed: Installed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (installed.directory / "audit.jsonl").touch()
    (installed.directory / "own.pem").touch()
    run("backup", tmp_path / "backup", "--data-dir", installed.directory)
    told = capsys.readouterr().out
    assert "account 123456789012" in told
    assert all(name in told for name in ("hatchway.db", *KEYS))
    assert "Not included: audit.jsonl, because the store has all its events\n" in told
    assert "Not included: own.pem" in told
    run("backup", tmp_path / "again", "--data-dir", installed.directory, "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["account"], said["store"]) == ("123456789012", "sqlite")
    assert set(said["files"]) == {"hatchway.db", *KEYS}


def test_a_backup_overwrites_nothing(original: Path, backed_up: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = contents(backed_up)
    for target in (backed_up, original, tmp_path / "file"):
        with pytest.raises(CommandFailed, match="is not"):
            run("backup", target, "--data-dir", original)
    assert contents(backed_up) == before


def test_an_installation_that_could_not_be_restored_is_not_backed_up(
    installed: Installed, tmp_path: Path
) -> None:
    key = installed.directory / "ca.key"
    key.write_text(key.read_text().replace("A", "B"))
    with pytest.raises(CommandFailed, match="CA's certificate or key"):
        run("backup", tmp_path / "backup", "--data-dir", installed.directory)
    assert not (tmp_path / "backup").exists()


def test_a_restore_leaves_a_directory_that_is_not_empty(original: Path, backed_up: Path, empty: Path) -> None:
    assert "is not empty" in refused(backed_up, original)
    empty.mkdir(parents=True)
    (empty / "notes").write_text("mine")
    assert "it contains notes" in refused(backed_up, empty)


@pytest.mark.parametrize("name", ["hatchway.db", *KEYS])
@pytest.mark.parametrize("how", ["changed", "cut", "missing", "a link"])
def test_a_file_that_is_not_as_it_was_is_found_before_anything_is_written(
    backed_up: Path, empty: Path, tmp_path: Path, name: str, how: str
) -> None:
    file = backed_up / name
    content = file.read_bytes()
    match how:
        case "changed":
            file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        case "cut":
            file.write_bytes(content[:-1])
        case "missing":
            file.unlink()
        case _:
            file.rename(tmp_path / "elsewhere")
            file.symlink_to(tmp_path / "elsewhere")
    assert name in refused(backed_up, empty)
    assert not empty.parent.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda said: said.update(format=2), "a newer version of Hatchway"),
        (lambda said: said["files"].pop("master.key"), "does not include the master key"),
        (lambda said: said.update(owner="x\0"), "incomplete"),
        (lambda said: said.update(owner="\ud800"), "incomplete"),
        (lambda said: said.update(owner="x\x1b]0;y\x07"), "incomplete"),
        (lambda said: said.update(owner=""), "incomplete"),
        (lambda said: said.update(region=["us-east-1"]), "incomplete"),
        (lambda said: said.update(master_key="0" * 16), "master.key is damaged"),
        (lambda said: said.update(gateway_key="0" * 16), "gateway.key is damaged"),
        (lambda said: said.update(account="999999999999"), "another account"),
        (lambda said: said["files"].pop("hatchway.db"), "hatchway.db is not in it"),
        (lambda said: said["files"].update({"../passwd": said["files"]["ca.pem"]}), "is damaged"),
        (lambda said: said.pop("made_at"), "incomplete"),
        (lambda said: said.update(files=[]), "incomplete"),
        (lambda said: said.update(store="mysql"), "incomplete"),
        (lambda said: said.update(format="x"), "not the list"),
        (lambda said: said.update(store="postgresql"), "pg_restore"),
    ],
)
def test_a_list_that_cannot_be_right_is_told_of(
    backed_up: Path, empty: Path, change: Callable[[dict[str, Any]], object], says: str
) -> None:
    rewrite(backed_up, change)
    assert says in refused(backed_up, empty)


@pytest.mark.parametrize("text", ["", "{", "[" * 50_000, "\x00\xff", "x" * 70_000])
def test_a_list_that_is_none_is_told_of(backed_up: Path, empty: Path, text: str) -> None:
    (backed_up / "backup.json").write_text(text)
    assert "backup.json" in refused(backed_up, empty)


def test_a_directory_without_a_list_is_no_backup(backed_up: Path, empty: Path, tmp_path: Path) -> None:
    (backed_up / "backup.json").unlink()
    for source in (backed_up, tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(BadUsage, match="contains no backup"):
            run("restore", source, "--data-dir", empty)


def test_a_store_of_a_newer_schema_is_refused(backed_up: Path, empty: Path) -> None:
    with closing(sqlite3.connect(backed_up / "hatchway.db")) as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
        store.commit()
    as_it_is(backed_up)
    assert "newer version" in refused(backed_up, empty)


@pytest.mark.parametrize("name", ["t", "index_tags_of_vpcs_on_insert"])
def test_a_store_in_which_somebody_left_a_trigger_is_refused(backed_up: Path, empty: Path, name: str) -> None:
    with closing(sqlite3.connect(backed_up / "hatchway.db")) as store:
        store.execute(f"DROP TRIGGER IF EXISTS {name}")
        store.execute(
            f"CREATE TRIGGER {name} AFTER INSERT ON audit_records BEGIN DELETE FROM audit_records; END"
        )
        store.commit()
    as_it_is(backed_up)
    assert "it has a trigger" in refused(backed_up, empty)


def test_what_a_newer_program_made_of_a_store_of_this_ones_is_restored(
    backed_up: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # As before an upgrade, from which this is the way back. The user's name is none that a shell splits.
    rewrite(backed_up, lambda said: said.update(version="99.1.0", owner="x; id #"))
    run("restore", backed_up, "--data-dir", empty)
    assert f"chown -R 'x; id #:' {empty}" in capsys.readouterr().out


def test_a_store_of_an_older_schema_is_brought_to_this_programs(backed_up: Path, empty: Path) -> None:
    to_schema(backed_up / "hatchway.db", "0004")
    as_it_is(backed_up)
    run("restore", backed_up, "--data-dir", empty)
    with closing(Store.open(f"sqlite:///{empty}/hatchway.db")) as store:
        store.check_schema()


def test_an_older_installation_is_backed_up_before_the_new_program_serves_it(
    installed: Installed, tmp_path: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to_schema(installed.directory / "hatchway.db", "0004")
    run("backup", tmp_path / "backup", "--data-dir", installed.directory)
    said = capsys.readouterr().err
    assert "not recorded in the audit trail: the store still has the older schema 0004" in said
    assert json.loads((tmp_path / "backup" / "backup.json").read_text())["schema"] == "0004"
    with closing(sqlite3.connect(installed.directory / "hatchway.db")) as store:
        assert store.execute("SELECT version_num FROM alembic_version").fetchone() == ("0004",)


def to_schema(path: Path, revision: str) -> None:
    """Takes a store back to an older schema."""
    from alembic import command

    from hatchway.store.schema import _config

    with closing(Store.open(f"sqlite:///{path}")) as store, store.engine.connect() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
        connection.commit()
    with closing(sqlite3.connect(path)) as store_file:
        store_file.execute("PRAGMA journal_mode=DELETE")


def as_it_is(source: Path) -> None:
    """Makes a backup's list say of its store what that is."""
    store = asdict(content_of(source / "hatchway.db"))
    rewrite(source, lambda said: said["files"].update({"hatchway.db": store}))


def test_a_key_that_others_may_have_read_is_not_restored(backed_up: Path, empty: Path) -> None:
    (backed_up / "master.key").chmod(0o644)
    assert "chmod 600" in refused(backed_up, empty)


def test_a_master_key_of_the_environment_is_not_put_beside_what_it_opens(
    installed: Installed, tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    key = (installed.directory / "master.key").read_text().strip()
    monkeypatch.setenv("HATCHWAY_MASTER_KEY", key)
    run("backup", tmp_path / "backup", "--data-dir", installed.directory)
    assert "Not included: the master key, which is in HATCHWAY_MASTER_KEY" in capsys.readouterr().out
    assert not (tmp_path / "backup" / "master.key").exists()
    monkeypatch.delenv("HATCHWAY_MASTER_KEY")
    assert "HATCHWAY_MASTER_KEY" in refused(tmp_path / "backup", empty)
    monkeypatch.setenv("HATCHWAY_MASTER_KEY", "A" * 43 + "=")
    assert "is not the master key of the backup" in refused(tmp_path / "backup", empty)
    monkeypatch.setenv("HATCHWAY_MASTER_KEY", key)
    run("restore", tmp_path / "backup", "--data-dir", empty)
    assert not (empty / "master.key").exists()


@pytest.mark.parametrize("interruption", [SystemExit(143), OSError(28, "No space left on device")])
def test_a_restore_that_is_cut_short_leaves_nothing(
    backed_up: Path, empty: Path, monkeypatch: pytest.MonkeyPatch, interruption: BaseException
) -> None:
    def cut_short(*_arguments: object) -> None:
        raise interruption

    monkeypatch.setattr(restore, "_ready", cut_short)
    empty.mkdir(parents=True)
    with pytest.raises((SystemExit, CommandFailed)):
        run("restore", backed_up, "--data-dir", empty)
    assert contents(empty) == {}
    empty.rmdir()
    with pytest.raises((SystemExit, CommandFailed)):
        run("restore", backed_up, "--data-dir", empty)
    assert not empty.exists()


def test_what_a_killed_restore_has_left_is_taken_away_by_the_next(backed_up: Path, empty: Path) -> None:
    left = empty / ".unfinished-x"
    left.mkdir(parents=True)
    (left / "hatchway.db").write_text("half")
    run("restore", backed_up, "--data-dir", empty)
    assert set(modes(empty)) == {"hatchway.db", *KEYS}


def test_an_empty_file_system_is_empty(backed_up: Path, empty: Path) -> None:
    (empty / "lost+found").mkdir(parents=True)
    run("restore", backed_up, "--data-dir", empty)
    assert set(modes(empty)) == {"hatchway.db", "lost+found", *KEYS}


def test_root_gives_the_files_to_the_directorys_owner(
    backed_up: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    empty.mkdir(parents=True)
    os.chown(empty, owner, -1)
    run("restore", backed_up, "--data-dir", empty)
    assert {path.stat().st_uid for path in (empty, *empty.iterdir())} == {owner}
    assert "The files belong to " in capsys.readouterr().out


def test_a_backup_with_its_own_store_takes_no_other(backed_up: Path, empty: Path) -> None:
    assert "leave out --store-url" in refused(backed_up, empty, "--store-url", "sqlite:////x")


def test_of_a_store_in_postgresql_it_has_the_keys_and_says_so(
    tmp_path: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        url, other, none = (server.new_database() for _ in range(3))
        for directory, store_url in ((tmp_path / "data", url), (tmp_path / "other", other)):
            run("init", "--data-dir", directory, "--store-url", store_url)
        run("backup", tmp_path / "backup", "--data-dir", tmp_path / "data", "--store-url", url)
        assert "Not included: the store, which is the database" in capsys.readouterr().out
        assert set(modes(tmp_path / "backup")) == {"backup.json", *KEYS}

        assert "pg_restore" in refused(tmp_path / "backup", empty)
        assert "does not hold account" in refused(tmp_path / "backup", empty, "--store-url", other)
        assert "schema is empty" in refused(tmp_path / "backup", empty, "--store-url", none)
        run("restore", tmp_path / "backup", "--data-dir", empty, "--store-url", url)
        assert modes(empty) == modes(tmp_path / "data")
        with closing(Store.open(url)) as store, store.read() as tx:
            events = {event.event_name for event in tx.audit_records.find()}
        assert {"CreateBackup", "RestoreBackup"} <= events
