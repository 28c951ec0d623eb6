"""What is told of a data directory, and of a store that does not keep what was acknowledged."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.access.vault import Vault
from hatchway.doctor.data_directory import check_files, check_store
from hatchway.doctor.findings import Status
from hatchway.domain.account import Account
from hatchway.installation.installation import Installation
from hatchway.settings import DataDirectory
from hatchway.store import Store


def test_what_is_no_directory_is_said_to_be_none_and_is_not_to_be_changed(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.touch()
    (found,) = check_files(DataDirectory(file))
    assert (found.status, found.seen) == (Status.ERROR, f"{file} is not a directory")
    assert found.advice == "give the server's --data-dir"


def test_of_a_linked_file_its_target_is_what_is_to_be_changed_or_to_be_copied(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    target = tmp_path / "fullchain.pem"
    target.touch(mode=0o644)
    (directory / "server.pem").symlink_to(target)
    (found,) = check_files(DataDirectory(directory))
    assert found.status is Status.ERROR
    assert found.seen == (
        f"{directory}/server.pem leads to {target}, which is open to other users of this machine"
    )
    assert found.advice is not None and found.advice.startswith(f"chmod 600 {target}, unless somebody else")
    target.chmod(0o600)
    (found,) = check_files(DataDirectory(directory))
    assert found.status is Status.OK


def test_a_database_that_forgets_or_has_anybody_s_functions_is_an_error_and_one_that_tells_nobody_a_warning(
    tmp_path: Path,
) -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")

    def forget(connection: Any, _record: object) -> None:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET search_path = pretended, pg_catalog, public")

    now = datetime.now(UTC)
    account = Account(id="123456789012", region="us-east-1", gateway_dns_name="localhost", created_at=now)
    # This server runs with fsync=off.
    with postgresql_server(programs) as server:
        store = Store.open(server.new_database())
        # So full that nobody is told of changes any more.
        pretended = "FUNCTION pretended.pg_notification_queue_usage() RETURNS float LANGUAGE sql"
        with store.engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA pretended")
            connection.exec_driver_sql(f"CREATE {pretended} AS 'SELECT 0.9::float'")
            # As it is by default before PostgreSQL 15.
            connection.exec_driver_sql("GRANT CREATE ON SCHEMA public TO PUBLIC")
        store.engine.dispose()
        sa.event.listen(store.engine, "connect", forget)
        found = list(check_store(Installation(DataDirectory(tmp_path), store, Vault(bytes(32)), account)))
        store.close()
    wrong = [finding.seen for finding in found if finding.status is Status.ERROR]
    assert [seen.removeprefix("PostgreSQL says ").partition(":")[0] for seen in wrong] == [
        "synchronous_commit = off",
        "fsync = off",
        "every role, a gateway's too, may make functions that the control plane would call",
    ]
    (warned,) = [finding for finding in found if finding.status is Status.WARNING]
    assert (warned.check, "90% full" in warned.seen) == ("notifications", True)
