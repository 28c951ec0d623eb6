"""The tables that a store has, whether this program can work on them, and how it brings them to its own.

Programs of two versions work on one store while an upgrade lasts: the new one migrates, and those before go
on. So a store says which programs it suits: `feed.suits` is `0026..0027` in one of schema 0027 on which those
can work whose own is 0026 or later. Each migration says so (`oldest_program`), and whoever migrates writes
it. A program that is too old, or too new, refuses to start, and stops what it does when it becomes so.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import Connection, Engine, String, column, inspect, select, table, update
from sqlalchemy.exc import DBAPIError

from hatchway.store import tables

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script, ScriptDirectory

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_FILE_NAME: Final = re.compile(r"v(\d{4})_\w+\.py")
"""Of a migration, with its schema, by which they are in order."""

_TIMEOUTS: Final = (
    # Whoever wants the table meanwhile waits behind a migration that waits for a lock.
    "SET LOCAL lock_timeout = '2s'",
    # Longer than any is to take: what it holds is others' again.
    "SET LOCAL statement_timeout = '30s'",
)
_LOCKED: Final = frozenset({"55P03", "40P01"})
"""lock_not_available and deadlock_detected (PostgreSQL: "PostgreSQL Error Codes")."""
_PATIENCE: Final = 40.0
"""Seconds for which a migration that gets no lock is tried again: less than a process has to start in."""
_PAUSE: Final = 0.5
_RANGE: Final = ".."
_FIRST_MARKED: Final = "0025"
"""The first schema with the trigger by which a whole store is told."""

log = structlog.get_logger("hatchway.store")


BEING_COPIED: Final = "being copied"
"""In the place of a schema, as long as not all of another store has been copied here: nobody serves it."""


class SchemaMismatch(Exception):
    """The store's schema and this program do not go together. The message says which of them to change."""

    def __init__(self, found: str | None, suits: str | None = None) -> None:
        own = own_schema()
        if found is None:
            told = "for nobody has made an installation there: run 'hatchway init'"
        elif found == BEING_COPIED:
            told = "which was not finished: run the same 'hatchway store copy' again, which goes on with it"
        elif found in _known():
            told = (
                f"this program is too new for it, and needs {own}: run 'hatchway migrate', or start a control"
                " plane of this version, which does the same; programs of the version before go on"
            )
        else:
            oldest = _oldest_of(suits, found)
            needs = "" if oldest is None else f", which takes programs of {oldest} or later"
            told = (
                f"that of a newer version{needs}, and this program knows none after {own}: it is too old:"
                " install the newer version again, or restore a backup from before it"
            )
        super().__init__(f"the store's schema is {found or 'empty'}, {told}")


class BeingRestored(Exception):
    """The database's own tools have restored only a part of the store yet."""


def require_whole(connection: Connection) -> None:
    """Refuses a store of which only a part is restored yet.

    pg_restore enters tables one after the other, and makes triggers when all rows are there. (A copy of
    SQLite's file is restored by renaming it.)

    Raises:
        BeingRestored: it is one.
    """
    if connection.dialect.name == "postgresql":
        made = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'feed'::regclass AND tgname = "
        if connection.exec_driver_sql(f"{made}'mark_revision'").scalar_one() == 0:
            raise BeingRestored("the store is being restored")


def own_schema() -> str:
    """This program's, such as `0026`."""
    return _known()[-1]


