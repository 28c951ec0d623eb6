"""Certificates before they end, and keys when others take their place: looked after while a server runs."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from hatchway.errors import CommandFailed
from hatchway.failures import failures
from hatchway.installation.joined import Joined
from hatchway.machines.api import NOT_KNOWN, Refused
from hatchway.machines.following import renew
from hatchway.server.certificates import renew_when_due
from hatchway.server.options import ServerOptions
from hatchway.settings import Address, DataDirectory, is_everywhere

_ASK_SECONDS: Final = 60.0
"""Between two questions of a machine that joined."""
_ISSUE_SECONDS: Final = 3_600.0
"""Between two looks of a server that has the CA's key at its own certificate."""

log = structlog.get_logger("hatchway.server")


def ask(directory: DataDirectory, joined: Joined, names: Sequence[str]) -> None:
    """Asks once what this machine is to have, and puts it in place.

    Args:
        names: by which it is called besides its own.

    Raises:
        CommandFailed: the API cannot be asked, or what it gives cannot be put there.
    """
    if changed := renew(directory, joined, datetime.now(UTC), names):
        log.info("taken over from the API", files=changed)


def try_to_ask(directory: DataDirectory, joined: Joined, names: Sequence[str]) -> None:
    """The same, told of in the log when it fails."""
    try:
        ask(directory, joined, names)
    except CommandFailed as problem:
        if isinstance(problem, Refused) and problem.status == NOT_KNOWN:
            log.error("this machine is given nothing any more", problem=str(problem))
            return
        log.warning(
            "keys and certificate not looked after",
            problem=str(problem),
            until="the API answers, this machine goes on with what it has",
        )


@contextmanager
def repeated(look: Callable[[], object], every: float) -> Iterator[None]:
    """Calls a function every so many seconds in a thread, for as long as the context lasts."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.wait(every):
            try:
                look()
            except Exception as problem:
                log.error("renewal failed", problem=str(problem))

    thread = threading.Thread(target=run, name="renewal", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()


def ask_first(options: ServerOptions) -> None:
    """On a machine that joined: asks the API what has changed while this did not run. Nobody may be there to
    answer: then what was there is what there is."""
    with failures():
        joined = Joined.read(options.directory)
    if joined is not None:
        try_to_ask(options.directory, joined, _called(options))


def looked_after(options: ServerOptions, api: Address | None = None) -> AbstractContextManager[None]:
    """A context in which keys and certificates are seen to: on a machine that joined by asking the API, else,
    where `api` says that nobody else does, by the CA's key."""
    with failures():
        joined = Joined.read(options.directory)
    if joined is not None:
        return repeated(partial(try_to_ask, options.directory, joined, _called(options)), _ASK_SECONDS)
    if api is not None:
        return repeated(partial(renew_when_due, options, api), _ISSUE_SECONDS)
    return nullcontext()


def _called(options: ServerOptions) -> list[str]:
    """By which names the command line says that this machine's API is called."""
    own = [] if options.api is None or is_everywhere(options.api.host) else [options.api.host]
    return [*own, *options.api_names]
