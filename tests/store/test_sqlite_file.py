"""What is done by hand to SQLite's file while it is in use is noticed, and what SQLite does is none of it.

Of a file that another took the place of, `test_feed` has more.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.store.change_feed.test_feed import put, users
from tests.store.migrated import write_migrated_database

from hatchway.store import Store
from hatchway.store.copying.copies import copy_store
from hatchway.store.problems import explain
from hatchway.store.sqlite_file import Commits, FileMisused, LogTaken, Overwritten, _open_index


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_migrated_database(tmp_path / "hatchway.db")
    return tmp_path / "hatchway.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store.open(f"sqlite:///{path}")) as opened:
        put(opened, "alice")
        copy_store(opened, path.with_name("copy.db"))
        put(opened, "bob")
        yield opened


def by_another_process(path: Path, *statements: str) -> None:
    program = (
        f"import sqlite3; c = sqlite3.connect({str(path)!r}, isolation_level=None, timeout=60);"
        f"[c.execute(each).fetchall() for each in {statements!r}]; c.close()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def uses(store: Store) -> list[Callable[[], object]]:
    return [store.position, lambda: put(store, "carol"), store.changes, lambda: users(store)]


def require_unused(store: Store, problem: type[FileMisused], what: str) -> None:
    for use in uses(store):
        with pytest.raises(problem) as raised:
            use()
        assert what in str(explain(raised.value))


def test_a_store_that_was_copied_onto_is_not_used_and_is_again_as_it_is_said(
    store: Store, path: Path
) -> None:
    shutil.copyfile(path.with_name("copy.db"), path)
    require_unused(store, Overwritten, "put the copy there again")
    # Whatever SQLite does with it then.
    by_another_process(path, "PRAGMA journal_mode=WAL", "PRAGMA wal_checkpoint(TRUNCATE)")
    require_unused(store, Overwritten, "put the copy there again")
    store.close()
    for name in ("-wal", "-shm"):
        Path(f"{path}{name}").unlink(missing_ok=True)
    shutil.copyfile(path.with_name("copy.db"), path)
    with closing(Store.open(f"sqlite:///{path}")) as other:
        assert users(other) == ["alice"]
        put(other, "dave")
        assert users(other) == ["alice", "dave"]


@pytest.mark.parametrize("names", [("-wal",), ("-shm",), ("-wal", "-shm")])
def test_a_log_that_was_deleted_is_not_written_any_more_and_nothing_of_it_is_lost(
    names: tuple[str, ...], store: Store, path: Path
) -> None:
    for name in names:
        Path(f"{path}{name}").unlink()
    require_unused(store, LogTaken, "was deleted or replaced")
    # Nor by a connection that would begin another.
    store.engine.dispose()
    require_unused(store, LogTaken, "was deleted or replaced")
    store.close()
    with closing(Store.open(f"sqlite:///{path}")) as other:
        assert users(other) == ["alice", "bob"]
        assert put(other, "carol").revision > 0


def test_what_sqlite_itself_does_to_its_file_is_nothing_to_notice(store: Store, path: Path) -> None:
    """Pages moved there from the log, by this process and by others; the file made anew; a copy restored by
    SQLite's own means, which is read anew."""
    seen = store.position()
    for kind in ("PASSIVE", "FULL", "RESTART", "TRUNCATE"):
        put(store, kind)
        by_another_process(path, f"PRAGMA wal_checkpoint({kind})")
        store.position()
        put(store, kind + "2")
        with store.engine.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA wal_checkpoint({kind})")
        store.position()
    by_another_process(path, "VACUUM")
    assert "bob" in users(store)
    program = (
        "import sqlite3; from contextlib import closing\n"
        f"with closing(sqlite3.connect({str(path.with_name('copy.db'))!r})) as a,"
        f" closing(sqlite3.connect({str(path)!r}, timeout=60)) as b: a.backup(b)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert users(store) == ["alice"]
    assert store.changes(seen).restored
    put(store, "dave")
    assert users(store) == ["alice", "dave"]


def test_two_stores_of_one_file_in_a_process_take_nothing_from_each_other_when_one_is_closed(
    store: Store, path: Path
) -> None:
    """To close a file takes away all locks that the process has on it."""
    for _ in range(2):
        with closing(Store.open(f"sqlite:///{path}")) as other:
            assert users(other) == ["alice", "bob"]
        by_another_process(path, "SELECT * FROM feed", "PRAGMA wal_checkpoint(TRUNCATE)")
        assert Path(f"{path}-wal").exists()
        assert users(store) == ["alice", "bob"]
    put(store, "carol")
    shutil.copyfile(path.with_name("copy.db"), path)
    require_unused(store, Overwritten, "put the copy there again")


def test_no_file_stays_open_when_a_store_is_closed(path: Path) -> None:
    def times_open() -> int:
        found = [each.resolve() for each in Path("/proc/self/fd").iterdir()]
        return sum(str(each).startswith(f"{path.resolve()}-shm") for each in found)

    for name in ("alice", "bob"):
        with closing(Store.open(f"sqlite:///{path}")) as store:
            put(store, name)
            store.position()
            assert times_open() == 2, "SQLite's own and ours"
        assert times_open() == 0


def test_an_index_that_was_replaced_between_look_and_opening_is_not_opened(path: Path) -> None:
    def times_open() -> int:
        return sum(each.resolve() == beside.resolve() for each in Path("/proc/self/fd").iterdir())

    beside = Path(f"{path}-shm")
    with closing(Store.open(f"sqlite:///{path}")) as store:
        put(store, "alice")
        store.position()
        former = times_open()
        for inode in ((1, 1), (1, 2)):
            assert _open_index(str(beside), inode) is None
        assert times_open() == former
        store.position()
    assert times_open() == 0


def test_of_a_log_that_is_kept_otherwise_nothing_is_said(store: Store, path: Path) -> None:
    """Such as a later SQLite might: then a copy is not noticed, and nothing is taken for one."""
    store.position()
    with Path(f"{path}-shm").open("r+b") as index:
        index.write((1).to_bytes(4, sys.byteorder))
    path.touch()
    store.position()


def test_each_commit_by_whomever_is_told_apart_and_nothing_else_is(store: Store, path: Path) -> None:
    with closing(Commits(str(path))) as commits:
        seen = [commits.last()]
        assert users(store) == ["alice", "bob"]
        by_another_process(path, "SELECT * FROM users", "PRAGMA wal_checkpoint(PASSIVE)")
        assert commits.last() == seen[0]
        put(store, "carol")
        seen.append(commits.last())
        by_another_process(path, "UPDATE feed SET revision = revision + 1")
        seen.append(commits.last())
        assert None not in seen
        assert len(set(seen)) == len(seen)


def test_an_index_that_no_store_here_has_open_is_not_opened_to_tell_of_commits(path: Path) -> None:
    with closing(Commits(str(path))) as commits:
        assert commits.last() is None
        with closing(Store.open(f"sqlite:///{path}")) as opened:
            put(opened, "alice")
            beside = Path(f"{path}-shm")
            # It has SQLite's own, one that is kept open by the store, and none of this.
            assert commits.last() is not None
            assert sum(each.resolve() == beside for each in Path("/proc/self/fd").iterdir()) == 2
        # The last connection has deleted it.
        assert commits.last() is None
