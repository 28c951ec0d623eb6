"""`hatchway store copy`: all of a store in another database, compared, with an event of it there."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hatchway.audit.local_trail import record
from hatchway.errors import BadUsage, CommandFailed
from hatchway.failures import failures
from hatchway.installation.installation import is_there
from hatchway.installation.secret_files import write_private
from hatchway.store import BadStoreUrl, Store, show_problem, show_store
from hatchway.store.copying.copied_rows import Side, SourceFailed, Sum
from hatchway.store.copying.finished_copy import EVENT, compare, finished_copy
from hatchway.store.copying.transfer import (
    Differs,
    Occupied,
    Served,
    Source,
    Target,
    finish,
    frozen,
    receiving,
    source_of,
    transfer,
)
from hatchway.store.url import parse_store_url


@dataclass(frozen=True, slots=True)
class CopiedStore:
    """What was copied. `went_on` is whether an attempt before had copied a part of it, `finished_at` when one
    had copied all of it already, in UTC: then both were compared once more."""

    account: str
    source: str
    target: str
    tables: Mapping[str, Sum]
    went_on: bool
    finished_at: str | None = None


def copy_whole_store(
    source_url: str, target_url: str, now: datetime, tell: Callable[[str], None] = lambda _: None
) -> CopiedStore:
    """Copies all of a store that nobody uses into an empty database, goes on with that, or compares both
    where it is done.

    Raises:
        BadUsage: a URL is none.
        CommandFailed: it cannot be copied there. What was copied stays, so that the same command goes on.
    """
    for name, url in (("FROM", source_url), ("TO", target_url)):
        try:
            parse_store_url(url)
        except BadStoreUrl as problem:
            raise BadUsage(f"{name}: {problem}") from None
    if show_store(source_url) == show_store(target_url):
        raise BadUsage("both are the same store: give another to copy it into")
    names = show_store(source_url), show_store(target_url)
    with ExitStack() as stack:
        try:
            with failures(source_url):
                store = stack.enter_context(closing(Store.open(source_url)))
                try:
                    rows = stack.enter_context(frozen(store))
                except Served as problem:
                    # Here: its cause is what the store has said, which is not what to tell.
                    raise CommandFailed(f"cannot copy {names[0]}: {problem}") from problem
                source = source_of(rows)
            with failures(target_url):
                target = stack.enter_context(closing(_opened(target_url)))
                if (done := _compared(rows, target, source, names, tell)) is not None:
                    return done
                copy = stack.enter_context(receiving(target))
                went_on = copy.prepare(source)
                tables = _transferred(rows, copy, source, tell, went_on=went_on)
                tell("Finishing")
                with finish(target) as tx:
                    parameters = {"from": names[0], "to": names[1]}
                    answer = {"tables": len(tables), "rows": sum(each.rows for each in tables.values())}
                    record(tx, tx.account(), now, EVENT, parameters=parameters, answer=answer)
        except SourceFailed as problem:
            raise CommandFailed(show_problem(source_url, problem.__cause__ or problem)) from problem
        except Occupied as problem:
            raise CommandFailed(f"cannot copy into {names[1]}: {problem}") from problem
    return CopiedStore(source.account, *names, tables, went_on)


def _compared(
    rows: Side, target: Store, source: Source, names: tuple[str, str], tell: Callable[[str], None]
) -> CopiedStore | None:
    """What a database holds that is a finished copy already; None where it is none.

    Raises:
        CommandFailed: it is one, and either store has been used since.
    """
    with target.engine.connect() as connection:
        copy = Side(connection)
        with copy.transaction():
            finished = finished_copy(rows, copy, source)
            if finished is None:
                return None
            try:
                tables = compare(rows, copy, finished, tell)
            except Differs as problem:
                raise CommandFailed(
                    f"{names[1]} is a copy of {names[0]} that was finished at {finished.at} UTC. One of them"
                    f" has been used since, as the table {problem} is not the same any more, so nothing was"
                    " copied again. If servers run on the copy, all is done; to have another copy, give an"
                    " empty database"
                ) from problem
    return CopiedStore(source.account, *names, tables, went_on=False, finished_at=finished.at)


def _transferred(
    rows: Side, copy: Target, source: Source, tell: Callable[[str], None], *, went_on: bool
) -> Mapping[str, Sum]:
    try:
        return transfer(rows, copy, tell)
    except Differs as problem:
        if not went_on:
            raise CommandFailed(
                f"the table {problem} is not the same in both: somebody writes into the copy; empty it, and"
                " copy again"
            ) from problem
    # What the attempt before has copied was changed since.
    copy.start_over(source)
    return _transferred(rows, copy, source, tell, went_on=False)


def _opened(url: str) -> Store:
    """A database to copy into. SQLite's file is made for its owner alone; root's for the directory's."""
    store = Store.open(url)
    path = Path(store.engine.url.database or "")
    if store.is_sqlite and not is_there(path):
        if not is_there(path.parent):
            raise CommandFailed(f"there is no directory {path.parent}: make it, for the server's user")
        write_private(path, b"")
    return store
