"""A worker whose store is in PostgreSQL, as the role that the documentation gives it."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, ProgrammingError
from structlog.testing import capture_logs
from tests.audit.false_events import FALSE, false_record
from tests.gateway.account import StoredAccount, allow, put_policy, stored_account
from tests.gateway.harness import echo, target
from tests.gateway.trail.test_trail import admitted, trail
from tests.gateway.workers import answer_to, echoes, events, open_tunnel, worker
from tests.store.postgresql_server import postgresql_server, server_programs
from tests.transport.harness import run, until

import hatchway
from hatchway.audit.export import Export
from hatchway.audit.group_commit import GroupCommit
from hatchway.audit.key_uses import KeyUses
from hatchway.audit.lookup_fill import LookupFill
from hatchway.audit.retention import RetentionRun
from hatchway.audit.service_uses import ServiceUses
from hatchway.domain.account import AuditRecord
from hatchway.domain.machine import Machine, Role
from hatchway.domain.tunnel import GatewayWorker
from hatchway.gateway.trail.lease import Lease
from hatchway.gateway.trail.trail import QuotaReached
from hatchway.store import Leadership, MachineMembership, MachineRemoved, Store

STORE_PAGE = Path(hatchway.__file__).parents[2] / "docs" / "store.md"
ROLE = "hatchway_gateway"
RECORD = AuditRecord(
    event_id="1",
    event_time=datetime(2026, 11, 24, tzinfo=UTC),
    event_source="sts.amazonaws.com",
    event_name="GetCallerIdentity",
    request_id="2",
    user_name=None,
    access_key_id=None,
    body="{}",
)


@pytest.fixture(scope="module")
def account() -> Iterator[StoredAccount]:
    """In PostgreSQL, and the URL with which gateways log in."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server, stored_account(server.new_database()) as made:
        (statements,) = re.findall(r"```sql\n(.+?)```", STORE_PAGE.read_text(), re.DOTALL)
        owner = create_engine(made.url, isolation_level="AUTOCOMMIT")
        with owner.connect() as connection:
            # As it is in a database that was upgraded from PostgreSQL 14.
            connection.exec_driver_sql("GRANT CREATE ON SCHEMA public TO PUBLIC")
            connection.exec_driver_sql(statements)
        owner.dispose()
        made.user("alice", allow())
        yield replace(made, url=make_url(made.url).set(username=ROLE).render_as_string(hide_password=False))


def test_its_role_reads_which_gateway_keys_there_are(account: StoredAccount) -> None:
    store = Store.open(account.url)
    with store.read() as tx:
        assert tx.key_states.find() == []
    store.close()


def test_a_role_of_before_that_may_not_read_them_keeps_no_gateway_from_starting(
    account: StoredAccount, tmp_path: Path
) -> None:
    owner = create_engine(account.store.engine.url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.exec_driver_sql(f"REVOKE ALL ON key_states FROM {ROLE}")
        with worker(account, tmp_path) as gateway:
            assert gateway.port
        connection.exec_driver_sql(f"GRANT SELECT ON key_states TO {ROLE}")
    owner.dispose()


def test_it_opens_records_and_cuts_tunnels(account: StoredAccount, tmp_path: Path) -> None:
    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                with account.store.write() as tx:
                    put_policy(tx, "alice", allow({"NumericEquals": {"ec2-instance-connect:remotePort": 1}}))
                _, closed = await client.rest()
                assert closed.code == 4003
                assert b" 403 " in await answer_to(gateway, account, port)
                await until(lambda: events(account, "CloseTunnel"))
            outcomes = sorted("errorCode" in event for event in events(account, "OpenTunnel"))
            assert outcomes == [False, True]
            with account.store.read() as tx:
                assert not tx.tunnels.find()

    run(test)


def put_machine(account: StoredAccount) -> str:
    machine = Machine(
        id="m-0123456789abcdef0",
        name="gw1",
        role=Role.GATEWAY,
        names=(),
        joined_at=RECORD.event_time,
        seen_at=RECORD.event_time,
        seen_from="192.0.2.7",
    )
    with account.store.write() as tx:
        tx.machines.put(machine)
    return machine.id


def test_on_a_machine_that_is_taken_out_it_opens_no_tunnel_ends_what_it_has_and_does_not_start_again(
    account: StoredAccount, tmp_path: Path
) -> None:
    machine_id = put_machine(account)
    with account.store.write() as tx:
        put_policy(tx, "alice", allow())
        tx.audit_records.delete_where()

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path, machine_id=machine_id) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                with account.store.write() as tx:
                    tx.machines.delete(machine_id)
                _, closed = await client.rest()
                assert (closed.code, closed.reason) == (1001, "Gateway is shutting down")
                assert b" 503 " in await answer_to(gateway, account, port)
                await until(lambda: events(account, "CloseTunnel"))

    run(test)
    store = Store.open(account.url)
    with pytest.raises(MachineRemoved, match="hatchway join --again"):
        MachineMembership(store, machine_id).check_at_startup()
    store.close()


