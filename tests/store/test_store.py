"""The store keeps what was committed, tells what changed, and refuses a schema that is not its own."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from tests.e2e.waiting import wait_until

import hatchway.store
from hatchway.domain.account import Account
from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType, ProxyProtocol
from hatchway.domain.host_token import HostToken
from hatchway.domain.identity import Membership, User
from hatchway.domain.network import Rule, SecurityGroup, Vpc
from hatchway.store import SchemaMismatch, Store
from hatchway.store.tables import FEED, metadata
from hatchway.store.transaction import ReadOnly

NOW = datetime(2026, 11, 24, 6, 17, 23, 123456, tzinfo=UTC)


def user(name: str) -> User:
    return User(name=name, id="AIDA" + name.upper(), path="/", created_at=NOW, tags={"team": "web"})


# Of indexes of expressions SQLite tells nothing: that they are there, the test of their use shows.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_make_exactly_the_tables_that_the_program_declares(store: Store) -> None:
    with store.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_migrating_twice_changes_nothing(store: Store) -> None:
    with store.write() as tx:
        tx.users.put(user("alice"))
    store.migrate()
    store.check_schema()
    with store.read() as tx:
        assert tx.users.get("alice") == user("alice")


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(hatchway.store.__file__).parent / "migrations"))
    return config


def schema(store: Store, move: Callable[[Config, str], None], revision: str) -> None:
    """Moves a store to another program's schema, by Alembic's own command."""
    config = _alembic_config()
    with store.engine.connect() as connection:
        config.attributes["connection"] = connection
        move(config, revision)
        connection.commit()


def test_the_account_of_an_older_program_leaves_tunnels_to_outlive_credentials(store: Store) -> None:
    account = Account(id="123456789012", region="us-east-1", gateway_dns_name="g.example", created_at=NOW)
    with store.write() as tx:
        tx.accounts.put(replace(account, end_tunnels_with_credentials=True))
    with store.read() as tx:
        assert tx.account().end_tunnels_with_credentials
    schema(store, command.downgrade, "0016")
    store.migrate()
    with store.read() as tx:
        assert tx.account() == account


def test_endpoints_of_an_older_program_tell_their_targets_nothing(store: Store) -> None:
    made = Endpoint(
        id="eice-1",
        name="office",
        vpc_id="vpc-1",
        subnet_id="subnet-1",
        availability_zone="us-east-1a",
        dns_name="gateway.example",
        state=EndpointState.CREATE_COMPLETE,
        state_message="",
        created_at=NOW,
        deleted_at=None,
        security_group_ids=("sg-1",),
        network_interface_ids=("eni-1",),
        preserve_client_ip=False,
        ip_address_type=IpAddressType.IPV4,
        max_tunnels=None,
        proxy_protocol=ProxyProtocol.V2,
        tags={"env": "dev"},
    )
    with store.write() as tx:
        tx.endpoints.put(made)
    with store.read() as tx:
        assert tx.endpoints.find() == [made]
    schema(store, command.downgrade, "0002")
    with pytest.raises(SchemaMismatch, match="0002"):
        store.check_schema()
    store.migrate()
    store.check_schema()
    with store.read() as tx:
        assert tx.endpoints.find() == [replace(made, proxy_protocol=None)]


def test_an_empty_database_is_refused_until_it_is_migrated(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(SchemaMismatch, match="empty"):
        store.check_schema()
    store.close()


def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for attempt in (store.check_schema, store.migrate):
        with pytest.raises(SchemaMismatch, match=r"9999, that of a newer version.*: install the newer"):
            attempt()
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == "9999"


def test_of_control_planes_that_start_at_once_one_migrates_and_the_others_wait(
    postgresql: Callable[[], str],
) -> None:
    store = Store.open(postgresql())
    schema(store, command.upgrade, "0022")
    config = _alembic_config()
    with store.engine.connect() as other, ThreadPoolExecutor(1) as pool:
        transaction = other.begin()
        config.attributes["connection"] = other
        command.upgrade(config, "0023")
        migrates = pool.submit(store.migrate)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        with store.engine.connect() as looks:
            wait_until(lambda: looks.exec_driver_sql(waiting).scalar_one() or migrates.done())
        transaction.commit()
        migrates.result(60)
    store.check_schema()
    store.close()


def test_a_noun_comes_back_as_it_was_put(store: Store) -> None:
    group = SecurityGroup(
        id="sg-1",
        vpc_id="vpc-1",
        name="ssh-in",
        description="ssh from the office",
        ingress=(Rule("tcp", 22, 22, "10.0.0.0/16"), Rule("-1", 0, 65535, "sg-1")),
        egress=(),
        tags={"env": "dev", "ключ": "値"},
    )
    with store.write() as tx:
        tx.security_groups.put(group)
        tx.users.put(user("alice"))
    with store.read() as tx:
        assert tx.security_groups.get("sg-1") == group
        assert tx.users.find() == [user("alice")]
        assert tx.users.count() == 1
        assert tx.users.get("bob") is None


def test_a_question_by_itself_is_asked_in_no_transaction_that_would_be_undone(store: Store) -> None:
    with store._asking() as connection:
        connection.exec_driver_sql("SELECT 1")
        driver = connection.connection.driver_connection
        assert driver is not None
        # PQTRANS_IDLE.
        assert store.is_sqlite or driver.info.transaction_status == 0
    assert store.revision() == store.position().revision
    with store.read() as tx:
        assert tx.revision() == store.revision()


def test_nothing_of_a_failed_transaction_is_kept(store: Store) -> None:
    before = store.revision()
    with pytest.raises(ZeroDivisionError), store.write() as tx:
        tx.users.put(user("alice"))
        raise ZeroDivisionError
    with store.read() as tx:
        assert tx.users.find() == []
    assert store.revision() == before


def test_a_transaction_takes_one_revision_however_much_it_changes(store: Store) -> None:
    before = store.revision()
    with store.write() as tx:
        tx.users.put(user("alice"), user("bob"))
        tx.memberships.put(Membership(user_name="alice", group_name="engineers"))
    assert store.revision() == before + 1
    with store.write() as tx:
        tx.users.find()
    assert store.revision() == before + 1


def test_the_feed_tells_what_changed_and_what_went_since_a_revision(store: Store) -> None:
    with store.write() as tx:
        tx.users.put(user("alice"), user("bob"))
        tx.vpcs.put(Vpc(id="vpc-1", name="office", cidrs=("10.0.0.0/16",)))
    first = store.changes()
    assert first.everything
    assert [found.name for found in first.changed["users"]] == ["alice", "bob"]
    with store.write() as tx:
        tx.users.delete("alice")
        tx.users.put(user("carol"))
    second = store.changes(first.position)
    assert not second.everything
    assert [found.name for found in second.changed["users"]] == ["carol"]
    assert second.changed["vpcs"] == []
    assert second.deleted == {"users": [("alice",)]}
    assert second.revision == first.revision + 1


def test_a_row_that_went_and_came_again_is_in_the_feed_as_changed(store: Store) -> None:
    with store.write() as tx:
        tx.users.put(user("alice"))
    since = store.position()
    with store.write() as tx:
        tx.users.delete("alice")
        tx.users.put(user("alice"))
    changes = store.changes(since)
    assert changes.deleted == {"users": [("alice",)]}
    assert [found.name for found in changes.changed["users"]] == ["alice"]


def test_a_follower_behind_the_forgotten_deletions_gets_everything(store: Store) -> None:
    with store.write() as tx:
        tx.users.put(user("alice"), user("bob"))
    since = store.position()
    with store.write() as tx:
        tx.users.delete("alice")
    with store.write() as tx:
        tx.forget_deletions(before=store.revision() + 1)
    changes = store.changes(since)
    assert changes.everything
    assert [found.name for found in changes.changed["users"]] == ["bob"]


def test_what_gateways_follow_cannot_change_outside_write(store: Store) -> None:
    with pytest.raises(ReadOnly), store.record() as tx:
        tx.users.put(user("alice"))
    with pytest.raises(ReadOnly), store.read() as tx:
        tx.users.put(user("alice"))


def test_every_table_of_the_feed_has_a_repository_of_its_name(store: Store) -> None:
    with store.read() as tx:
        assert all(getattr(tx, table.name).find() == [] for table in FEED)


def test_what_was_committed_survives_kill_9_in_the_middle_of_writing(tmp_path: Path) -> None:
    database = tmp_path / "hatchway.db"
    Store.open(f"sqlite:///{database}").migrate()
    program = textwrap.dedent(
        f"""
        import sys
        from datetime import UTC, datetime
        from hatchway.domain.identity import User
        from hatchway.store import Store
        store = Store.open("sqlite:///{database}")
        for number in range(1_000_000):
            with store.write() as tx:
                tx.users.put(User(name=f"u{{number:07}}", id="A", path="/", created_at=datetime.now(UTC)))
            print(number, flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for _ in range(40):
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        confirmed = [int(line) for line in writer.stdout.read().split()]
    last = confirmed[-1] if confirmed else last
    store = Store.open(f"sqlite:///{database}")
    with store.read() as tx:
        names = [found.name for found in tx.users.find()]
    store.close()
    assert names[: last + 1] == [f"u{number:07}" for number in range(last + 1)]
    assert len(names) <= last + 2


def test_a_row_that_is_added_again_stays_as_it_was(store: Store) -> None:
    first = HostToken(instance_id="i-1", token_hash=b"first", created_at=NOW)
    with store.record() as tx:
        tx.host_tokens.add(first)
    with store.record() as tx:
        tx.host_tokens.add(replace(first, token_hash=b"second"), replace(first, instance_id="i-2"))
    with store.read() as tx:
        assert [(row.instance_id, row.token_hash) for row in tx.host_tokens.find()] == [
            ("i-1", b"first"),
            ("i-2", b"first"),
        ]


def test_of_many_rows_those_that_were_there_are_taken_away_and_told(store: Store) -> None:
    tokens = [HostToken(instance_id=f"i-{n}", token_hash=b"x", created_at=NOW) for n in range(4)]
    with store.record() as tx:
        tx.host_tokens.add_all(tokens)
        assert tx.host_tokens.deleting(["i-1", "i-never", "i-'\",{}", "i-3", "i-1"])() == {"i-1", "i-3"}
        assert tx.host_tokens.deleting([])() == set()
        # Of many at once the database itself says which there were.
        many = [f"i-{number}" for number in range(100, 140)]
        tx.host_tokens.add_all(replace(tokens[0], instance_id=each) for each in many[::2])
        assert tx.host_tokens.deleting(many)() == set(many[::2])
    with store.read() as tx:
        assert [row.instance_id for row in tx.host_tokens.find()] == ["i-0", "i-2"]


def test_rows_of_one_statement_each_keep_their_own_moment(store: Store) -> None:
    moments = {f"i-{n}": NOW.replace(microsecond=n) for n in range(3)}
    with store.record() as tx:
        tx.host_tokens.add_all(
            HostToken(instance_id=name, token_hash=name.encode(), created_at=moment)
            for name, moment in moments.items()
        )
    with store.read() as tx:
        assert {row.instance_id: row.created_at for row in tx.host_tokens.find()} == moments


def test_a_moment_without_a_time_zone_is_refused(store: Store) -> None:
    naive = HostToken(instance_id="i-1", token_hash=b"x", created_at=NOW.replace(tzinfo=None))
    with pytest.raises(Exception, match="time zone"), store.record() as tx:
        tx.host_tokens.add(naive)


@pytest.mark.parametrize("table", ["users", "groups", "roles", "managed_policies"])
def test_a_name_is_found_in_whatever_case_by_an_index(store: Store, table: str) -> None:
    explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
    with store.engine.connect() as connection:
        if not store.is_sqlite:
            # Of an empty table PostgreSQL would read all.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(f"{explain} SELECT count(*) FROM {table} WHERE lower(name) = 'ann'")
        assert f"ix_{table}_lower_name" in str(plan.all())
