"""A store that goes back is noticed, by whatever means somebody has restored it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text
from tests.store.migrated import write_migrated_database
from tests.store.postgresql_server import server_programs
from tests.store.test_store import schema

from hatchway.access.signing_keys import SigningKeys
from hatchway.domain.identity import User
from hatchway.keys.vault import Vault
from hatchway.store import BEGINNING, BeingRestored, Position, SchemaWatch, Store, copy_store, explain
from hatchway.store.sqlite_file import ForeignLog

NOW = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)


def put(store: Store, *names: str) -> Position:
    """Makes each user by a change of its own; where the store is then."""
    for name in names:
        with store.write() as tx:
            tx.users.put(User(name=name, id=f"AIDA{name.upper()}", path="/", created_at=NOW))
    return store.position()


def users(store: Store) -> list[str]:
    return [user.name for user in store.changes().changed["users"]]


def postgresql_tool(name: str, *arguments: str) -> None:
    programs = server_programs()
    assert programs is not None
    subprocess.run([programs / name, *arguments], check=True, capture_output=True)


def plain_url(store: Store) -> str:
    return store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.fixture
def back_up(store: Store, tmp_path: Path) -> Callable[[], Callable[[], None]]:
    """Backs up by the database's own means; what it gives restores that while the store is in use."""
    backup = tmp_path / "backup"

    def of_sqlite() -> Callable[[], None]:
        copy_store(store, backup)
        path = Path(str(store.engine.url.database))

        def restore() -> None:
            for name in ("-wal", "-shm"):
                Path(f"{path}{name}").unlink()
            backup.replace(path)

        return restore

    def of_postgresql() -> Callable[[], None]:
        postgresql_tool("pg_dump", "-Fc", "-f", str(backup), plain_url(store))
        return lambda: postgresql_tool("pg_restore", "--clean", "-d", plain_url(store), str(backup))

    return of_sqlite if store.is_sqlite else of_postgresql


@pytest.mark.parametrize("since_then", [0, 1, 2, 3])
def test_a_store_that_was_restored_is_read_anew_whatever_its_revision_has_become(
    store: Store, back_up: Callable[[], Callable[[], None]], since_then: int
) -> None:
    kept = put(store, "alice")
    restore = back_up()
    lost = put(store, "bob", "carol")
    assert not store.changes(kept).everything
    restore()
    # With two changes the revision is what it was, and with three it is past that.
    others = [f"other{number}" for number in range(since_then)]
    now = put(store, *others)
    changes = store.changes(lost)
    assert (changes.restored, changes.everything, changes.position) == (True, True, now)
    assert [user.name for user in changes.changed["users"]] == ["alice", *others]
    # Who has seen nothing of what is lost goes on from where he was.
    changes = store.changes(kept)
    assert (changes.restored, changes.everything) == (False, False)
    assert [user.name for user in changes.changed["users"]] == others
    with store.read() as tx:
        assert tx.touched(lost, ["vpcs"])
        assert not tx.follows(lost)
        assert tx.follows(kept)
        assert not tx.touched(kept, ["vpcs"])


def test_what_is_restored_by_half_is_not_read_until_it_is_whole(
    migrated_postgresql: Callable[[], str], postgresql: Callable[[], str], tmp_path: Path
) -> None:
    backup = str(tmp_path / "backup")
    with closing(Store.open(migrated_postgresql())) as store:
        seen = put(store, "alice")
        put(store, "bob")
        postgresql_tool("pg_dump", "-Fc", "-f", backup, plain_url(store))
    with closing(Store.open(postgresql())) as store:
        for section in ("pre-data", "data"):
            postgresql_tool("pg_restore", f"--section={section}", "-d", plain_url(store), backup)
        for since in (BEGINNING, seen):
            with pytest.raises(BeingRestored) as raised:
                store.changes(since)
            assert "restored" in str(explain(raised.value))
        master, gateway = Vault(bytes(32)), Vault(b"g" * 32)
        keys = SigningKeys(store, master, gateway, clock=lambda: NOW, region="eu-central-1")
        with pytest.raises(BeingRestored):
            keys.refresh()
        # Nor is it migrated, or served by whoever runs already.
        with pytest.raises(BeingRestored):
            store.migrate()
        watch = SchemaWatch(store)
        watch.look()
        with pytest.raises(BeingRestored), store.only_when(watch.require).write():
            pytest.fail("it was written")
        postgresql_tool("pg_restore", "--section=post-data", "-d", plain_url(store), backup)
        watch.look()
        assert watch.fits
        assert users(store) == ["alice", "bob"]


