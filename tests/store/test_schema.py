"""Programs of two versions on one store: who may go on, who may start, and what is said to the others."""

import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from structlog.testing import capture_logs
from tests.e2e.waiting import wait_until
from tests.store.migrated import migrate_as_a_newer_program, new_sqlite_store
from tests.store.test_store import schema, user

from hatchway.domain.account import Account
from hatchway.store import (
    OtherInstallation,
    SchemaMismatch,
    SchemaWatch,
    Store,
    explain,
    oldest_program,
    own_schema,
)
from hatchway.store import schema as schemas

VERSIONS = Path(schemas.__file__).parent / "migrations" / "versions"
FIRST_TO_SAY = "0028"
"""The first schema that says which programs it suits."""


def test_a_store_says_which_programs_it_suits(store: Store) -> None:
    with store.engine.connect() as connection:
        suits = connection.exec_driver_sql("SELECT suits FROM feed").scalar_one()
    assert suits == f"{oldest_program(own_schema())}..{own_schema()}"


def test_a_program_starts_and_works_on_a_newer_store_that_suits_it(store: Store) -> None:
    migrate_as_a_newer_program(store, f"{own_schema()}..9998")
    assert store.check_schema() == "9998"
    # A control plane migrates when it starts: it leaves this one as it is.
    store.migrate()
    assert store.migrations.pending() == []
    with store.write() as tx:
        tx.users.put(user("alice"))
    assert store.check_schema() == "9998"


@pytest.mark.parametrize("suits", ["9997..9998", None, "0001..9997", "nonsense"])
def test_a_program_that_is_too_old_for_a_store_is_refused_and_told_so(
    store: Store, suits: str | None
) -> None:
    said = r"9998, that of a newer version.*too old: install the newer version again"
    migrate_as_a_newer_program(store, suits)
    for attempt in (store.check_schema, store.migrate):
        with pytest.raises(SchemaMismatch, match=said):
            attempt()


def test_a_program_that_is_too_new_for_a_store_is_refused_and_told_so(store: Store) -> None:
    schema(store, command.downgrade, "0027")
    with pytest.raises(SchemaMismatch, match=r"0027, this program is too new.*hatchway migrate"):
        store.check_schema()
    assert store.check_schema(older=True) == "0027"


def test_a_running_program_notices_that_it_is_too_old_writes_no_more_and_goes_on_when_it_is_not(
    store: Store,
) -> None:
    watch = SchemaWatch(store)
    watch.check_at_startup()
    guarded = store.only_when(watch.require)
    migrate_as_a_newer_program(store, f"{own_schema()}..9998")
    with capture_logs() as logs:
        watch.look()
        assert watch.fits
        with guarded.write() as tx:
            tx.users.put(user("alice"))
        with store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE feed SET suits = '9998..9998'")
        for _ in range(2):
            watch.look()
        unfit = not watch.fits
        assert unfit
        for transaction in (guarded.write, guarded.record):
            with pytest.raises(SchemaMismatch, match="too old") as caught, transaction():
                pytest.fail("it went on")
        # The API answers with it, as a passing trouble.
        assert explain(caught.value) is not None
        with store.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE feed SET suits = '{own_schema()}..9998'")
        watch.look()
        assert watch.fits
    assert [line["event"] for line in logs] == [
        "store is of a newer version",
        "store does not suit this program any more",
        "store suits this program again",
    ]


def test_each_migration_says_which_programs_can_work_on_it() -> None:
    said: dict[str, str | None] = {}
    for path in sorted(VERSIONS.glob("v*.py")):
        revision = path.name[1:5]
        if revision >= FIRST_TO_SAY:
            said[revision] = oldest_program(revision)
            # No program is asked to be newer than the one before, or nobody could upgrade without an outage.
            assert said[revision] is not None, f"{path.name} lacks oldest_program"
            assert str(said[revision]) < revision, f"{path.name}: the version before must work on it"
    values = [str(each) for each in said.values()]
    assert values == sorted(values), "what an older migration needs, a later one needs too"


