"""Making and modifying an Instance Connect Endpoint and its interface, for the API and the fleet file.

Pure: the caller looks up what is taken and puts the nouns that come back.
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from hatchway.domain.addresses import parse_address, within
from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType, ProxyProtocol
from hatchway.domain.ids import Kind, derived_id
from hatchway.domain.network import NetworkInterface, Subnet, Tags

INTERFACE_TAG = "InstanceConnectEndpointId"
"""The tag that the service puts on the interface that it makes."""

VERSIONS: Final = {
    IpAddressType.IPV4: frozenset({4}),
    IpAddressType.DUALSTACK: frozenset({4, 6}),
    IpAddressType.IPV6: frozenset({6}),
}
"""The IP versions of which an endpoint's interface has an address."""


class CannotCreateEndpoint(ValueError):
    """The endpoint cannot be as asked for; the message completes "the endpoint …"."""


class CannotPreserveClientIp(CannotCreateEndpoint):
    """The client's address is to be kept on an endpoint whose tunnels are not all IPv4."""


class NoFreeAddress(CannotCreateEndpoint):
    """Every address of the subnet is in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOrder:
    """What is asked for.

    `ip_address_type` None follows the subnet, `max_tunnels` None the account's quota.
    `security_group_ids` are already chosen: at least one, those of the VPC. `addresses` are what its
    interface is to have, by IP version; where they say nothing it gets a free one.
    """

    account: str
    endpoint_id: str
    subnet: Subnet
    security_group_ids: tuple[str, ...]
    dns_name: str
    preserve_client_ip: bool = False
    ip_address_type: IpAddressType | None = None
    name: str | None = None
    max_tunnels: int | None = None
    proxy_protocol: ProxyProtocol | None = None
    gateway_dns_name: str | None = None
    addresses: Mapping[int, str] = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)


def new_endpoint(
    order: EndpointOrder, *, taken: Collection[str], now: datetime
) -> tuple[Endpoint, NetworkInterface]:
    """The endpoint, complete, and its interface with a free address of each family that it uses.

    Args:
        taken: addresses of the subnet that instances and other interfaces hold, as the nouns write them.

    Raises:
        NoFreeAddress: the subnet is full.
        CannotCreateEndpoint: the subnet has no range of the family, or the client's address cannot be kept.
    """
    kind = _checked(order)
    addresses = {
        version: order.addresses.get(version) or free_address(order.subnet.cidrs, taken, version)
        for version in VERSIONS[kind]
    }
    interface_id = interface_id_of(order.account, order.endpoint_id)
    endpoint = Endpoint(
        id=order.endpoint_id,
        name=order.name,
        vpc_id=order.subnet.vpc_id,
        subnet_id=order.subnet.id,
        availability_zone=order.subnet.availability_zone,
        dns_name=order.dns_name,
        state=EndpointState.CREATE_COMPLETE,
        state_message="",
        created_at=now,
        deleted_at=None,
        security_group_ids=order.security_group_ids,
        network_interface_ids=(interface_id,),
        preserve_client_ip=order.preserve_client_ip,
        ip_address_type=kind,
        max_tunnels=order.max_tunnels,
        proxy_protocol=order.proxy_protocol,
        gateway_dns_name=order.gateway_dns_name,
        tags=order.tags,
    )
    interface = NetworkInterface(
        id=interface_id,
        vpc_id=order.subnet.vpc_id,
        subnet_id=order.subnet.id,
        endpoint_id=order.endpoint_id,
        private_ip=addresses.get(4),
        ipv6=addresses.get(6),
        security_group_ids=order.security_group_ids,
        description=f"EC2 Instance Connect Endpoint {order.endpoint_id}",
        tags={INTERFACE_TAG: order.endpoint_id},
    )
    return endpoint, interface


def modified_endpoint(
    endpoint: Endpoint,
    interface: NetworkInterface,
    order: EndpointOrder,
    *,
    taken: Collection[str],
) -> tuple[Endpoint, NetworkInterface]:
    """The endpoint and its interface as `order` has them; both as they were when that changes nothing.

    The interface keeps an address that still is of the subnet and not taken. The state becomes
    update-complete when something changes that ModifyInstanceConnectEndpoint changes.

    Args:
        taken: addresses of the subnet that others hold, as the nouns write them.

    Raises:
        NoFreeAddress, CannotCreateEndpoint: as `new_endpoint` does.
    """
    kind = _checked(order)
    held = {4: interface.private_ip, 6: interface.ipv6}
    addresses = {
        version: order.addresses.get(version)
        or _kept(held[version], order.subnet, taken)
        or free_address(order.subnet.cidrs, taken, version)
        for version in VERSIONS[kind]
    }
    changed = replace(
        endpoint,
        security_group_ids=order.security_group_ids,
        preserve_client_ip=order.preserve_client_ip,
        ip_address_type=kind,
    )
    if changed != endpoint:
        changed = replace(changed, state=EndpointState.UPDATE_COMPLETE, state_message="")
    changed = replace(
        changed,
        name=order.name,
        vpc_id=order.subnet.vpc_id,
        availability_zone=order.subnet.availability_zone,
        max_tunnels=order.max_tunnels,
        proxy_protocol=order.proxy_protocol,
        gateway_dns_name=order.gateway_dns_name,
        tags=order.tags,
    )
    return changed, replace(
        interface,
        vpc_id=order.subnet.vpc_id,
        private_ip=addresses.get(4),
        ipv6=addresses.get(6),
        security_group_ids=order.security_group_ids,
    )


def _kept(address: str | None, subnet: Subnet, taken: Collection[str]) -> str | None:
    if address is None or address in taken or not within(parse_address(address), subnet.cidrs):
        return None
    return address


def interface_id_of(account: str, endpoint_id: str) -> str:
    """The id of an endpoint's interface, which lives and dies with it."""
    return derived_id(Kind.NETWORK_INTERFACE, account, endpoint_id)


