"""Of several servers the one is used that may be written, also when another becomes it."""

from collections.abc import Callable

import pytest
from sqlalchemy.exc import DBAPIError
from tests.store.test_store import user

from hatchway.store import Store
from hatchway.store.primary import first_asked


def test_the_server_that_answered_last_is_asked_first() -> None:
    servers = [("a", "1"), ("b", "1"), ("b", "2")]
    assert first_asked(servers, None) == servers
    assert first_asked(servers, ("b", "2")) == [("b", "2"), ("a", "1"), ("b", "1")]
    assert first_asked(servers, ("gone", "1")) == servers


def test_connections_that_lead_to_a_server_which_may_only_be_read_are_not_used_again(
    migrated_postgresql: Callable[[], str],
) -> None:
    store = Store.open(migrated_postgresql())
    with store.read() as tx:
        tx.users.find()
    # As behind a name or a pooler that leads to the former primary, which is a standby now.
    kept = store.engine.raw_connection()
    driver = kept.driver_connection
    assert driver is not None
    driver.execute("SET default_transaction_read_only = on")
    driver.commit()
    kept.close()
    with pytest.raises(DBAPIError, match="read-only"), store.write() as tx:
        tx.users.put(user("alice"))
    with store.write() as tx:
        tx.users.put(user("alice"))
    store.close()
