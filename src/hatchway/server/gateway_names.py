"""The names that gateways have been given, as the store has them.

Root asks for them at the start of a server that goes on as another user, and now and then afterwards. The
store is that user's: in his directory root makes no file, follows no link of his and reads no database.
"""

import json
import os
import pwd
import shlex
from collections.abc import Callable
from typing import NoReturn

from hatchway.errors import CommandFailed
from hatchway.installation.installation import gateway_dns_names, open_installation
from hatchway.privileges import become
from hatchway.server.options import ServerOptions


def names_of_gateways(options: ServerOptions, *, migrate: bool = False) -> list[str]:
    """Opens the installation, of which the keys are read as who this is, and the rest as the server's user.

    Args:
        migrate: whether the store is brought to this program's schema.

    Raises:
        CommandFailed: it cannot be opened.
    """
    user, path = options.user, options.directory.path
    if user is None or os.geteuid() != 0 or pwd.getpwnam(user).pw_uid == 0:
        return _names(options, migrate, lambda: None)
    try:
        return _of_a_process(lambda: _names(options, migrate, lambda: become(user)))
    except CommandFailed as problem:
        if options.store_url is None and path.stat().st_uid != pwd.getpwnam(user).pw_uid:
            command = f"chown -R {user}: {shlex.quote(str(path))}"
            raise CommandFailed(
                f"{problem}. {path} is not {user}'s, who has to write there: {command}"
            ) from problem
        raise


def _names(options: ServerOptions, migrate: bool, keys_read: Callable[[], None]) -> list[str]:
    with open_installation(
        options.directory, options.store_url, migrate=migrate, keys_read=keys_read
    ) as installation:
        return gateway_dns_names(installation)


def _of_a_process(ask: Callable[[], list[str]]) -> list[str]:
    """What a process of its own answers, whose user it changes.

    Raises:
        CommandFailed: as `ask`, or that process ended without an answer.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _answer(ask, theirs)
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb") as pipe:
            text = pipe.read()
    finally:
        _, status = os.waitpid(child, 0)
    try:
        # It is the user's by now, who may have it say anything.
        names, problem = json.loads(text)
    except (ValueError, TypeError):
        code = os.waitstatus_to_exitcode(status)
        raise CommandFailed(f"the process that opens the store ended with {code}, see above") from None
    if problem is not None:
        raise CommandFailed(str(problem))
    return [str(name) for name in names]


def _answer(ask: Callable[[], list[str]], descriptor: int) -> NoReturn:
    code = 1
    try:
        try:
            answer = json.dumps([ask(), None])
        except CommandFailed as problem:
            answer = json.dumps([[], str(problem)])
        with os.fdopen(descriptor, "w", encoding="ascii") as pipe:
            pipe.write(answer)
        code = 0
    except Exception as problem:
        # Nobody else tells of it.
        os.write(2, f"{type(problem).__name__}: {problem}\n".encode(errors="replace"))
    finally:
        # Nothing of what the one before has set up is undone here.
        os._exit(code)
