"""The index tables say what the rows say, whoever wrote them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, inspect, select, text
from tests.store.test_store import schema

from hatchway.domain.network import Instance, Vpc
from hatchway.store import SchemaMismatch, Store
from hatchway.store.tables import RESOURCE_TYPES, metadata, security_group_uses, tag_index

VPC = Vpc(id="vpc-1", name="office", cidrs=("10.0.0.0/16",), tags={"env": "dev", "Größe": "“10” \\ 'm'"})
INSTANCE = Instance(
    id="i-1",
    name="web",
    vpc_id="vpc-1",
    subnet_id="subnet-1",
    private_ip="10.0.0.7",
    ipv6=None,
    security_group_ids=("sg-1", "sg-2"),
    tags={"env": "dev", "Name": "web", "empty": ""},
)


def tags_in(connection: Connection) -> set[tuple[Any, ...]]:
    columns = tag_index.c
    query = select(columns.resource_type, columns.resource_id, columns.tag_key, columns.tag_value)
    return {tuple(row) for row in connection.execute(query)}


def uses_in(connection: Connection) -> set[tuple[Any, ...]]:
    columns = security_group_uses.c
    query = select(columns.group_id, columns.resource_type, columns.resource_id)
    return {tuple(row) for row in connection.execute(query)}


def expected(*nouns: Vpc | Instance) -> set[tuple[Any, ...]]:
    kinds = {Vpc: "vpc", Instance: "instance"}
    return {(kinds[type(noun)], noun.id, key, value) for noun in nouns for key, value in noun.tags.items()}


def test_the_index_follows_rows_that_come_change_and_go(store: Store) -> None:
    changed = replace(INSTANCE, security_group_ids=("sg-2", "sg-3"), tags={"env": "live", "new": "*"})
    with store.write() as tx:
        tx.vpcs.put(VPC)
        tx.instances.put(INSTANCE)
    with store.engine.connect() as connection:
        assert tags_in(connection) == expected(VPC, INSTANCE)
        assert uses_in(connection) == {("sg-1", "instance", "i-1"), ("sg-2", "instance", "i-1")}
    with store.write() as tx:
        tx.instances.put(changed)
    with store.engine.connect() as connection:
        assert tags_in(connection) == expected(VPC, changed)
        assert uses_in(connection) == {("sg-2", "instance", "i-1"), ("sg-3", "instance", "i-1")}
    with store.write() as tx:
        tx.instances.delete("i-1")
        tx.vpcs.delete_where(id="vpc-1")
    with store.engine.connect() as connection:
        assert tags_in(connection) == uses_in(connection) == set()


def test_a_migration_indexes_what_is_there_and_an_older_program_keeps_it_so(store: Store) -> None:
    with store.write() as tx:
        tx.vpcs.put(VPC)
        tx.instances.put(INSTANCE)
    schema(store, command.downgrade, "0007")
    store.migrate()
    with store.engine.connect() as connection:
        assert tags_in(connection) == expected(VPC, INSTANCE)
        assert len(uses_in(connection)) == 2
    # A program of before the index knows neither table; it writes rows by statements of its own.
    with store.engine.begin() as connection:
        connection.execute(text("""UPDATE vpcs SET tags = '{"env": "live"}'"""))
        connection.execute(text("DELETE FROM instances"))
    with store.engine.connect() as connection:
        assert tags_in(connection) == {("vpc", "vpc-1", "env", "live")}
        assert uses_in(connection) == set()


def test_a_row_that_is_put_again_unchanged_costs_the_index_nothing(store: Store) -> None:
    with store.write() as tx:
        tx.vpcs.put(VPC)
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM tag_index"))
    with store.write() as tx:
        tx.vpcs.put(VPC)
    with store.engine.connect() as connection:
        assert tags_in(connection) == set()


@pytest.mark.parametrize("table", sorted(RESOURCE_TYPES))
def test_each_table_of_ec2_with_tags_has_its_triggers(store: Store, table: str) -> None:
    """A migration that copies a table on SQLite, to alter a column of it, would lose them."""
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table"
        if store.is_sqlite
        else "SELECT tgname FROM pg_trigger WHERE tgrelid = CAST(:table AS regclass) AND NOT tgisinternal"
    )
    with store.engine.connect() as connection:
        names = set(connection.execute(text(query), {"table": table}).scalars())
    indexed = {"tags": "tags", "security_group_ids": "security_groups"}
    assert {name for name in names if name.startswith("index_")} == {
        f"index_{what}_of_{table}_on_{event}"
        for column, what in indexed.items()
        if column in metadata.tables[table].c
        for event in ("insert", "update", "delete")
    }


def test_each_table_of_ec2_with_tags_is_indexed(store: Store) -> None:
    others = {"users", "roles", "managed_policies", "enrollment_tokens"}
    assert {
        name for name, table in metadata.tables.items() if "tags" in table.c
    } == RESOURCE_TYPES.keys() | others
    assert inspect(store.engine).has_table("tag_index")


def test_a_migration_that_is_killed_goes_on_and_an_older_program_writes_meanwhile(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpcs = [replace(VPC, id=f"vpc-{number:04}", tags={"n": str(number)}) for number in range(2500)]
    with store.write() as tx:
        tx.vpcs.put_all(vpcs)
    schema(store, command.downgrade, "0007")
    portions = 0
    begin = Store._begin

    @contextmanager
    def killed(self: Store, lock: Any) -> Iterator[Connection]:
        nonlocal portions
        portions += lock is not None
        if portions == 3:
            raise KeyboardInterrupt
        if portions == 2:
            # The first portion is in, and these rows of it and of the next ones change.
            with begin(self, None) as connection:
                connection.execute(
                    text("""UPDATE vpcs SET tags = '{"old": "program"}' WHERE id < 'vpc-0010'""")
                )
                connection.execute(text("DELETE FROM vpcs WHERE id >= 'vpc-2000'"))
        with begin(self, lock) as connection:
            yield connection

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Store, "_begin", killed)
        store.migrate()
    with pytest.raises(SchemaMismatch):
        store.check_schema()
    store.migrate()
    store.check_schema()
    now = [
        replace(vpc, tags={"old": "program"}) if number < 10 else vpc
        for number, vpc in enumerate(vpcs)
        if number < 2000
    ]
    with store.engine.connect() as connection:
        assert tags_in(connection) == expected(*now)


def test_others_write_between_two_migrations(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that had read before they wrote could not go on: SQLite calls the database locked."""
    with store.write() as tx:
        tx.vpcs.put(VPC)
    schema(store, command.downgrade, "0007")
    began = 0
    begin = Store._begin

    @contextmanager
    def between(self: Store, lock: Any) -> Iterator[Connection]:
        nonlocal began
        began += 1
        with begin(self, None) as other:
            other.execute(text("UPDATE feed SET revision = revision + 1"))
        with begin(self, lock) as connection:
            yield connection

    monkeypatch.setattr(Store, "_begin", between)
    store.migrate()
    store.check_schema()
    assert began > 10
