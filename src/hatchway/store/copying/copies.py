"""Copies of an embedded store, made while it is in use: one file, of one moment.

copy_store(store, Path("/backup/hatchway.db"))
check_copy(Path("/backup/hatchway.db"))
with closing(open_copy(Path("/backup/hatchway.db"))) as copy, copy.read() as tx: ...
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, create_engine

from hatchway.store.store import Store

_PAGES_AT_ONCE: Final = 4096
"""Of 4 KiB each. Between two steps a command can be interrupted."""
_UNTOUCHED: Final = {"mode": "ro", "immutable": "1"}
"""Neither the file nor its directory is written (SQLite: "Uniform Resource Identifiers")."""


class DamagedCopy(Exception):
    """A copy is not sound. The message is what SQLite found."""


def copy_store(store: Store, path: Path) -> None:
    """Copies an SQLite store to a new file that only its owner may read. Writers go on meanwhile.

    The copy needs no log beside it, so that it can be read where nothing can be written.

    Raises:
        OSError, sqlite3.Error: it cannot be made.
    """
    path.touch(mode=0o600, exist_ok=False)
    with closing(store.engine.raw_connection()) as connection, closing(sqlite3.connect(path)) as copy:
        driver: Any = connection.driver_connection
        # A transaction sees one moment, however many steps it takes (SQLite: "Isolation In SQLite").
        driver.execute("BEGIN")
        try:
            driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
            driver.backup(copy, pages=_PAGES_AT_ONCE, sleep=0)
        finally:
            driver.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode=DELETE").fetchone()


def check_copy(path: Path) -> None:
    """Looks through the whole of a copy (SQLite: "PRAGMA integrity_check"), and for triggers.

    Raises:
        DamagedCopy: it is not sound.
        sqlite3.Error: it cannot be read.
    """
    options = "&".join(f"{name}={value}" for name, value in _UNTOUCHED.items())
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True)) as copy:
        try:
            found = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(1)")]
            # One that somebody left there would act for him from then on.
            found += ["it has a trigger that is not Hatchway's" for _ in _triggers(copy) - _own_triggers()]
        except sqlite3.DatabaseError as problem:
            if problem.sqlite_errorname.split("_")[1] not in {"CORRUPT", "NOTADB"}:
                raise
            raise DamagedCopy(str(problem)) from problem
    if found != ["ok"]:
        raise DamagedCopy(next((each for each in found if each != "ok"), "nothing can be read"))


def _triggers(store: sqlite3.Connection) -> set[tuple[str, str]]:
    """Each trigger's name and its text."""
    return set(store.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))


def _own_triggers() -> set[tuple[str, str]]:
    """Those that the migrations make."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "empty.db")
        store = Store.open(str(URL.create("sqlite", database=str(path))))
        store.migrate()
        store.engine.dispose()
        with closing(sqlite3.connect(path)) as empty:
            return _triggers(empty)


def open_copy(path: Path) -> Store:
    """Opens a copy, to be read alone."""
    url = URL.create(
        "sqlite", database=f"file:{quote(str(path.absolute()))}", query={**_UNTOUCHED, "uri": "true"}
    )
    return Store(create_engine(url, hide_parameters=True))