def test_a_role_of_before_that_may_not_read_which_machines_there_are_serves_and_says_so(
    account: StoredAccount,
) -> None:
    owner, store = account.store.engine, Store.open(account.url)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"REVOKE ALL (id) ON machines FROM {ROLE}")
    with capture_logs() as logs:
        membership = MachineMembership(store, "m-0123456789abcdef0")
        membership.check_at_startup()
        membership.look()
    assert membership.holds
    assert [line["event"] for line in logs] == ["this machine will not notice when it is taken out"]
    with owner.begin() as connection:
        connection.exec_driver_sql(f"GRANT SELECT (id) ON machines TO {ROLE}")
    with pytest.raises(ProgrammingError, match="permission denied"), store.read() as tx:
        tx.machines.find()
    store.close()


def test_its_role_reads_no_secret_and_changes_no_permission(account: StoredAccount) -> None:
    store = Store.open(account.url)
    with pytest.raises(ProgrammingError, match="permission denied"), store.read() as tx:
        tx.sealed_secrets.find()
    with pytest.raises(ProgrammingError, match="permission denied"), store.write() as tx:
        tx.users.delete("alice")
    # Nor does it lead control planes, where nobody does.
    with pytest.raises(ProgrammingError, match="permission denied"):
        Leadership(store, {"housekeeping": "here"}, time.monotonic).look()
    store.close()


def test_no_lock_that_its_role_can_take_holds_up_a_call(account: StoredAccount) -> None:
    role = create_engine(account.url)
    owner = account.store.engine.url.render_as_string(hide_password=False)
    patient = Store.open(f"{owner}&options=-c%20lock_timeout%3D1000")
    with role.connect() as connection:
        for lock in (0x48617463, 0x48617464):
            connection.execute(select(func.pg_advisory_lock(lock)))
        connection.commit()
        for stronger in (
            "SELECT revision FROM feed FOR UPDATE",
            "SELECT revision FROM feed FOR KEY SHARE",
            "LOCK TABLE feed IN SHARE MODE",
            "LOCK TABLE audit_records IN SHARE MODE",
            "LOCK TABLE audit_lookups IN SHARE MODE",
            "DELETE FROM audit_lookups",
            "LOCK TABLE audit_unindexed IN SHARE MODE",
            "DELETE FROM audit_unindexed",
            "LOCK TABLE access_keys IN ROW EXCLUSIVE MODE",
            "SELECT holder FROM leaders FOR KEY SHARE",
            "LOCK TABLE leaders IN SHARE MODE",
        ):
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(text(stronger))
            connection.rollback()
        # What it may have, it has meanwhile.
        connection.execute(text("LOCK TABLE feed, access_keys, audit_records IN ACCESS SHARE MODE"))
        # Calls about these two are in tests/control/hatchway_service/test_locked_tables.py.
        connection.execute(text("LOCK TABLE tunnels, gateway_workers IN ACCESS EXCLUSIVE MODE"))
        commits = GroupCommit(patient)
        try:
            with patient.write() as tx:
                put_policy(tx, "alice", allow())
            commits.submit(lambda tx: tx.audit_records.add(RECORD)).result(30)
            with patient.read() as tx:
                assert tx.audit_records.get(RECORD.event_id) == RECORD
            # The gateways' own locks are theirs to take.
            with pytest.raises(OperationalError, match="lock timeout"), patient.record() as tx:
                tx.lock("endpoint eice-1")
        finally:
            commits.close()
    role.dispose()
    patient.close()


