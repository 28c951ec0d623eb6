"""The Instance Connect Endpoint: where tunnels begin (AWS: "EC2 Instance Connect Endpoint")."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hatchway.domain.network import Tags

MAX_SECURITY_GROUPS = 16


class EndpointState(StrEnum):
    CREATE_IN_PROGRESS = "create-in-progress"
    CREATE_COMPLETE = "create-complete"
    CREATE_FAILED = "create-failed"
    UPDATE_IN_PROGRESS = "update-in-progress"
    UPDATE_COMPLETE = "update-complete"
    UPDATE_FAILED = "update-failed"
    DELETE_IN_PROGRESS = "delete-in-progress"
    DELETE_COMPLETE = "delete-complete"
    DELETE_FAILED = "delete-failed"


USABLE_STATES = frozenset(
    {
        EndpointState.CREATE_COMPLETE,
        EndpointState.UPDATE_IN_PROGRESS,
        EndpointState.UPDATE_COMPLETE,
        EndpointState.UPDATE_FAILED,
    }
)
"""The states in which the AWS CLI connects through an endpoint, and in which the gateway lets it."""


class IpAddressType(StrEnum):
    IPV4 = "ipv4"
    DUALSTACK = "dualstack"
    IPV6 = "ipv6"


class ProxyProtocol(StrEnum):
    """How a target is told whose connection it gets (HAProxy, "The PROXY protocol")."""

    V2 = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`max_tunnels` None means the account's quota. `name` is the fleet file's, if it has one. UTC times.

    `proxy_protocol` is in what version a header stands before each tunnel's bytes to its target, None for no
    header; never together with `preserve_client_ip`.

    `gateway_dns_name` is what has been said of this endpoint's own name, `dns_name` what follows from that,
    its subnet, its VPC and the account.
    """

    id: str
    name: str | None
    vpc_id: str
    subnet_id: str
    availability_zone: str
    dns_name: str
    state: EndpointState
    state_message: str
    created_at: datetime
    deleted_at: datetime | None
    security_group_ids: tuple[str, ...]
    network_interface_ids: tuple[str, ...]
    preserve_client_ip: bool
    ip_address_type: IpAddressType
    max_tunnels: int | None
    proxy_protocol: ProxyProtocol | None = None
    gateway_dns_name: str | None = None
    tags: Tags = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return self.state in USABLE_STATES

    @property
    def deleted(self) -> bool:
        return self.state is EndpointState.DELETE_COMPLETE
