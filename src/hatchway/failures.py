"""The one place where a server's errors become this program's own: each a line that says what to do, and an
exit code.

Packages raise their own types. Whatever is not known here is a defect of the program, and told as one. The
client's errors alone pass by: a server has none, and `hatchway.cli.ending` makes them lines.
"""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hatchway.errors import BadUsage, CommandFailed, reason

_SERVER_MISSING: Final = "this needs what a server needs: pip install 'hatchway[server]'"


@contextmanager
def failures(store_url: str | None = None) -> Iterator[None]:
    """Turns errors of any package into this program's. `store_url` is of the store that is being used.

    Raises:
        CommandFailed: in the place of an error that `failure_of` knows.
    """
    try:
        yield
    except CommandFailed:
        raise
    except Exception as problem:
        failure = failure_of(problem, store_url)
        if failure is None:
            raise
        # Not "from" it where it may hold a password that its text repeats.
        raise failure from (None if isinstance(failure, BadUsage) else problem)


def failure_of(problem: Exception, store_url: str | None = None) -> CommandFailed | None:
    """What a command fails with for such an error; None when that error is a defect of the program, or the
    client's."""
    match problem:
        case CommandFailed():
            return problem
        case BrokenPipeError():
            # Whoever read our output has gone, which is no failure to tell of.
            return None
        case ModuleNotFoundError(name=str(name)):
            return CommandFailed(_SERVER_MISSING) if _is_of_server(name) else None

    try:
        return _failure_with_server(problem, store_url)
    except ModuleNotFoundError:
        # Where there is no server, it is none of a server's.
        return _of_system(problem, lambda _: None)


def _is_of_server(module: str) -> bool:
    """Whether a module is of a package that only `hatchway[server]` brings."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        needed = [one for one in requires("hatchway") or () if 'extra == "server"' in one.replace("'", '"')]
    except PackageNotFoundError:
        return False
    names = {re.split("[^A-Za-z0-9_.-]", one, maxsplit=1)[0].lower().replace("-", "_") for one in needed}
    return module.partition(".")[0].lower() in names


def _failure_with_server(problem: Exception, store_url: str | None) -> CommandFailed | None:
    # Imported when something went wrong, so that what goes well starts fast.
    from sqlalchemy.exc import SQLAlchemyError

    from hatchway.keys.key_files import KeyProblem
    from hatchway.pki.certificates import PkiProblem
    from hatchway.store import (
        BadStoreUrl,
        DriverMissing,
        SchemaMismatch,
        ServesNoMore,
        explain,
        show_problem,
    )
    from hatchway.transport.core.loading import CoreProblem

    match problem:
        case BadStoreUrl():
            return BadUsage(str(problem))
        case (
            KeyProblem() | PkiProblem() | DriverMissing() | SchemaMismatch() | ServesNoMore() | CoreProblem()
        ):
            return CommandFailed(str(problem))
    if isinstance(problem, SQLAlchemyError) and store_url is not None:
        return CommandFailed(show_problem(store_url, problem))
    if isinstance(problem, SQLAlchemyError):
        words = explain(problem) or f"the store cannot be used ({type(problem).__name__}): see its log"
        return CommandFailed(words)
    return _of_system(problem, explain)


def _of_system(problem: Exception, explain: Callable[[Exception], str | None]) -> CommandFailed | None:
    match problem:
        case OSError(errno=errno.ENOSPC | errno.EDQUOT, filename=None):
            # Of no file that we opened: it is what the shell opened for our output.
            return CommandFailed("the disk is full: free some space where the output goes")
        case UnicodeEncodeError(reason="surrogates not allowed"):
            # Bytes of the command line, which Python carries so.
            return BadUsage("an argument, or a file's name, is not UTF-8 text: give another")
        case PermissionError():
            what = _named(problem) or "what this needs"
            return CommandFailed(f"{what} may not be used: run this as root or as the server's user")
        case _ if (words := explain(problem)) is not None:
            return CommandFailed(words)
        case OSError():
            what = _named(problem)
            return CommandFailed(f"cannot use {what}: {reason(problem)}" if what else reason(problem))
    return None


def _named(problem: OSError) -> str:
    name = problem.filename
    return os.fsdecode(name) if isinstance(name, str | bytes) else ""