def test_a_new_epoch_is_another_store_for_everybody(store: Store) -> None:
    seen = put(store, "alice")
    with store.write() as tx:
        tx.begin_epoch()
    now = store.position()
    # Those who know of no marks see a revision that is past theirs, and that nothing before it is known.
    with store.read() as tx:
        assert now.revision == tx.floor() > seen.revision + 1_000_000_000
    changes = store.changes(seen)
    assert (changes.restored, changes.everything, changes.position) == (True, True, now)
    after = put(store, "bob")
    assert after.revision == now.revision + 1
    assert not store.changes(now).everything
    with store.write() as tx:
        tx.begin_epoch()
    assert store.changes(after).restored


def test_who_was_away_for_long_has_not_seen_another_store(store: Store) -> None:
    seen = put(store, "alice")
    now = put(store, "bob", "carol")
    with store.write() as tx:
        tx.forget_deletions(now.revision)
    changes = store.changes(seen)
    assert (changes.restored, changes.everything) == (False, True)
    assert not store.changes(now).everything


def test_where_the_store_is_has_a_mark_however_much_is_forgotten(store: Store) -> None:
    now = put(store, "alice")
    with store.write() as tx:
        tx.forget_deletions(now.revision + 1)
    assert store.position() == now
    assert now.mark


def test_each_revision_has_its_mark_even_by_a_program_that_knows_of_none(store: Store) -> None:
    put(store, "alice")
    schema(store, command.downgrade, "0024")
    revision = store.revision()
    store.migrate()
    migrated = store.position()
    assert (migrated.revision, bool(migrated.mark)) == (revision, True)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE feed SET revision = revision + 1"))
    by_hand = store.position()
    assert by_hand.revision == revision + 1
    assert by_hand.mark not in ("", migrated.mark)
    changes = store.changes(migrated)
    assert (changes.everything, changes.deleted) == (False, {})


@pytest.fixture
def in_a_file(tmp_path: Path) -> Iterator[Store]:
    write_migrated_database(tmp_path / "hatchway.db")
    with closing(Store.open(f"sqlite:///{tmp_path}/hatchway.db")) as opened:
        yield opened


def test_a_copy_put_beside_the_log_of_what_was_there_is_not_used(in_a_file: Store, tmp_path: Path) -> None:
    put(in_a_file, "alice")
    copy_store(in_a_file, tmp_path / "copy.db")
    put(in_a_file, "bob")
    path = tmp_path / "hatchway.db"
    shutil.copy(tmp_path / "copy.db", tmp_path / "aside.db")
    (tmp_path / "aside.db").replace(path)
    for use in (in_a_file.position, lambda: put(in_a_file, "carol"), in_a_file.changes):
        with pytest.raises(ForeignLog) as raised:
            use()
    told = str(explain(raised.value))
    assert "hatchway.db-wal" in told
    # Nothing of it was written.
    assert path.read_bytes() == (tmp_path / "copy.db").read_bytes()
    # As it says:
    in_a_file.close()
    for name in ("-wal", "-shm"):
        Path(f"{path}{name}").unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "copy.db", path)
    with closing(Store.open(f"sqlite:///{path}")) as other:
        assert users(other) == ["alice"]
        put(other, "dave")
        assert users(other) == ["alice", "dave"]


def test_looking_at_the_file_takes_no_lock_of_sqlites_away(in_a_file: Store) -> None:
    put(in_a_file, "alice")
    path = Path(str(in_a_file.engine.url.database))
    for _ in range(3):
        in_a_file.position()
    # Whoever closes it last takes the log away; this process still has it open.
    program = (
        f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute('SELECT * FROM feed'); c.close()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert Path(f"{path}-wal").exists()
    put(in_a_file, "bob")
    assert users(in_a_file) == ["alice", "bob"]
