"""What is wrong with a store, in words for whoever runs it: the cause, and what to do about it.

Nothing has to be started again afterwards: who could not write tries again.
"""

import errno
import sqlite3
from typing import Any, Final

from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from hatchway.store.login_problems import GONE, remedy
from hatchway.store.schema import BeingRestored, SchemaMismatch
from hatchway.store.sqlite_file import FileMisused

_BUSY: Final = (
    "the store is locked by another process for too long: find that process (with fuser, or in"
    " pg_stat_activity) and end what it is doing there"
)
_FULL: Final = "the store's disk is full: free some space there"
_READ_ONLY: Final = (
    "the store cannot be written: give the server's user write access to it and to its directory, on a disk"
    " that is not mounted read-only"
)
_READ_ONLY_DATABASE: Final = (
    "the database is read-only: check that the store's URL leads to the primary, and that"
    " default_transaction_read_only is off there"
)
_UNREADABLE: Final = (
    "the store's disk does not read or write (see the kernel's log): repair it, or restore a backup"
)
_NOT_OPENED: Final = (
    "the store cannot be opened: its directory must exist, be writable and have some free space. Its files"
    " must belong to the directory's owner (chown), and so must the targets of links"
)
_DAMAGED: Final = "the store is damaged: restore it from a backup"
_BEING_RESTORED: Final = (
    "the store is being restored, or its restoration was not finished: it is used as soon as it is complete."
    " If nobody is restoring it, see what pg_restore reported, and restore it again"
)
_SILENT: Final = "the store does not answer: check whether the database server or the store's disk hangs"
_NOT_ADMITTED: Final = (
    "the database server refuses this program's login: check the store's URL and the server's pg_hba.conf"
)
_NO_RIGHT: Final = (
    "the database role lacks a permission. Commands and control planes need the role that owns the tables,"
    " in its own database; gateways need the grants in docs/store.md, repeated after an upgrade. Check the"
    " store's URL and the server's grants"
)

_OF_SQLITE: Final = {
    "BUSY": _BUSY,
    "LOCKED": _BUSY,
    "PROTOCOL": _BUSY,
    "FULL": _FULL,
    # The write-ahead log's index beside the store found no room to grow.
    "IOERR_SHMSIZE": _FULL,
    "READONLY": _READ_ONLY,
    "PERM": _READ_ONLY,
    "IOERR": _UNREADABLE,
    "CANTOPEN": _NOT_OPENED,
    "CORRUPT": _DAMAGED,
    "NOTADB": _DAMAGED,
}
"""By the result code's name, without SQLITE_ (SQLite: "Result and Error Codes"); extended ones come first."""

_OF_POSTGRESQL: Final = {
    "55P03": _BUSY,
    "57014": _BUSY,
    "40P01": _BUSY,
    "53100": _FULL,
    "25006": _READ_ONLY_DATABASE,
    # It has waited in vain for what comes next in a transaction.
    "25P03": GONE,
    "42501": _NO_RIGHT,
    # A table is not there yet.
    "42P01": _BEING_RESTORED,
    "28": _NOT_ADMITTED,
    "08": GONE,
    "53": GONE,
    "57": GONE,
    "58": _UNREADABLE,
    "XX": _DAMAGED,
}
"""By the error code or its class (PostgreSQL, appendix A: "PostgreSQL Error Codes")."""


_STANDBY: Final = "cannot assign TransactionIds during recovery"
"""What PostgreSQL says of a write to a standby by what is a SELECT: never translated, and by the code of an
internal error (access/transam/varsup.c)."""


class StoreBusy(Exception):
    """Others of this process have held the store for too long, waiting for it themselves."""


class ServesNoMore(Exception):
    """This process is not to serve the store any more. The message says what to do."""


class OtherInstallation(ServesNoMore):
    """The store is not the one that this process began with: its URL leads elsewhere now."""

    def __init__(self, found: str, own: str) -> None:
        super().__init__(
            f"the store is {found}, but this server belongs to {own}: check where the store's URL leads (its"
            " name, a pooler in front of it), and what was restored there. The server continues as soon as"
            " its own store is back. To use this store instead, stop the server, and start it with the keys"
            " of that installation"
        )


