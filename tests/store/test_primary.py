"""Of several servers the one is used that may be written, also when another becomes it."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, make_url
from sqlalchemy.exc import DBAPIError
from tests.store.test_store import user

from hatchway.domain.host_token import HostToken
from hatchway.store import NothingCommitted, Store
from hatchway.store.primary import first_asked


def test_the_server_that_answered_last_is_asked_first() -> None:
    servers = [("a", "1"), ("b", "1"), ("b", "2")]
    assert first_asked(servers, None) == servers
    assert first_asked(servers, ("b", "2")) == [("b", "2"), ("a", "1"), ("b", "1")]
    assert first_asked(servers, ("gone", "1")) == servers


def test_the_one_of_several_that_is_there_is_found(migrated_postgresql: Callable[[], str]) -> None:
    there = make_url(migrated_postgresql())
    hosts = f"/nobody/is/there,{there.query['host']}"
    several = there.set(query={"host": hosts, "port": "5432,5432"}).render_as_string(hide_password=False)
    asked: list[str] = []
    store = Store.open(several)

    @event.listens_for(store.engine, "do_connect")
    def note(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        asked.append(options["host"].partition(",")[0])

    with store.read() as tx, store.read() as other:
        assert tx.users.count() == other.users.count() == 0
    # The second time first.
    assert asked == ["/nobody/is/there", there.query["host"]]
    store.close()


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


@pytest.mark.parametrize("in_pipeline", [False, True], ids=["by itself", "in a pipeline"])
def test_also_when_a_statement_has_told_of_it_that_went_to_the_driver_itself(
    migrated_postgresql: Callable[[], str], *, in_pipeline: bool
) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)

    def record() -> None:
        with store.record(in_pipeline=in_pipeline) as tx:
            tx.host_tokens.put(HostToken(instance_id="i-1", token_hash=b"1", created_at=now))

    with closing(Store.open(migrated_postgresql())) as store:
        with store.engine.connect() as one, store.engine.connect() as other:
            for connection in (one, other):
                connection.exec_driver_sql("SET default_transaction_read_only = on")
                connection.commit()
        with pytest.raises((DBAPIError, NothingCommitted), match="read-only"):
            record()
        record()
