"""Tunnels as objects: who may list and end them, and what an answer tells."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ARNS, World

from hatchway.control.housekeeping.purges import purge_terminations
from hatchway.domain.tunnel import GatewayWorker, Tunnel

ALICE, BOB = ARNS.user("alice"), ARNS.user("bob")


def tunnel_id(number: int) -> str:
    return f"tun-{number:017x}"


def carry(world: World, number: int, **changes: Any) -> None:
    """A tunnel in the store, carried by the worker gw-1 unless another is named."""
    fields: dict[str, Any] = {
        "id": tunnel_id(number),
        "gateway_id": "gw-1",
        "endpoint_id": "eice-1",
        "instance_id": None,
        "principal_arn": ALICE,
        "access_key_id": "AKIA",
        "source_ip": "192.0.2.7",
        "private_ip": "10.0.1.1",
        "remote_port": 22,
        "opened_at": world.clock().replace(microsecond=0),
        "expires_at": world.clock().replace(microsecond=0) + timedelta(hours=1),
        "bytes_in": 5,
        "bytes_out": 7,
        **changes,
    }
    world.change(lambda tx: tx.tunnels.put(Tunnel(**fields)))


def worker(world: World, worker_id: str = "gw-1", *, alive: bool = True) -> None:
    now = world.clock()
    lease = now + timedelta(seconds=20 if alive else -1)
    row = GatewayWorker(id=worker_id, host="gate.example", port=443, started_at=now, lease_until=lease)
    world.change(lambda tx: tx.gateway_workers.put(row))


def allow(action: str, resource: str = "*") -> Mapping[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def code(caught: Any) -> str:
    return str(caught.value.response["Error"]["Code"])


def listed(client: Any, **filters: Any) -> list[str]:
    return [tunnel["TunnelId"] for tunnel in client.list_tunnels(**filters)["Tunnels"]]


def test_a_tunnel_is_told_of_from_end_to_end(world: World) -> None:
    worker(world)
    carry(world, 1, instance_id="i-1")
    (told,) = world.client("hatchway").list_tunnels()["Tunnels"]
    opened, expires = told.pop("OpenedAt"), told.pop("ExpiresAt")
    assert expires - opened == timedelta(hours=1)
    assert told == {
        "TunnelId": tunnel_id(1),
        "TunnelArn": f"arn:aws:hatchway:us-east-1:123456789012:tunnel/{tunnel_id(1)}",
        "PrincipalArn": ALICE,
        "AccessKeyId": "AKIA",
        "SourceIp": "192.0.2.7",
        "InstanceConnectEndpointId": "eice-1",
        "InstanceId": "i-1",
        "PrivateIpAddress": "10.0.1.1",
        "RemotePort": 22,
        "BytesIn": 5,
        "BytesOut": 7,
        "GatewayId": "gw-1",
        "GatewayHost": "gate.example",
    }


def test_tunnels_are_listed_by_endpoint_and_by_principal(world: World) -> None:
    worker(world)
    carry(world, 1)
    carry(world, 2, endpoint_id="eice-2")
    carry(world, 3, principal_arn=BOB)
    client = world.client("hatchway")
    assert listed(client) == [tunnel_id(1), tunnel_id(2), tunnel_id(3)]
    assert listed(client, InstanceConnectEndpointId="eice-2") == [tunnel_id(2)]
    assert listed(client, PrincipalArn=BOB) == [tunnel_id(3)]
    assert listed(client, PrincipalArn=BOB, InstanceConnectEndpointId="eice-2") == []


def test_a_dead_worker_s_tunnels_are_not_open(world: World) -> None:
    worker(world, alive=False)
    carry(world, 1)
    client = world.client("hatchway")
    assert listed(client) == []
    with pytest.raises(ClientError) as caught:
        client.terminate_tunnel(TunnelId=tunnel_id(1))
    assert code(caught) == "ResourceNotFoundException"


def test_pages_hold_each_tunnel_once(world: World) -> None:
    worker(world)
    for number in range(7):
        carry(world, number)
    client = world.client("hatchway")
    pages = list(client.get_paginator("list_tunnels").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Tunnels"]) for page in pages] == [3, 3, 1]
    assert [tunnel["TunnelId"] for page in pages for tunnel in page["Tunnels"]] == [
        tunnel_id(number) for number in range(7)
    ]
    with pytest.raises(ClientError) as caught:
        client.list_tunnels(NextToken="not ours")
    assert code(caught) == "ValidationException"


def test_listing_and_ending_need_their_permissions(world: World) -> None:
    worker(world)
    carry(world, 1)
    carry(world, 2)
    nobody = world.client("hatchway", world.user("nobody"))
    with pytest.raises(ClientError) as caught:
        nobody.list_tunnels()
    assert code(caught) == "AccessDeniedException"
    # Whether there is such a tunnel is not told either.
    for number in (1, 9):
        with pytest.raises(ClientError) as caught:
            nobody.terminate_tunnel(TunnelId=tunnel_id(number))
        assert code(caught) == "AccessDeniedException"

    one = allow("hatchway:TerminateTunnel", ARNS.tunnel(tunnel_id(1)))
    operator = world.client("hatchway", world.user("operator", allow("hatchway:ListTunnels"), one))
    assert listed(operator) == [tunnel_id(1), tunnel_id(2)]
    operator.terminate_tunnel(TunnelId=tunnel_id(1))
    with pytest.raises(ClientError) as caught:
        operator.terminate_tunnel(TunnelId=tunnel_id(2))
    assert code(caught) == "AccessDeniedException"


def test_ending_a_tunnel_leaves_word_for_its_gateway_and_in_the_trail(world: World) -> None:
    worker(world)
    carry(world, 1)
    client = world.client("hatchway")
    before = world.store.position()
    answer = client.terminate_tunnel(TunnelId=tunnel_id(1))
    assert answer["Tunnel"]["TunnelId"] == tunnel_id(1)
    (termination,) = world.store.changes(before).changed["terminations"]
    assert (termination.tunnel_id, termination.requested_by) == (tunnel_id(1), ARNS.root)
    (event,) = world.events("TerminateTunnel")
    assert event["eventSource"] == "hatchway.amazonaws.com"
    assert event["requestParameters"] == {"tunnelId": tunnel_id(1)}
    assert event["resources"][0] == {
        "accountId": "123456789012",
        "type": "Hatchway::Tunnel",
        "ARN": ARNS.tunnel(tunnel_id(1)),
    }
    assert termination.request_id == event["requestID"]

    again = world.store.revision()
    client.terminate_tunnel(TunnelId=tunnel_id(1))
    assert world.store.revision() == again


def test_a_termination_goes_when_its_tunnel_has_gone(world: World) -> None:
    worker(world)
    carry(world, 1)
    carry(world, 2)
    client = world.client("hatchway")
    client.terminate_tunnel(TunnelId=tunnel_id(1))
    client.terminate_tunnel(TunnelId=tunnel_id(2))
    world.change(lambda tx: tx.tunnels.delete(tunnel_id(1)))
    world.change(purge_terminations)
    with world.store.read() as tx:
        assert [row.tunnel_id for row in tx.terminations.find()] == [tunnel_id(2)]


@pytest.mark.parametrize("wrong", ["", "tun-1", "tun-" + "g" * 17, tunnel_id(1) + "0", "../" + tunnel_id(1)])
def test_what_is_no_tunnel_s_id_is_refused(world: World, wrong: str) -> None:
    with pytest.raises(ClientError) as caught:
        world.client("hatchway", parameter_validation=False).terminate_tunnel(TunnelId=wrong)
    assert code(caught) == "ValidationException"
