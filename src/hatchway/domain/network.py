"""The network as Hatchway knows it: VPCs, subnets, security groups, interfaces and instances.

Hatchway makes no network: the fleet file and the API say what there is, and the gateway enforces it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from hatchway.domain.ids import Kind, derived_id

Tags = Mapping[str, str]
"""Up to 50 keys of at most 128 characters, values of at most 256 (AWS: "Tag your EC2 resources")."""

ANY_PORT = (0, 65535)
PROTOCOLS_WITH_PORTS = frozenset({"tcp", "udp"})
ICMP = frozenset({"icmp", "icmpv6"})
ANY_ICMP_TYPE = (-1, -1)
_OF_GROUP_NAMES = r"A-Za-z0-9._:/()#,@\[\]+=&;{}!$*-"
GROUP_NAME = f"[{_OF_GROUP_NAMES}](?:[ {_OF_GROUP_NAMES}]{{0,253}}[{_OF_GROUP_NAMES}])?"
"""A pattern of what security groups may be called (AWS: CreateSecurityGroup)."""
GROUP_DESCRIPTION = f"[ {_OF_GROUP_NAMES}]{{0,255}}"
"""The same of what the API takes for a description of a group or of a rule. A fleet file may say any line."""
DEFAULT_GROUP_NAME = "default"


class InstanceState(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATED = "terminated"


Attributes = Mapping[str, bool]
"""Settings of a VPC or subnet that are kept and told, by the names of EC2's parameters: those that were set.

They are for what AWS does in its networks, such as name service. Hatchway does nothing with them.
"""
VPC_ATTRIBUTES: Attributes = MappingProxyType(
    {"EnableDnsHostnames": False, "EnableDnsSupport": True, "EnableNetworkAddressUsageMetrics": False}
)
SUBNET_ATTRIBUTES: Attributes = MappingProxyType(
    {
        "AssignIpv6AddressOnCreation": False,
        "EnableDns64": False,
        "EnableResourceNameDnsAAAARecordOnLaunch": False,
        "EnableResourceNameDnsARecordOnLaunch": False,
        "MapPublicIpOnLaunch": False,
    }
)
"""Those that there are, each with what it is unless set (AWS: ModifyVpcAttribute, ModifySubnetAttribute)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc:
    """A private network. `cidrs` are its ranges, IPv4 and IPv6.

    One that is a `separate_network` is served only by gateways that are bound to it, so that its ranges may
    overlap others'. `gateway_dns_name` is its endpoints' DNS name, None for the account's (`gateway_names`).
    """

    id: str
    name: str
    cidrs: tuple[str, ...]
    separate_network: bool = False
    gateway_dns_name: str | None = None
    attributes: Attributes = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A part of a VPC in one availability zone. `gateway_dns_name` is its endpoints' DNS name, None for the
    VPC's."""

    id: str
    vpc_id: str
    name: str
    cidrs: tuple[str, ...]
    availability_zone: str
    gateway_dns_name: str | None = None
    attributes: Attributes = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One permission of a security group. Tunnels carry TCP: others are kept and told.

    `peer` is a CIDR range or the id of a security group: the source of an ingress rule, the destination of an
    egress rule. `protocol` is `tcp`, `udp`, `icmp`, `icmpv6` or `-1` (every protocol), as EC2 writes it; the
    ports of ICMP are its type and code, here always any.
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
class SecurityGroupRule:
    """A rule as a thing of its own: with an id, a description and tags. Its group's list is what is in force.

    The store has one for each rule of each group, always: what is written without one gets one by itself.
    """

    id: str
    group_id: str
    egress: bool
    protocol: str
    from_port: int
    to_port: int
    peer: str
    description: str = ""
    tags: Tags = field(default_factory=dict)

    @property
    def rule(self) -> Rule:
        """What it says, as its group's list has it."""
        return Rule(self.protocol, self.from_port, self.to_port, self.peer)


def derived_rule(account: str, group_id: str, rule: Rule, *, egress: bool) -> SecurityGroupRule:
    """A rule under the id that follows from what it says and of which group."""
    direction = "egress" if egress else "ingress"
    name = f"{group_id} {direction} {rule.protocol} {rule.from_port} {rule.to_port} {rule.peer}"
    return SecurityGroupRule(
        id=derived_id(Kind.SECURITY_GROUP_RULE, account, name),
        group_id=group_id,
        egress=egress,
        protocol=rule.protocol,
        from_port=rule.from_port,
        to_port=rule.to_port,
        peer=rule.peer,
    )


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

    `instance_type` is what somebody calls its kind, None when nobody does. `registered_at` is since when it
    is known, in UTC; None of those that a version without this has registered. Where one is that has
    `registered_itself`, it says itself: nobody decided that tunnels may lead there.
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
    registered_at: datetime | None = None
    registered_itself: bool = False
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
