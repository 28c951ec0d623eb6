"""Which hosts registered themselves before the store kept that they did."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.audit.test_events import open_tunnel
from tests.cli.conftest import template

from hatchway.audit.events import Outcome
from hatchway.audit.log import to_record
from hatchway.control.hosts.registration import REGISTER_HOST
from hatchway.doctor.findings import Status
from hatchway.doctor.registered_hosts import check_registered_hosts
from hatchway.domain.network import Instance
from hatchway.installation.installation import Installation, open_installation
from hatchway.settings import DataDirectory

__all__ = ["template"]

NOW = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)


@pytest.fixture
def installation(template: Path, tmp_path: Path) -> Iterator[Installation]:
    shutil.copytree(template, tmp_path / "data")
    with open_installation(DataDirectory(tmp_path / "data"), None) as opened:
        yield opened


def put(installation: Installation, **changes: Any) -> Instance:
    """Its one instance, as it is then."""
    with installation.store.write() as tx:
        (instance,) = tx.instances.find()
        tx.instances.put(replace(instance, **changes))
    return instance


def register(installation: Installation, at: datetime, answer: object) -> None:
    """The event of that, as a host's registration enters it."""
    made = {
        **open_tunnel(f"e-{at:%H%M%S}", Outcome()),
        "eventName": REGISTER_HOST,
        "responseElements": answer,
    }
    with installation.store.record() as tx:
        tx.audit_records.add(to_record(made, at))


def test_hosts_that_registered_themselves_before_it_was_kept_are_named_with_their_addresses(
    installation: Installation,
) -> None:
    web = put(installation, registered_at=NOW)
    assert list(check_registered_hosts(installation)) == []
    # What a thief of a gateway's role may enter names none.
    nothing = (None, "i-1", {"instanceId": 5}, {"instanceId": "\0"}, {"instanceId": "i-9"})
    for second, answer in enumerate(nothing):
        register(installation, NOW + timedelta(seconds=second + 1), answer)
    assert list(check_registered_hosts(installation)) == []
    register(installation, NOW, {"instanceId": web.id})
    (found,) = check_registered_hosts(installation)
    assert found.status is Status.UNKNOWN
    assert "1 did so with an older version" in found.seen
    assert f"{web.id} (127.0.40.1)" in found.seen
    # Of one that is older than it is kept since when hosts are known, its event alone tells.
    put(installation, registered_at=None)
    assert len(list(check_registered_hosts(installation))) == 1


def test_neither_one_that_somebody_registered_since_nor_one_of_which_gateways_know_is_named(
    installation: Installation,
) -> None:
    web = put(installation, registered_at=NOW + timedelta(hours=1))
    register(installation, NOW, {"instanceId": web.id})
    assert list(check_registered_hosts(installation)) == []
    put(installation, registered_at=NOW, registered_itself=True)
    assert list(check_registered_hosts(installation)) == []
