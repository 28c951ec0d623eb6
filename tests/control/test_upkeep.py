"""What a process of a control plane does without being asked goes by the time that all share."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.control.harness import SharedServer, World, tunnel_user

from hatchway.access.signing_keys import gateway_dates
from hatchway.control.upkeep import Upkeep, Watches
from hatchway.settings import DataDirectory, Settings
from hatchway.store import Membership, SchemaWatch, Store


@pytest.mark.parametrize("days", [-3, 3], ids=["behind", "ahead"])
def test_a_leader_whose_clock_is_wrong_derives_signing_keys_of_the_right_days_and_says_so(
    world: World, shared_server: SharedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr(Store, "server_time", lambda store: datetime.now(UTC))
    with world.store.write() as tx:
        alice = tunnel_user(tx, world.plane.vault)
    certificate = Path(shared_server.certificate)
    settings = Settings(
        data_directory=DataDirectory(tmp_path),
        store_url="",
        api_certificate=certificate,
        api_key=certificate,
        gateway_certificate=certificate,
        gateway_key=certificate,
        audit_file=False,
    )
    plane = replace(world.plane, clock=lambda: datetime.now(UTC) + timedelta(days=days))
    upkeep = Upkeep(plane, settings, Watches(SchemaWatch(world.store), Membership(world.store, None)))
    with capture_logs() as logs:
        upkeep.start()
        upkeep.end()
    with world.store.read() as tx:
        dates = {row.date for row in tx.sealed_signing_keys.find(access_key_id=alice.access_key_id)}
    assert f"{datetime.now(UTC):%Y%m%d}" in dates
    assert dates <= {*gateway_dates(datetime.now(UTC))}
    assert [line["seconds_ahead"] for line in logs if line["event"] == "clocks differ"] == [days * 86400]
