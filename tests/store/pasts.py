"""A store as it is for who has seen another: it was restored, and the same number of changes made since."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from hatchway.store import Store


@contextmanager
def with_another_past(store: Store) -> Iterator[Connection]:
    """Gives the newest revision another mark. What is written within is of that other past, too."""
    with store.engine.begin() as connection:
        yield connection
        connection.execute(
            text(
                "UPDATE tombstones SET row_key = 'another' WHERE kind = 'mark'"
                " AND revision = (SELECT revision FROM feed)"
            )
        )