def test_its_role_makes_no_function_that_the_control_plane_would_call(account: StoredAccount) -> None:
    role = create_engine(account.url)
    # One that is made for a column's type goes before PostgreSQL's own.
    lower = "FUNCTION public.lower(character varying) RETURNS text LANGUAGE sql AS 'SELECT user::text'"
    with role.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.exec_driver_sql(f"CREATE {lower}")
    role.dispose()


UNREADABLE = (
    "INSERT INTO gateway_workers VALUES ('gw', 'h', 1, now(), 'infinity')",
    "INSERT INTO gateway_workers VALUES ('gw', 'h', -1, now(), now())",
    "INSERT INTO audit_unexported VALUES ('infinity', 'e')",
    "INSERT INTO audit_unexported VALUES ('10000-01-01', 'e')",
    "INSERT INTO tunnels VALUES ('t', 'g', 'e', 'i', 'p', 'k', 's', 'p', 1, '-infinity', now(), 0, 0, 'm')",
    *(
        f"INSERT INTO audit_records VALUES ('e', {time}, 's', 'n', 'r', NULL, NULL, {body}, true)"
        for time, body in (
            ("'infinity'", "'{}'"),
            ("now()", "'no event'"),
            ("now()", "'[]'"),
            ("now()", "E'{\\n}'"),
            ("now()", "repeat('[', 1000000)"),
            ("now()", "'{\"a\": \"' || repeat('a', 2100000) || '\"}'"),
        )
    ),
)


@pytest.mark.parametrize("row", UNREADABLE)
def test_its_role_enters_nothing_for_which_others_rows_could_not_be_read(
    row: str, account: StoredAccount
) -> None:
    role = create_engine(account.url)
    with role.connect() as connection, suppress(IntegrityError, DataError, OperationalError):
        # What is of no event is left out.
        assert connection.exec_driver_sql(row).rowcount == 0
    role.dispose()


_OF_EVENTS = {
    "audit_unexported": "INSERT INTO audit_unexported (event_time, event_id) VALUES (:time, :id)",
    "audit_unindexed": (
        "INSERT INTO audit_unindexed (moment, event_id, terms)"
        " VALUES (extract(epoch FROM CAST(:time AS timestamptz)) * 1000000, :id, '')"
    ),
    "audit_lookups": (
        "INSERT INTO audit_lookups (term, moment, event_id)"
        " VALUES ('EventName=a', extract(epoch FROM CAST(:time AS timestamptz)) * 1000000, :id)"
    ),
}
_RECORD = "INSERT INTO audit_records VALUES (:id, :time, 's', 'n', 'r', NULL, NULL, '{}', true)"


@pytest.mark.parametrize("table", _OF_EVENTS)
def test_its_role_says_nothing_of_events_but_of_those_that_it_enters_with_that(
    table: str, account: StoredAccount
) -> None:
    """Else the file would wait for rows that lead nowhere, or have events again, and look-ups read junk."""
    now = datetime.now(UTC)
    enter, record = text(_OF_EVENTS[table]), text(_RECORD)
    told = text(f"SELECT event_id FROM {table} WHERE event_id LIKE 'e-%' ORDER BY event_id")
    with account.store.engine.begin() as owner:
        owner.execute(record, {"id": "e-theirs", "time": now})
    role = create_engine(account.url)
    with role.connect() as connection:
        # A session's own tables go before others.
        connection.exec_driver_sql("CREATE TEMP TABLE audit_records (event_id text, event_time timestamptz)")
        connection.exec_driver_sql("CREATE TEMP TABLE pg_class AS SELECT * FROM pg_catalog.pg_class")
        connection.exec_driver_sql("INSERT INTO audit_records SELECT 'e-nowhere', now()")
        for event_id, time_of_it in (
            ("e-nowhere", now),
            ("e-theirs", now),
            ("e-theirs", now - timedelta(days=9999)),
        ):
            connection.execute(enter, {"id": event_id, "time": time_of_it})
        connection.exec_driver_sql("DROP TABLE pg_temp.audit_records")
        connection.commit()
        for event_id in ("e-own-1", "e-own-2"):
            connection.execute(record, {"id": event_id, "time": now})
        connection.execute(enter, {"id": "e-own-1", "time": now})
        connection.execute(enter, {"id": "e-own-2", "time": now - timedelta(days=1)})
        with connection.begin_nested():
            connection.execute(record, {"id": "e-own-3", "time": now})
        connection.execute(enter, {"id": "e-own-3", "time": now})
        connection.commit()
        # Nor afterwards, when it may be in the file.
        connection.execute(enter, {"id": "e-own-2", "time": now})
        connection.commit()
    role.dispose()
    with account.store.engine.begin() as owner:
        assert list(owner.execute(told).scalars()) == ["e-own-1", "e-own-3"]
        # The control plane itself may.
        owner.execute(enter, {"id": "e-theirs", "time": now})
        assert "e-theirs" in list(owner.execute(told).scalars())
        for each in (*_OF_EVENTS, "audit_records"):
            owner.exec_driver_sql(f"DELETE FROM {each} WHERE event_id LIKE 'e-%%'")


