"""Tunnels of a gateway worker that died: their end is entered, once, and nobody else's."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.control.harness import World

from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.log import to_record
from hatchway.control.dead_workers import GRACE, bury_dead_workers
from hatchway.domain.tunnel import GatewayWorker, Tunnel

SECOND = timedelta(seconds=1)


def carry(world: World, worker_id: str, *tunnel_ids: str) -> None:
    """A worker whose lease runs for 20 seconds, and tunnels that it opened just now."""
    now = world.clock()
    worker = GatewayWorker(
        id=worker_id, host="gw", port=443, started_at=now, lease_until=now + timedelta(seconds=20)
    )
    with world.store.write() as tx:
        tx.gateway_workers.put(worker)
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


def closings(world: World) -> list[dict[str, Any]]:
    with world.store.read() as tx:
        return [json.loads(record.body) for record in tx.audit_records.find(event_name="CloseTunnel")]


def test_the_tunnels_of_a_dead_worker_are_entered_as_closed(world: World) -> None:
    carry(world, "gw-dead", "tun-1", "tun-2")
    bury_after(world, timedelta(seconds=20) + GRACE - SECOND)
    assert not closings(world)

    bury_after(world, timedelta(seconds=20) + GRACE)
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

    bury_after(world, timedelta(hours=1))
    assert len(closings(world)) == 2


def test_a_worker_that_renews_its_lease_keeps_its_tunnels(world: World) -> None:
    carry(world, "gw-alive", "tun-1")
    with world.store.write() as tx:
        (worker,) = tx.gateway_workers.find()
        tx.gateway_workers.put(replace(worker, lease_until=worker.lease_until + timedelta(hours=2)))
    bury_after(world, timedelta(hours=1))
    assert not closings(world)
    with world.store.read() as tx:
        assert tx.tunnels.find()


def bury_after(world: World, passed: timedelta) -> None:
    then = world.clock() + passed
    bury_dead_workers(replace(world.plane, clock=lambda: then))
