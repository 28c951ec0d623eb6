"""What a process of a control plane does without being asked goes by the time that all share."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs
from tests.control.harness import SharedServer, World, tunnel_user

from hatchway.access.signing_keys import gateway_dates
from hatchway.control.housekeeping.upkeep import Upkeep, Watches
from hatchway.control.plane import ControlPlane
from hatchway.settings import DataDirectory, Settings
from hatchway.store import MachineMembership, OtherInstallation, SchemaWatch, Store
from hatchway.store.tables import accounts


def upkeep_of(plane: ControlPlane, server: SharedServer, directory: Path) -> tuple[Upkeep, Watches]:
    certificate = Path(server.certificate)
    settings = Settings(
        data_directory=DataDirectory(directory),
        store_url="",
        api_certificate=certificate,
        api_key=certificate,
        gateway_certificate=certificate,
        gateway_tls_key=certificate,
    )
    watches = Watches(SchemaWatch(plane.store), MachineMembership(plane.store, None))
    watches.schema.check_at_startup()
    return Upkeep(plane, settings, watches), watches


@pytest.mark.parametrize("days", [-3, 3], ids=["behind", "ahead"])
def test_a_leader_whose_clock_is_wrong_derives_signing_keys_of_the_right_days_and_says_so(
    world: World, shared_server: SharedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(Store, "server_time", lambda store: datetime.now(UTC))
    with world.store.write() as tx:
        alice = tunnel_user(tx, world.plane.vault)
    plane = replace(world.plane, clock=lambda: datetime.now(UTC) + timedelta(days=days))
    upkeep, _ = upkeep_of(plane, shared_server, tmp_path)
    with capture_logs() as logs:
        upkeep.start()
        upkeep.end()
    with world.store.read() as tx:
        dates = {row.date for row in tx.sealed_signing_keys.find(access_key_id=alice.access_key_id)}
    assert f"{datetime.now(UTC):%Y%m%d}" in dates
    assert dates <= {*gateway_dates(datetime.now(UTC))}
    assert [line["seconds_ahead"] for line in logs if line["event"] == "clocks differ"] == [days * 86400]


def test_a_leader_writes_nothing_of_another_installations_store_into_its_file_nor_into_that_store(
    world: World, shared_server: SharedServer, tmp_path: Path
) -> None:
    upkeep, watches = upkeep_of(world.plane, shared_server, tmp_path)
    upkeep.start()
    # The store's URL leads elsewhere now, and there something is yet to be written to a file.
    with world.store.engine.begin() as connection:
        connection.execute(update(accounts).values(created_at=datetime(2020, 1, 1, tzinfo=UTC)))
    world.client("sts").get_caller_identity()
    watches.schema.look()
    with pytest.raises(OtherInstallation, match="made 2020-01-01 00:00:00"):
        watches.require()
    upkeep.end()
    written = tmp_path / "audit.jsonl"
    assert not written.exists() or "GetCallerIdentity" not in written.read_text()
    with world.store.read() as tx:
        assert tx.audit_records.unexported(10).events