@pytest.mark.parametrize("table", _OF_EVENTS)
def test_its_role_says_nothing_of_what_others_enter_while_its_transaction_goes_on(
    table: str, account: StoredAccount
) -> None:
    """However long it has been open: what others begin meanwhile is younger, as its own savepoints are."""
    now = datetime.now(UTC)
    enter, record = text(_OF_EVENTS[table]), text(_RECORD)
    told = text(f"SELECT event_id FROM {table} WHERE event_id LIKE 'e-%' ORDER BY event_id")
    role = create_engine(account.url)
    with role.connect() as connection:
        connection.execute(record, {"id": "e-own", "time": now})
        with account.store.engine.begin() as owner:
            owner.execute(record, {"id": "e-theirs", "time": now})
        connection.execute(enter, {"id": "e-theirs", "time": now})
        # What is undone is nobody's.
        with suppress(ZeroDivisionError), connection.begin_nested():
            connection.execute(record, {"id": "e-undone", "time": now})
            raise ZeroDivisionError
        connection.execute(enter, {"id": "e-undone", "time": now})
        with connection.begin_nested(), connection.begin_nested():
            connection.execute(enter, {"id": "e-own", "time": now})
        connection.commit()
    role.dispose()
    with account.store.engine.begin() as owner:
        assert list(owner.execute(told).scalars()) == ["e-own"]
        for each in (*_OF_EVENTS, "audit_records"):
            owner.exec_driver_sql(f"DELETE FROM {each} WHERE event_id LIKE 'e-%%'")


def test_no_type_of_its_session_moves_the_time_that_its_role_says_of_an_event(
    account: StoredAccount,
) -> None:
    now = datetime.now(UTC)
    role = create_engine(account.url)
    with role.connect() as connection:
        # A session's own types go before others.
        connection.exec_driver_sql("CREATE DOMAIN pg_temp.timestamptz AS pg_catalog.timestamp")
        connection.exec_driver_sql("SET TimeZone TO 'X+100'")
        connection.execute(text(_RECORD), {"id": "e-own", "time": now})
        for hours, entered in ((-100, 0), (100, 0), (0, 1)):
            at_the_time = connection.exec_driver_sql(
                "INSERT INTO public.audit_unindexed SELECT (extract(epoch FROM event_time)"
                f" + {hours} * 3600) * 1000000, event_id, '' FROM public.audit_records"
                " WHERE event_id = 'e-own'"
            )
            assert at_the_time.rowcount == entered
        connection.rollback()
    role.dispose()


def test_its_role_enters_no_event_with_endless_terms(account: StoredAccount) -> None:
    role = create_engine(account.url)
    with role.connect() as connection:
        connection.execute(text(_RECORD), {"id": "e-own", "time": datetime.fromtimestamp(0, UTC)})
        for length, entered in ((32_769, 0), (32_768, 1)):
            endless = f"INSERT INTO audit_unindexed VALUES (0, 'e-own', repeat('a', {length}))"
            assert connection.exec_driver_sql(endless).rowcount == entered
        connection.rollback()
    role.dispose()


