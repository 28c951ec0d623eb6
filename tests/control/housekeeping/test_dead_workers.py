"""Tunnels of a gateway worker that died: their end is entered, once, and nobody else's."""

import json
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.audit.false_events import FALSE, false_record
from tests.control.harness import World

from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.log import to_record
from hatchway.control.housekeeping.dead_workers import DeadWorkers
from hatchway.domain.tunnel import GRACE, GatewayWorker, Tunnel
from hatchway.store import Transaction

SECOND = timedelta(seconds=1)


def worker(worker_id: str, lease_until: datetime) -> GatewayWorker:
    return GatewayWorker(id=worker_id, host="gw", port=443, started_at=lease_until, lease_until=lease_until)


def carry(world: World, worker_id: str, *tunnel_ids: str) -> datetime:
    """A worker whose lease runs for 20 seconds, and tunnels that it opened just now; when that is."""
    now = world.clock()
    with world.store.write() as tx:
        tx.gateway_workers.put(worker(worker_id, now + 20 * SECOND))
        for tunnel_id in tunnel_ids:
            tx.tunnels.put(
                Tunnel(
                    id=tunnel_id,
                    gateway_id=worker_id,
                    endpoint_id="eice-1",
                    instance_id=None,
                    principal_arn="arn:aws:iam::123456789012:user/alice",
                    access_key_id="AKIA",
                    source_ip="192.0.2.7",
                    private_ip="10.0.1.1",
                    remote_port=22,
                    opened_at=now,
                    expires_at=now + timedelta(seconds=3600),
                    bytes_in=3,
                )
            )
            opened = event(
                EventSource(
                    account="123456789012",
                    region="us-east-1",
                    event_source="ec2-instance-connect.amazonaws.com",
                    request_id=f"request of {tunnel_id}",
                    source_ip="192.0.2.7",
                    user_agent="aws-cli",
                    user_identity={"userName": "alice", "accessKeyId": "AKIA"},
                ),
                event_id=f"opening of {tunnel_id}",
                time=now,
                name="OpenTunnel",
                read_only=False,
                request_parameters={"remotePort": "22"},
                outcome=Outcome(additional={"tunnelId": tunnel_id, "decision": {}}),
            )
            tx.audit_records.put(to_record(opened, now))
    return now


def closings(world: World) -> list[dict[str, Any]]:
    with world.store.read() as tx:
        return [json.loads(record.body) for record in tx.audit_records.find(event_name="CloseTunnel")]


def test_the_tunnels_of_a_dead_worker_are_entered_as_closed(world: World) -> None:
    then = carry(world, "gw-dead", "tun-1", "tun-2")
    bury(world, then + timedelta(seconds=20) + GRACE - SECOND)
    assert not closings(world)

    bury(world, then + timedelta(seconds=20) + GRACE)
    by_tunnel = {each["additionalEventData"]["tunnelId"]: each for each in closings(world)}
    assert by_tunnel.keys() == {"tun-1", "tun-2"}
    closed = by_tunnel["tun-1"]
    assert closed["requestID"] == "request of tun-1"
    assert closed["eventID"] != "opening of tun-1"
    assert closed["userIdentity"]["userName"] == "alice"
    assert closed["requestParameters"] == {"remotePort": "22"}
    assert closed["additionalEventData"] == {
        "tunnelId": "tun-1",
        "durationSeconds": 20.0,
        "bytesIn": 3,
        "bytesOut": 0,
        "closeCode": 1006,
        "closeReason": "The gateway worker was lost",
    }
    with world.store.read() as tx:
        assert not tx.tunnels.find()
        assert not tx.gateway_workers.find()

    bury(world, then + timedelta(hours=1))
    assert len(closings(world)) == 2


def test_a_worker_that_renews_its_lease_keeps_its_tunnels(world: World) -> None:
    then = carry(world, "gw-alive", "tun-1")
    renew(world, "gw-alive", then + timedelta(hours=2))
    bury(world, then + timedelta(hours=1))
    assert not closings(world)
    with world.store.read() as tx:
        assert tx.tunnels.find()


def test_a_worker_that_could_not_renew_its_lease_has_a_round_to_do_so(world: World) -> None:
    carry(world, "gw-alive", "tun-1")
    now = world.clock() + timedelta(hours=1)
    rounds = DeadWorkers(replace(world.plane, clock=lambda: now))
    # The store can be written again, by the control plane first.
    assert rounds.end_their_tunnels() == 0
    renew(world, "gw-alive", now + 20 * SECOND)
    assert rounds.end_their_tunnels() == 0
    assert not closings(world)

    now += timedelta(hours=1)
    assert rounds.end_their_tunnels() == 0
    assert rounds.end_their_tunnels() == 1
    assert len(closings(world)) == 1


def test_a_worker_that_comes_back_while_it_is_buried_keeps_what_is_not_entered_yet(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.control.housekeeping.dead_workers._AT_ONCE", 2)
    carry(world, "gw-slow", *(f"tun-{number}" for number in range(5)))
    now = world.clock() + timedelta(hours=1)
    rounds = DeadWorkers(replace(world.plane, clock=lambda: now))
    assert rounds.end_their_tunnels() == 0

    begin = world.store.record
    begun = 0

    def record() -> AbstractContextManager[Transaction]:
        nonlocal begun
        begun += 1
        if begun == 4:  # the round's own, the worker's row, two tunnels
            with begin() as tx:
                assert tx.gateway_workers.get("gw-slow") is None
                tx.gateway_workers.put(worker("gw-slow", now + 20 * SECOND))
        return begin()

    monkeypatch.setattr(world.store, "record", record)
    rounds.end_their_tunnels()
    assert len(closings(world)) == 2
    with world.store.read() as tx:
        assert len(tx.tunnels.find()) == 3


def test_tunnels_that_are_left_without_a_worker_are_entered_as_closed(world: World) -> None:
    then = carry(world, "gw-dead", "tun-1", "tun-2")
    with world.store.write() as tx:
        tx.gateway_workers.delete("gw-dead")
    bury(world, then + timedelta(seconds=59))
    assert not closings(world)
    bury(world, then + timedelta(seconds=60))
    assert [round(closed["additionalEventData"]["durationSeconds"]) for closed in closings(world)] == [60, 60]
    with world.store.read() as tx:
        assert not tx.tunnels.find()


def renew(world: World, worker_id: str, until: datetime) -> None:
    with world.store.write() as tx:
        tx.gateway_workers.put(worker(worker_id, until))


def bury(world: World, at: datetime) -> None:
    """Two rounds, at a time."""
    rounds = DeadWorkers(replace(world.plane, clock=lambda: at))
    rounds.end_their_tunnels()
    rounds.end_their_tunnels()


@pytest.mark.parametrize("name", FALSE)
def test_what_a_thief_entered_in_place_of_an_opening_keeps_no_end_from_being_entered(
    name: str, world: World
) -> None:
    then = carry(world, "gw-dead", "tun-1")
    with world.store.record() as tx:
        tx.audit_records.add(false_record(FALSE[name], then, "a false one"))
    bury(world, then + timedelta(hours=1))
    assert "opening of tun-1" not in [each["eventID"] for each in closings(world)]
    assert len(closings(world)) == 1
