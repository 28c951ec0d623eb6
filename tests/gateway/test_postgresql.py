"""A worker whose store is in PostgreSQL, as the role that the documentation gives it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError
from tests.gateway.account import StoredAccount, allow, put_policy, stored_account
from tests.gateway.harness import echo, run, target, until
from tests.gateway.workers import answer_to, echoes, events, open_tunnel, worker
from tests.store.postgresql_server import postgresql_server, server_programs

import hatchway
from hatchway.store import Store

OPERATING = Path(hatchway.__file__).parents[2] / "docs" / "operating.md"
ROLE = "hatchway_gateway"


@pytest.fixture(scope="module")
def account() -> Iterator[StoredAccount]:
    """In PostgreSQL, and the URL with which gateways log in."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server, stored_account(server.new_database()) as made:
        (statements,) = re.findall(r"```sql\n(.+?)```", OPERATING.read_text(), re.DOTALL)
        owner = create_engine(made.url, isolation_level="AUTOCOMMIT")
        with owner.connect() as connection:
            connection.exec_driver_sql(statements)
        owner.dispose()
        made.user("alice", allow())
        yield replace(made, url=make_url(made.url).set(username=ROLE).render_as_string(hide_password=False))


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


def test_its_role_reads_no_secret_and_changes_no_permission(account: StoredAccount) -> None:
    store = Store.open(account.url)
    with pytest.raises(ProgrammingError, match="permission denied"), store.read() as tx:
        tx.sealed_secrets.find()
    with pytest.raises(ProgrammingError, match="permission denied"), store.write() as tx:
        tx.users.delete("alice")
    store.close()
