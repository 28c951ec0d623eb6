"""`hatchway store copy`, as an administrator runs it."""

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.conftest import Installed

from hatchway.store import Store


def test_a_store_is_copied_with_an_event_of_it_and_the_copy_is_served(
    installed: Installed, tmp_path: Path
) -> None:
    source, target = installed.directory / "hatchway.db", tmp_path / "copy.db"
    urls = f"sqlite:///{source}", f"sqlite:///{target}"
    done = installed.run("store", "copy", *urls)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        f"Account 123456789012 is now in {target}. Each table has as many rows as in {source}" in done.stdout
    )
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(Store.open(urls[1])) as store, store.read() as tx:
        (event,) = [each for each in tx.audit_records.find() if each.event_name == "CopyStore"]
    body = json.loads(event.body)
    assert body["requestParameters"] == {"from": str(source), "to": str(target)}
    assert body["responseElements"]["rows"] > 10
    listed = installed.run(
        "access-key", "list", "--data-dir", str(installed.directory), "--store-url", urls[1], "--json"
    )
    assert listed.returncode == 0, listed.stderr
    back = tmp_path / "back.db"
    told = json.loads(installed.run("store", "copy", urls[1], f"sqlite:///{back}", "--json").stdout)
    assert told["tables"]["accounts"]["rows"] == 1
    assert told["went_on"] is False


def test_a_copy_that_is_finished_is_compared_again_and_said_to_be_whole(
    installed: Installed, tmp_path: Path
) -> None:
    urls = f"sqlite:///{installed.directory}/hatchway.db", f"sqlite:///{tmp_path}/copy.db"
    first = installed.run("store", "copy", *urls)
    again = installed.run("store", "copy", *urls)
    assert (again.returncode, again.stderr) == (0, "")
    already, *same = again.stdout.splitlines()
    assert already.startswith("Already copied at 20")
    told = {line for line in first.stdout.splitlines() if not line.startswith(("  feed", "  tombstones"))}
    assert set(same) == told
    assert json.loads(installed.run("store", "copy", *urls, "--json").stdout)["finished_at"] in already
    used = ("store", "retention", "400d", "--data-dir", str(installed.directory), "--store-url", urls[1])
    assert installed.run(*used).returncode == 0
    since = installed.run("store", "copy", *urls)
    assert (since.returncode, since.stdout) == (1, "")
    assert len(since.stderr.splitlines()) == 1
    assert "is a copy of" in since.stderr
    assert "If servers run on the copy, all is done" in since.stderr


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("sqlite:///{d}/none.db", "sqlite:///{t}/copy.db", "there is no store {d}/none.db"),
        ("sqlite:///{d}/hatchway.db", "sqlite:///{t}/no/copy.db", "there is no directory {t}/no"),
        ("sqlite:///{d}/hatchway.db", "sqlite:///{d}/hatchway.db", "both are the same store"),
        ("sqlite:///{d}/hatchway.db", "mysql://u:secret@h/n", "TO: the store's URL is of no database"),
        ("nothing", "sqlite:///{t}/copy.db", "FROM: the store's URL cannot be read"),
        ("sqlite:///{d}/ca.pem", "sqlite:///{t}/copy.db", "the store is damaged: restore it from a backup"),
        ("sqlite:///{d}/hatchway.db", "sqlite:///{d}/ca.pem", "the store is damaged"),
        ("sqlite:///{d}/hatchway.db", "sqlite:///{t}", "the store cannot be opened"),
        (
            "sqlite:///{d}/hatchway.db",
            "postgresql://u:secret@127.0.0.1:1/n",
            "127.0.0.1:1: connection",
        ),
    ],
)
def test_what_cannot_be_copied_is_told_in_a_line(
    installed: Installed, tmp_path: Path, source: str, target: str, told: str
) -> None:
    places = {"d": str(installed.directory), "t": str(tmp_path)}
    done = installed.run("store", "copy", source.format(**places), target.format(**places))
    assert done.returncode in {1, 2}
    assert told.format(**places) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "secret" not in done.stderr


def test_of_a_store_that_is_served_it_is_said_what_to_do(installed: Installed, tmp_path: Path) -> None:
    source = f"sqlite:///{installed.directory}/hatchway.db"
    with closing(Store.open(source)) as served, served.read() as tx:
        assert tx.accounts.count() == 1
        done = installed.run("store", "copy", source, f"sqlite:///{tmp_path}/copy.db")
    assert done.returncode == 1
    assert "hatchway.db is in use: stop all servers and commands" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_how_long_events_are_kept_is_said_on_the_server_and_is_an_event(installed: Installed) -> None:
    store = installed.directory / "hatchway.db"

    def retention(*arguments: str) -> str:
        done = installed.run("store", "retention", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert retention() == "Events are kept for ever\n"
    told = retention("1d")
    assert told.startswith("Events are kept for 1 day\nUntil 20")
    assert "UTC what was to be kept before stays, for ever: to take it back, give the former" in told
    assert retention("400d") == retention("400d")
    assert retention("400d", "--at-once") == "Events are kept for 400 days\n"
    with closing(sqlite3.connect(store)) as connection, connection:
        for table in ("audit_records", "audit_unexported"):
            connection.execute(f"UPDATE {table} SET event_time = '2020-01-01 00:00:00.000000'")
        one = "SELECT max(event_id) FROM audit_unexported"
        connection.execute(f"DELETE FROM audit_unexported WHERE event_id = ({one})")
        ((number,),) = connection.execute("SELECT count(*) FROM audit_records")
    assert retention() == (
        "Events are kept for 400 days\nOlder ones, which go: 1\n"
        f"Older ones that stay, as they are in no audit.jsonl yet: {number - 1} (where servers run with"
        " --audit-file off, give --unexported-too)\n"
    )
    assert f"which go: {number}\n" in retention("400d", "--unexported-too")
    told = json.loads(retention("forever", "--json"))
    assert (told["days"], told["older"], told["deleted_before"]) == (None, 0, None)
    with closing(Store.open(f"sqlite:///{store}")) as opened, opened.read() as tx:
        events = [json.loads(each.body) for each in tx.audit_records.find(event_name="SetAuditRetention")]
    said = sorted(each["requestParameters"]["retention"] for each in events)
    assert said == ["1d", "400d", "400d", "400d", "forever"]
    for wrong in ("4", "0d", "400h", "99999d"):
        assert installed.run("store", "retention", wrong).returncode == 2
    for option in ("--unexported-too", "--at-once"):
        assert f"{option}: say for how long" in installed.run("store", "retention", option).stderr
