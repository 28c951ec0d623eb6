"""The tunnels that gateways carry, for those who may list and end them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatchway.client.api.ids import is_whole, only_one, whole_id
from hatchway.client.api.profile import api_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from hatchway.client.api.profile import Profile

_SERVICE = "hatchway"
_LARGEST_PAGES = {"PageSize": 1000}
"""Each page is a call, with its record in the audit trail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTunnel:
    """`bytes_in` went from the client to the target, `bytes_out` the other way, as of a few seconds ago."""

    tunnel_id: str
    principal_arn: str
    access_key_id: str
    source_ip: str
    endpoint_id: str
    instance_id: str | None
    private_ip_address: str
    remote_port: int
    opened_at: datetime
    expires_at: datetime
    bytes_in: int
    bytes_out: int
    gateway_id: str
    gateway_host: str | None


def list_tunnels(profile: Profile, *, endpoint_id: str | None, principal_arn: str | None) -> list[OpenTunnel]:
    """The tunnels that are open, of one endpoint or principal when these are given.

    Raises:
        NotFound: no endpoint's id begins so, or several do.
        ApiError, NotConfigured: the control plane refuses, or cannot be asked.
    """
    filters = {"InstanceConnectEndpointId": endpoint_id, "PrincipalArn": principal_arn}
    client = profile.api(_SERVICE)
    if endpoint_id is not None and not is_whole(endpoint_id):
        filters["InstanceConnectEndpointId"] = whole_id(profile.api("ec2"), endpoint_id)
    with api_errors("ListTunnels"):
        return list(_pages(client, {name: value for name, value in filters.items() if value is not None}))


def terminate_tunnel(profile: Profile, tunnel_id: str) -> OpenTunnel:
    """Has a tunnel ended, by its id or the beginning of it, for which tunnels are listed; what it was.

    Raises:
        NotFound: no id of an open tunnel begins so, or several do.
        ApiError, NotConfigured: the control plane refuses, or cannot be asked.
    """
    client = profile.api(_SERVICE)
    if not is_whole(tunnel_id):
        with api_errors("ListTunnels"):
            tunnel_id = only_one(tunnel_id, [tunnel.tunnel_id for tunnel in _pages(client, {})])
    with api_errors("TerminateTunnel"):
        return _tunnel(client.terminate_tunnel(TunnelId=tunnel_id)["Tunnel"])


def _pages(client: Any, filters: dict[str, str]) -> Iterator[OpenTunnel]:
    pages = client.get_paginator("list_tunnels").paginate(**filters, PaginationConfig=_LARGEST_PAGES)
    for page in pages:
        yield from map(_tunnel, page["Tunnels"])


def _tunnel(answer: dict[str, Any]) -> OpenTunnel:
    return OpenTunnel(
        tunnel_id=answer["TunnelId"],
        principal_arn=answer["PrincipalArn"],
        access_key_id=answer["AccessKeyId"],
        source_ip=answer["SourceIp"],
        endpoint_id=answer["InstanceConnectEndpointId"],
        instance_id=answer.get("InstanceId"),
        private_ip_address=answer["PrivateIpAddress"],
        remote_port=answer["RemotePort"],
        opened_at=answer["OpenedAt"],
        expires_at=answer["ExpiresAt"],
        bytes_in=answer["BytesIn"],
        bytes_out=answer["BytesOut"],
        gateway_id=answer["GatewayId"],
        gateway_host=answer.get("GatewayHost"),
    )