class MachineRemoved(ServesNoMore):
    """The machine is none of the installation's any more. The message says what to do."""

    def __init__(self, machine_id: str) -> None:
        super().__init__(
            f"this machine no longer belongs to the installation: {machine_id}, as which it joined, was"
            " removed (hatchway machine remove), or the store was restored to before it joined. Stop its"
            " server; to let it join again: hatchway join --again, with a new token (hatchway join-token"
            " create)"
        )


class TookTooLong(Exception):
    """A statement was ended because it took longer than it may."""


class TransactionEnded(Exception):
    """The database has ended the transaction of its own accord; what was written in it is lost."""


class NothingCommitted(Exception):
    """A statement has failed that had gone together with the commit, and before it."""

    def __init__(self, problem: Exception) -> None:
        super().__init__(str(problem))
        self.problem = problem


def explain(problem: BaseException) -> str | None:
    """The cause and the remedy of a problem with the store or a full disk; None for any other."""
    each: BaseException | None = problem
    while each is not None:
        if (words := _explain_alone(each)) is not None:
            return words
        each = each.__cause__ or each.__context__
    return None


def is_denied(problem: BaseException) -> bool:
    """Whether the database has refused a statement because its role may not do that."""
    return isinstance(problem, DBAPIError) and getattr(problem.orig, "sqlstate", None) == "42501"


def is_locked(problem: BaseException) -> bool:
    """Whether the database has ended a statement because others had locked what it takes."""
    return isinstance(problem, DBAPIError) and getattr(problem.orig, "sqlstate", None) == "55P03"


def log_fields(problem: BaseException) -> dict[str, Any]:
    """What a line of the log tells of a problem: its cause and remedy, or when unknown, all there is."""
    words = explain(problem)
    return {"exc_info": problem} if words is None else {"problem": words}


def _explain_alone(problem: BaseException) -> str | None:
    if isinstance(problem, OSError) and problem.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk is full: free some space where {problem.filename} is" if problem.filename else _FULL
    if isinstance(problem, OSError) and problem.errno == errno.EROFS and problem.filename:
        return f"the disk may not be written: mount it for writing where {problem.filename} is"
    if isinstance(problem, PermissionError) and problem.filename:
        return f"{problem.filename} may not be used: let the server's user read and write it"
    if isinstance(problem, OSError) and problem.errno == errno.EIO:
        return _UNREADABLE
    if isinstance(problem, StoreBusy | PoolTimeout):
        return _BUSY
    if isinstance(problem, FileMisused | ServesNoMore):
        return str(problem)
    if isinstance(problem, BeingRestored):
        return _BEING_RESTORED
    if isinstance(problem, SchemaMismatch):
        return str(problem)
    if isinstance(problem, TimeoutError):
        return _SILENT
    if isinstance(problem, PendingRollbackError):
        # A statement before it in its transaction has found that.
        return GONE
    if isinstance(problem, sqlite3.Error):
        return _of_sqlite(problem)
    if not isinstance(problem, DBAPIError):
        return None
    if isinstance(problem.orig, sqlite3.Error):
        return _of_sqlite(problem.orig)
    if isinstance(problem.orig, TimeoutError):
        return _SILENT
    code = getattr(problem.orig, "sqlstate", None)
    if _STANDBY in str(problem.orig):
        return _READ_ONLY_DATABASE
    if code is not None:
        return _OF_POSTGRESQL.get(code) or _OF_POSTGRESQL.get(code[:2])
    return remedy(str(problem.orig)) if isinstance(problem, OperationalError) else None


def _of_sqlite(problem: sqlite3.Error) -> str | None:
    # The driver's own complaints, such as that of a closed connection, have no code.
    name = getattr(problem, "sqlite_errorname", None)
    if name is None:
        return None
    return _OF_SQLITE.get(name.removeprefix("SQLITE_")) or _OF_SQLITE.get(name.split("_")[1])