def test_no_migration_rewrites_a_table(postgresql: Callable[[], str]) -> None:
    """Each table keeps the file that it is in: nobody waits for rows to be copied."""
    store = Store.open(postgresql())
    files = (
        "SELECT relname, relfilenode FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    revisions = sorted(path.name[1:5] for path in VERSIONS.glob("v*.py"))
    schema(store, command.upgrade, "0027")
    for revision in revisions:
        if revision <= "0027":
            continue
        with store.engine.connect() as connection:
            before = {row[0]: row[1] for row in connection.exec_driver_sql(files)}
        schema(store, command.upgrade, revision)
        with store.engine.connect() as connection:
            after = {row[0]: row[1] for row in connection.exec_driver_sql(files)}
        rewritten = {name for name, file in before.items() if after.get(name, file) != file}
        assert rewritten == set(), f"{revision} rewrites {rewritten}"
    store.close()


def test_a_migration_that_gets_no_lock_lets_others_pass_and_is_tried_again(
    postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        schemas, "_TIMEOUTS", ("SET LOCAL lock_timeout = '50ms'", "SET LOCAL statement_timeout = '5s'")
    )
    store = Store.open(postgresql())
    schema(store, command.upgrade, "0027")
    with capture_logs() as logs:
        thread = threading.Thread(target=store.migrate)
        with store.engine.connect() as busy:
            busy.exec_driver_sql("SELECT * FROM feed FOR KEY SHARE")
            thread.start()
            wait_until(lambda: logs)
            # It holds nothing meanwhile that others want.
            with store.engine.connect() as other:
                other.exec_driver_sql("SET lock_timeout = '2s'")
                other.exec_driver_sql("SELECT * FROM feed FOR KEY SHARE")
        thread.join(30)
    store.check_schema()
    assert {line["event"] for line in logs} == {"migration waits"}
    store.close()


def test_a_floor_is_never_above_the_revision_whoever_sets_it(store: Store) -> None:
    with store.write() as tx:
        tx.users.put(user("alice"))
    with store.engine.begin() as connection:
        # As a control plane of before does that has seen more, of what was restored since.
        connection.exec_driver_sql("UPDATE feed SET floor = 1000 WHERE floor < 1000")
        floor, revision = connection.exec_driver_sql("SELECT floor, revision FROM feed").one()
    assert floor == revision
    since = store.position()
    with store.write() as tx:
        tx.users.put(user("bob"))
    assert not store.changes(since).everything


def test_the_message_names_both_schemas() -> None:
    assert re.search(
        r"9998.*programs of 9997 or later.*none after \d{4}", str(SchemaMismatch("9998", "9997..9998"))
    )


def test_the_schemas_that_are_known_are_those_of_alembic_in_its_order() -> None:
    scripts = schemas._scripts().walk_revisions()
    assert schemas._known() == tuple(reversed([script.revision for script in scripts]))


def test_to_find_that_nothing_is_to_be_migrated_takes_no_alembic(tmp_path: Path) -> None:
    path = tmp_path / "hatchway.db"
    new_sqlite_store(path).close()
    program = f"""
import sys
from hatchway.store import Store
store = Store.open("sqlite:///{path}")
store.migrate()
assert store.check_schema() == store.check_schema(older=True)
print([name for name in sys.modules if name.startswith("alembic")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_running_program_notices_that_the_store_is_another_installations_and_goes_on_with_its_own(
    store: Store,
) -> None:
    made = datetime(2026, 11, 30, tzinfo=UTC)
    account = Account(id="123456789012", region="us-east-1", gateway_dns_name="localhost", created_at=made)
    with store.write() as tx:
        tx.accounts.put(account)
    watch = SchemaWatch(store)
    watch.check_at_startup()
    guarded = store.only_when(watch.require).only_while(watch.require_own_so_far)
    with capture_logs() as logs:
        # The same account's number says nothing: it is anybody's to choose.
        with store.write() as tx:
            tx.accounts.put(replace(account, created_at=made + timedelta(seconds=1)))
        with pytest.raises(OtherInstallation), store.only_when(watch.require_own).record():
            pytest.fail("it went on, not having looked yet")
        for _ in range(2):
            watch.look()
        assert not watch.fits
        for use in (guarded.read, guarded.write, guarded.record):
            with pytest.raises(OtherInstallation) as caught, use():
                pytest.fail("it went on")
        assert "check where the store's URL leads" in str(explain(caught.value))
        with store.write() as tx:
            tx.accounts.delete(account.id)
        watch.look()
        assert not watch.fits
        with store.write() as tx:
            tx.accounts.put(replace(account, region="eu-central-1"))
        watch.look()
        for use in (guarded.read, guarded.write, guarded.record):
            with use() as tx:
                assert tx.accounts.count()
    events = ["store is another installation's", "store suits this program again"]
    assert [line["event"] for line in logs] == events
