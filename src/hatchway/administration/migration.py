"""Bringing the store to this program's schema, before a server of this version is started."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from hatchway.failures import failures
from hatchway.store import Store, oldest_program, own_schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What there was to do: the schemas before and after, and each one brought to, in seconds.

    Of a store that is newer and suits this program, `after` is its own. `oldest` is the schema of the oldest
    programs that can work on it then.
    """

    before: str
    after: str
    steps: dict[str, float]
    oldest: str | None


def pending(store_url: str) -> tuple[str, list[str]]:
    """The store's schema, and the ones that `migrate` would bring it to.

    Raises:
        CommandFailed: it cannot be read; nobody has made an installation there; it is of a newer program, and
            does not suit this one.
    """
    with failures(store_url), closing(Store.open(store_url)) as store:
        return store.check_schema(older=True), store.migrations.pending()


def migrate(store_url: str, said: Callable[[str, float], None]) -> Migrated:
    """Brings the store to this program's schema, while programs of the version before go on.

    Args:
        said: called after each step with its schema and its seconds.

    Raises:
        CommandFailed: see `pending`; or a lock was not to be had, and what has been done until then stays.
    """
    with failures(store_url), closing(Store.open(store_url)) as store:
        before = store.check_schema(older=True)
        steps: dict[str, float] = {}
        began = time.monotonic()

        def done(schema: str) -> None:
            nonlocal began
            steps[schema] = time.monotonic() - began
            began = time.monotonic()
            said(schema, steps[schema])

        store.migrations.migrate(done)
        after = store.check_schema()
        return Migrated(
            before=before,
            after=after,
            steps=steps,
            oldest=oldest_program(after) if after == own_schema() else None,
        )