def _checked(order: EndpointOrder) -> IpAddressType:
    """The address type of what is ordered.

    Raises:
        CannotCreateEndpoint: as `checked_ip_address_type` does, or the client's address is to be told twice.
    """
    if order.preserve_client_ip and order.proxy_protocol is not None:
        raise CannotCreateEndpoint(
            "cannot both preserve the client's address and tell it by proxy_protocol: take one of them away"
        )
    return checked_ip_address_type(order.subnet, order.ip_address_type, order.preserve_client_ip)


def checked_ip_address_type(
    subnet: Subnet, asked: IpAddressType | None, preserve_client_ip: bool
) -> IpAddressType:
    """The address type of an endpoint in a subnet: what is asked for, else what the subnet has.

    Source: AWS, "CreateInstanceConnectEndpoint".

    Raises:
        CannotPreserveClientIp: PreserveClientIp is not with `ipv4`.
        CannotCreateEndpoint: the subnet lacks a family.
    """
    present = {ipaddress.ip_network(cidr).version for cidr in subnet.cidrs}
    by_subnet = next(kind for kind, versions in VERSIONS.items() if versions == present)
    kind = asked or by_subnet
    missing = sorted(VERSIONS[kind] - present)
    if missing:
        raise CannotCreateEndpoint(f"cannot be {kind}: subnet {subnet.id} has no IPv{missing[0]} range")
    if preserve_client_ip and kind is not IpAddressType.IPV4:
        raise CannotPreserveClientIp(f"can preserve the client's address only when it is ipv4, not {kind}")
    return kind


def free_address(cidrs: Iterable[str], taken: Collection[str], version: int) -> str:
    """The highest free address of a subnet's ranges of one IP version.

    The first four addresses of a range and its last are AWS's own ("Subnet CIDR blocks"); ranges smaller than
    AWS has lose just the first and the last. Highest, because people number their hosts from the bottom.

    Raises:
        NoFreeAddress: there is none.
    """
    for network in map(ipaddress.ip_network, cidrs):
        if network.version != version:
            continue
        size = network.num_addresses
        first, last = (4, 1) if size >= 16 else (1, 1) if size >= 4 else (0, 0)
        for offset in range(size - 1 - last, first - 1, -1):
            address = str(network[offset])
            if address not in taken:
                return address
    raise NoFreeAddress(f"needs an IPv{version} address, and its subnet has none left")
