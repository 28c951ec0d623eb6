"""What a fleet file declares, as values: everything well formed by itself, references still by name.

A field that is None was not in the file. Each declaration knows its place there, for messages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hatchway.domain.account import Quotas
from hatchway.domain.endpoint import IpAddressType, ProxyProtocol
from hatchway.domain.network import Attributes, InstanceState, Tags
from hatchway.iam import PolicyKind

Documents = Mapping[str, str]
"""Policy documents' texts by the policies' names."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a rule: a range, or a reference to a security group."""

    text: str
    is_range: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredRule:
    place: str
    protocol: str
    ports: tuple[int, int]
    peer: Peer
    id: str | None
    description: str
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSecurityGroup:
    """Rules that are None are those which a group has unless told otherwise."""

    place: str
    name: str
    id: str | None
    description: str | None
    ingress: tuple[DeclaredRule, ...] | None
    egress: tuple[DeclaredRule, ...] | None
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSubnet:
    place: str
    name: str
    id: str | None
    cidrs: tuple[str, ...]
    availability_zone: str | None
    gateway_dns_name: str | None
    attributes: Attributes
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredVpc:
    place: str
    name: str
    id: str | None
    cidrs: tuple[str, ...]
    separate_network: bool
    gateway_dns_name: str | None
    attributes: Attributes
    subnets: tuple[DeclaredSubnet, ...]
    security_groups: tuple[DeclaredSecurityGroup, ...]
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredInstance:
    """`security_groups` None is the VPC's default group."""

    place: str
    name: str
    id: str | None
    subnet: str
    private_ip: str | None
    ipv6: str | None
    security_groups: tuple[str, ...] | None
    state: InstanceState
    instance_type: str | None
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredEndpoint:
    """Addresses are of its interface, which chooses its own when they are None."""

    place: str
    name: str
    id: str | None
    subnet: str
    private_ip: str | None
    ipv6: str | None
    security_groups: tuple[str, ...] | None
    preserve_client_ip: bool
    proxy_protocol: ProxyProtocol | None
    ip_address_type: IpAddressType | None
    max_tunnels: int | None
    gateway_dns_name: str | None
    tags: Tags


@dataclass(frozen=True, slots=True)
class DeclaredDocument:
    """A policy document, wherever in the file it is; its place names the document's own file too."""

    place: str
    text: str
    kind: PolicyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredPolicy:
    place: str
    name: str
    id: str | None
    path: str | None
    description: str
    document: str
    tags: Tags


NO_BOUNDARY: Final = ""
"""A permissions boundary of null in the file: there is to be none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What is attached to an identity. A part that is None is left as it is, or taken away by a pruning."""

    place: str
    policies: tuple[str, ...] | None
    inline: Documents | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundedPermissions(Permissions):
    permissions_boundary: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredUser(BoundedPermissions):
    name: str
    id: str | None
    path: str | None
    groups: tuple[str, ...] | None
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredGroup(Permissions):
    name: str
    id: str | None
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredRole(BoundedPermissions):
    """`max_session_duration` is in seconds."""

    name: str
    id: str | None
    path: str | None
    description: str
    trust: str
    max_session_duration: int
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """A fleet file. `digest` is the SHA-256 of its bytes, in hexadecimal, for the audit trail.

    `documents` are all policy documents of its sections once more, as lint looks at them. `unread` are names
    and ids of things in it that may not have been read, as something is wrong; a sound file has none.
    """

    digest: str
    account: str | None = None
    account_alias: str | None = None
    region: str | None = None
    gateway_dns_name: str | None = None
    quotas: Quotas | None = None
    end_tunnels_with_credentials: bool | None = None
    vpcs: tuple[DeclaredVpc, ...] = ()
    instances: tuple[DeclaredInstance, ...] = ()
    endpoints: tuple[DeclaredEndpoint, ...] = ()
    policies: tuple[DeclaredPolicy, ...] = ()
    groups: tuple[DeclaredGroup, ...] = ()
    users: tuple[DeclaredUser, ...] = ()
    roles: tuple[DeclaredRole, ...] = ()
    guardrails: tuple[str, ...] | None = None
    documents: tuple[DeclaredDocument, ...] = ()
    unread: frozenset[str] = frozenset()
