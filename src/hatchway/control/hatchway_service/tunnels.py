"""The service `hatchway`: the tunnels that gateways carry, as objects."""

from typing import Any, Final

from sqlalchemy import select

from hatchway.access.authorization import Check
from hatchway.control.hatchway_service.paging import DEFAULT_SIZE, make_token, position_of
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.tunnel import GatewayWorker, Termination, Tunnel
from hatchway.protocol import ServiceError
from hatchway.store import NowThere
from hatchway.store.tables import gateway_workers, tunnels

_FILTERS: Final = {"InstanceConnectEndpointId": "endpoint_id", "PrincipalArn": "principal_arn"}


@operation("hatchway", "ListTunnels", reads_only=True)
def list_tunnels(call: Call) -> Result:
    """The tunnels that workers carry that are alive, in the order of their ids."""
    after = position_of(call.parameters.get("NextToken"))
    size = call.parameters.get("MaxResults") or DEFAULT_SIZE
    equal = {column: call.parameters[name] for name, column in _FILTERS.items() if name in call.parameters}

    call.authorize(Check("hatchway:ListTunnels"))

    call.tx.wait_briefly()
    found = call.tx.tunnels.find(_carried(call), tunnels.c.id > after, limit=size + 1, **equal)
    page = found[:size]
    workers = {worker.id: worker for worker in call.tx.gateway_workers.find()}
    return {
        "Tunnels": [_result(call, tunnel, workers.get(tunnel.gateway_id)) for tunnel in page],
        "NextToken": make_token(page[-1].id) if len(found) > size else None,
    }


def look_for(call: Call) -> Result:
    """The tunnel, as TerminateTunnel tells of it: looked for while others may write, for gateways may have
    locked it."""
    tunnel_id = _authorized(call)
    call.tx.wait_briefly()
    found = call.tx.tunnels.find(_carried(call), id=tunnel_id)
    if not found:
        raise ServiceError("ResourceNotFoundException", f"The tunnel {tunnel_id} is not open.")
    return _result(call, found[0], call.tx.gateway_workers.get(found[0].gateway_id))


@operation("hatchway", "TerminateTunnel", reads_only=False, prepare=look_for)
def terminate_tunnel(call: Call) -> Result:
    """Has the gateway that carries a tunnel end it. To ask twice is to ask once."""
    tunnel_id = _authorized(call)

    if call.tx.terminations.get(tunnel_id) is None:
        call.tx.terminations.put(
            Termination(
                tunnel_id=tunnel_id,
                requested_by=call.caller.principal.arn,
                request_id=call.request_id,
                requested_at=call.now,
            )
        )
    return {"Tunnel": call.prepared}


def _authorized(call: Call) -> str:
    """The id of the tunnel that the caller may end."""
    tunnel_id: str = call.parameters["TunnelId"]
    call.authorize(Check("hatchway:TerminateTunnel", (call.arns.tunnel(tunnel_id),)))
    return tunnel_id


def _carried(call: Call) -> Any:
    """The condition that a living worker carries the tunnel."""
    alive = select(gateway_workers.c.id).where(gateway_workers.c.lease_until > NowThere(call.now))
    return tunnels.c.gateway_id.in_(alive)


def _result(call: Call, tunnel: Tunnel, worker: GatewayWorker | None) -> Result:
    return {
        "TunnelId": tunnel.id,
        "TunnelArn": call.arns.tunnel(tunnel.id),
        "PrincipalArn": tunnel.principal_arn,
        "AccessKeyId": tunnel.access_key_id,
        "SourceIp": tunnel.source_ip,
        "InstanceConnectEndpointId": tunnel.endpoint_id,
        "InstanceId": tunnel.instance_id,
        "PrivateIpAddress": tunnel.private_ip,
        "RemotePort": tunnel.remote_port,
        "OpenedAt": tunnel.opened_at,
        "ExpiresAt": tunnel.expires_at,
        "BytesIn": tunnel.bytes_in,
        "BytesOut": tunnel.bytes_out,
        "GatewayId": tunnel.gateway_id,
        "GatewayHost": None if worker is None else worker.host,
    }
