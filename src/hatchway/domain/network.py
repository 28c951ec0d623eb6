"""The network as Hatchway knows it: VPCs, subnets, security groups, interfaces and instances.

Hatchway makes none of these things: the fleet file says which exist, and the gateway enforces what it says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Tags = Mapping[str, str]
"""Up to 50 keys of at most 128 characters, values of at most 256 (AWS: "Tag your EC2 resources")."""

ANY_PORT = (0, 65535)
DEFAULT_GROUP_NAME = "default"


class InstanceState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc:
    """A private network. `cidrs` are its ranges, IPv4 and IPv6.

    One that is a `separate_network` is served only by gateways that are bound to it, so that its ranges may
    overlap others'. `gateway_dns_name` is its endpoints' DNS name, None for the account's.
    """

    id: str
    name: str
    cidrs: tuple[str, ...]
    separate_network: bool = False
    gateway_dns_name: str | None = None
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A part of a VPC in one availability zone."""

    id: str
    vpc_id: str
    name: str
    cidrs: tuple[str, ...]
    availability_zone: str
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission of a security group, for TCP.

    `peer` is a CIDR range or the id of a security group: the source of an ingress rule, the destination of an
    egress rule. `protocol` is `tcp` or `-1` (every protocol), as EC2 writes it.
    """

    protocol: str
    from_port: int
    to_port: int
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup:
    id: str
    vpc_id: str
    name: str
    description: str
    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInterface:
    """The interface that an endpoint makes in its subnet; its addresses are the source that targets see."""

    id: str
    vpc_id: str
    subnet_id: str
    endpoint_id: str
    private_ip: str | None
    ipv6: str | None
    security_group_ids: tuple[str, ...]
    description: str
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A host that tunnels may reach. It has a private IPv4 address, an IPv6 address, or both.

    `instance_type` is what somebody calls its kind, None when nobody does.
    """

    id: str
    name: str
    vpc_id: str
    subnet_id: str
    private_ip: str | None
    ipv6: str | None
    security_group_ids: tuple[str, ...]
    state: InstanceState = InstanceState.RUNNING
    instance_type: str | None = None
    tags: Tags = field(default_factory=dict)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for address in (self.private_ip, self.ipv6) if address)


def default_group(group_id: str, vpc_id: str) -> SecurityGroup:
    """The group that every VPC has: members reach each other, and everything may leave.

    Source: AWS, "Default security groups for your VPCs".
    """
    return SecurityGroup(
        id=group_id,
        vpc_id=vpc_id,
        name=DEFAULT_GROUP_NAME,
        description="default VPC security group",
        ingress=(Rule("-1", *ANY_PORT, group_id),),
        egress=(Rule("-1", *ANY_PORT, "0.0.0.0/0"), Rule("-1", *ANY_PORT, "::/0")),
    )