class Schema:
    """One store's.

    `begin` begins a transaction that may write, and `portion` one that also has the account to itself.
    """

    def __init__(
        self,
        engine: Engine,
        begin: Callable[[], AbstractContextManager[Connection]],
        portion: Callable[[], AbstractContextManager[Connection]],
    ) -> None:
        self._engine = engine
        self._begin = begin
        self._portion = portion

    def revision(self) -> str | None:
        """The one that the database has, such as `0026`; None of an empty database."""
        with self._engine.connect() as connection:
            return current_schema(connection)

    def check(self, *, older: bool = False) -> str:
        """Refuses to work on a schema that does not suit this program. Returns the schema.

        With `older`, one that this program could migrate will do.

        Raises:
            SchemaMismatch: see there.
            BeingRestored: there is only a part of it yet.
        """
        with self._engine.connect() as connection:
            found = current_schema(connection)
            if found is not None and (found not in _known() or found >= _FIRST_MARKED):
                require_whole(connection)
            is_newer = found is not None and found not in _known()
            suits = connection.execute(select(tables.feed.c.suits)).scalar() if is_newer else None
        if found is not None:
            oldest = _oldest_of(suits, found)
            if found == own_schema() or (older and not is_newer) or (oldest and oldest <= own_schema()):
                return found
        raise SchemaMismatch(found, suits)

    def pending(self) -> list[str]:
        """What `migrate` would bring it to, one after the other; nothing when there is nothing to do.

        Raises:
            SchemaMismatch: the database is newer than the program, and does not suit it.
            BeingRestored: there is only a part of it yet.
        """
        found = self.revision()
        if found is not None:
            self.check(older=True)
            if found not in _known():
                return []
        return [schema for schema in _known() if found is None or schema > found]

    def migrate(self, done: Callable[[str], None] = lambda schema: None) -> None:
        """Brings the schema to this program's; a new database gets all of it, and one that is newer and suits
        this program is left as it is.

        Each migration is a transaction. What one has to `fill` beforehand goes in portions, each of which is
        one too. So others may write meanwhile, and what has ended in the middle goes on from there. In
        PostgreSQL a migration that gets no lock soon lets those go on who wait behind it, and is tried again.

        Args:
            done: called with the schema of each migration when it is done.

        Raises:
            SchemaMismatch: the database is newer than the program, and does not suit it.
            DBAPIError: it cannot be used; no lock was to be had for too long.
        """
        if not self.pending():
            return
        found = self.revision()
        if found is None:
            # Nothing is in it that anybody waits for.
            try:
                self._upgrade("head")
            except DBAPIError:
                # Another may have made it at the same moment: then it was waited for.
                if self.revision() is None:
                    raise
        else:
            for script in _above(found):
                if hasattr(script.module, "fill"):
                    script.module.fill(self._portion)
                self._try_upgrade(script.revision)
                done(script.revision)
        if self._engine.dialect.name == "sqlite":
            # What a migration has taken away is not left in the write-ahead log.
            with self._engine.connect() as connection:
                connection.exec_driver_sql("ROLLBACK")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.exec_driver_sql("BEGIN")

    def _try_upgrade(self, revision: str) -> None:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self._upgrade(revision)
            except DBAPIError as problem:
                code = getattr(problem.orig, "sqlstate", None)
                if code not in _LOCKED or time.monotonic() > until:
                    raise
                log.warning(
                    "migration waits", schema=revision, reason="others use its tables; it is tried again"
                )
                time.sleep(_PAUSE)
            else:
                return

    def _upgrade(self, revision: str) -> None:
        from alembic import command

        with self._begin() as connection:
            made = current_schema(connection) is not None
            if self._engine.dialect.name == "postgresql" and made:
                for setting in _TIMEOUTS:
                    connection.exec_driver_sql(setting)
                # One at a time: another control plane may start at the same moment. What that one has done
                # is then seen, and not done again. Who only reads does not wait.
                connection.exec_driver_sql("LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE")
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            now = current_schema(connection)
            if now is not None and (oldest := oldest_program(now)) is not None:
                connection.execute(update(tables.feed).values(suits=f"{oldest}{_RANGE}{now}"))


def oldest_program(schema: str) -> str | None:
    """The schema of the oldest programs that can work on a schema; None of those from before it was said."""
    script = _scripts().get_revision(schema)
    return getattr(script.module, "oldest_program", None)


def _oldest_of(suits: str | None, found: str) -> str | None:
    """What a store says of its own schema. Of another's, as after a migration by other means, it counts for
    nothing."""
    oldest, _, schema = (suits or "").partition(_RANGE)
    return oldest if oldest and schema == found else None


def current_schema(connection: Connection) -> str | None:
    """The schema that the database has, from where Alembic keeps it; None of an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    number = column("version_num", String)
    return connection.execute(select(number).select_from(table("alembic_version"))).scalar_one_or_none()


@cache
def _known() -> tuple[str, ...]:
    """This program's and all before it, the oldest first."""
    names = (_FILE_NAME.fullmatch(path.name) for path in (_MIGRATIONS / "versions").iterdir())
    return tuple(sorted(name[1] for name in names if name is not None))


# Alembic is imported where something is to be migrated: all else only finds that there is nothing, and it
# would be a quarter of what a server or a command imports.


def _above(found: str | None) -> "Iterator[Script]":
    return reversed(list(_scripts().iterate_revisions("head", found or "base")))


@cache
def _scripts() -> "ScriptDirectory":
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_config())


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