def test_its_role_enters_nothing_for_which_others_events_would_not_be_read(
    account: StoredAccount, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    role, store = Store.open(account.url), account.store
    for number, body in enumerate(FALSE.values()):
        record = false_record(
            body, now - timedelta(minutes=number), f"e-false-{number}", user_name="u" * 2048
        )
        with suppress(DataError), role.record() as tx:
            tx.audit_records.add(record)
    role.close()
    path = tmp_path / "audit.jsonl"
    with store.record() as tx:
        tx.audit_records.add(RECORD)
        tx.audit_records.set_retention(1, unexported_too=True)
    entered = Export(store, path).run()
    assert entered >= len(FALSE)
    with store.record() as tx:
        tx.audit_records.add(replace(RECORD, event_id="e-later", body='{"eventID":"e-later"}'))
    # Whoever goes on with the file looks at what is there.
    assert Export(store, path).run() == 1
    fill = LookupFill(store, lambda: now, time.monotonic)
    fill.catch_up()
    ServiceUses(store, lambda: now).note()
    KeyUses(store, lambda: now).note()
    run = RetentionRun(store, lambda: now + timedelta(hours=24), lambda: 0.0)
    assert run.run() >= len(FALSE)
    with store.record() as tx:
        tx.audit_records.set_retention(None, unexported_too=False)
        tx.audit_records.delete_where()


def test_gateways_that_record_beside_each_other_exceed_no_quota(account: StoredAccount) -> None:
    now = datetime.now(UTC)
    stores = [Store.open(account.url) for _ in range(3)]
    commits = [GroupCommit(store) for store in stores]
    trails = [trail(each, f"gw-{number}") for number, each in enumerate(commits)]
    with account.store.record() as tx:
        for number in range(len(trails)):
            tx.gateway_workers.put(
                GatewayWorker(
                    id=f"gw-{number}", host="h", port=1, started_at=now, lease_until=now + timedelta(hours=1)
                )
            )

    async def opened(number: int) -> bool:
        try:
            await trails[number % len(trails)].opened(admitted(f"tun-{number}"), now)
        except QuotaReached:
            return False
        return True

    async def test() -> None:
        outcomes = await asyncio.gather(*map(opened, range(60)))
        assert sum(outcomes) == admitted("any").quota == 20

    run(test)
    for log, store in zip(commits, stores, strict=True):
        log.close()
        store.close()
    with account.store.record() as tx:
        assert tx.tunnels.delete_where() == 20
        tx.gateway_workers.delete_where()


@pytest.mark.parametrize("hours", [-1, 1], ids=["behind", "ahead"])
def test_a_gateway_whose_clock_is_wrong_keeps_quotas_with_others_and_says_so(
    account: StoredAccount, hours: int
) -> None:
    def right() -> datetime:
        return datetime.now(UTC)

    def wrong() -> datetime:
        return datetime.now(UTC) + timedelta(hours=hours)

    stores = Store.open(account.url), Store.open(account.url)
    commits = [GroupCommit(store) for store in stores]
    clocks = {"gw-wrong": wrong, "gw-right": right}
    leases = [
        Lease(
            store,
            log,
            clock,
            time.monotonic,
            end=lambda ids: 0,
            recorded=frozenset,
            worker_id=name,
            host="h",
            port=443,
        )
        for store, log, (name, clock) in zip(stores, commits, clocks.items(), strict=True)
    ]
    trails = [trail(log, name) for log, name in zip(commits, clocks, strict=True)]

    async def test() -> None:
        for lease in leases:
            await lease.renew()
        # All that there is room for, by the one, and one more by the other; then the other way round.
        for first, second in ((0, 1), (1, 0)):
            now = [clock() for clock in clocks.values()]
            for number in range(20):
                await trails[first].opened(admitted(f"tun-{number}"), now[first])
            with pytest.raises(QuotaReached):
                await trails[second].opened(admitted("tun-more"), now[second])
            with account.store.record() as tx:
                assert tx.tunnels.delete_where() == 20

    with capture_logs() as logs:
        run(test)
    assert [(line["event"], line["seconds_ahead"]) for line in logs] == [("clocks differ", hours * 3600)]
    for log, store in zip(commits, stores, strict=True):
        log.close()
        store.close()
    with account.store.record() as tx:
        tx.gateway_workers.delete_where()
