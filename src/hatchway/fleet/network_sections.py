"""The sections of the file that describe the network: `vpcs`, `instances`, `endpoints`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hatchway.domain.endpoint import MAX_SECURITY_GROUPS, IpAddressType, ProxyProtocol
from hatchway.domain.ids import ENDPOINT_ID
from hatchway.domain.network import ANY_PORT, InstanceState
from hatchway.fleet import values
from hatchway.fleet.declarations import (
    DeclaredEndpoint,
    DeclaredInstance,
    DeclaredRule,
    DeclaredSecurityGroup,
    DeclaredSubnet,
    DeclaredVpc,
)
from hatchway.fleet.fields import Fields, Reader, each, items_of, known, unique
from hatchway.fleet.problems import Problems, quoted

VPC_KEYS: Final = known(
    "id", "cidr", "separate_network", "gateway_dns_name", "subnets", "security_groups", "tags"
)
SUBNET_KEYS: Final = known("id", "cidr", "availability_zone", "tags")
GROUP_KEYS: Final = known("id", "description", "ingress", "egress", "tags")
INSTANCE_KEYS: Final = known("id", "subnet", "private_ip", "ipv6", "security_groups", "state", "tags")
ENDPOINT_KEYS: Final = known(
    "id",
    "subnet",
    "security_groups",
    "preserve_client_ip",
    "proxy_protocol",
    "ip_address_type",
    "max_tunnels",
    "private_ip",
    "ipv6",
    "tags",
)
MAX_TUNNELS: Final = 1_000_000

# A slash joins the name of a VPC to that of what is in it, so no name has one.
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9 ._:@+=,()-]{0,126}[A-Za-z0-9._:@+=,()-])?")
_NAME_RULE: Final = (
    "up to 128 letters, digits, spaces and ._-:@+=,() are a name, no slash, no space at its ends"
)
_ZONE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_REFERENCE: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,300}")
_LOOKS_LIKE_RANGE: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/.*)?|[0-9a-fA-F:]*:[0-9a-fA-F:.]*(/.*)?")


def _id(prefix: str) -> Reader[str]:
    return values.text(
        re.compile(rf"{prefix}-[0-9a-zA-Z]{{1,32}}"), f"an id such as {prefix}-0123456789abcdef0"
    )


_vpc_id, _subnet_id, _group_id = _id("vpc"), _id("subnet"), _id("sg")
# What SendSSHPublicKey takes in the AWS CLI and SDKs (botocore's model): no key could be pushed to any other.
_instance_id: Final = values.text(
    re.compile(r"i-[0-9a-f]{8,30}"), "an id such as i-0123456789abcdef0, with 8 to 30 of 0-9 and a-f"
)
_endpoint_id: Final = values.text(
    re.compile(rf"(?=.{{1,64}}\Z){ENDPOINT_ID.pattern}"), "an id such as eice-0123456789abcdef0"
)
reference: Final = values.text(_REFERENCE, "a name or an id")
_groups: Final = unique(reference)
_dns_name: Final = values.text(
    re.compile(r"(?=.{1,253}\Z)[0-9a-zA-Z-]{1,63}(\.[0-9a-zA-Z-]{1,63})*"),
    "a DNS name such as hatchway.example",
)
_description: Final = values.one_line(255)
_zone: Final = values.text(_ZONE, "an availability zone such as us-east-1a")
_tunnels: Final = values.integer(1, MAX_TUNNELS, "a number of tunnels")
_state: Final = values.choice(InstanceState)
_address_type: Final = values.choice(IpAddressType)
_proxy_protocol: Final = values.choice(ProxyProtocol)


def _named(key: str, place: str, problems: Problems) -> bool:
    good = _NAME.fullmatch(key) is not None
    if not good:
        problems.add(place, f"{quoted(key)} is not a name: {_NAME_RULE}")
    return good


def read_vpcs(value: Any, place: str, problems: Problems) -> tuple[DeclaredVpc, ...]:
    found = (_vpc(*item, problems) for item in items_of(value, place, problems))
    return tuple(vpc for vpc in found if vpc is not None)


def _vpc(name: str, value: Any, place: str, problems: Problems) -> DeclaredVpc | None:
    fields = Fields(value, place, VPC_KEYS, problems)
    named = _named(name, place, problems)
    vpc_id = fields.take("id", _vpc_id)
    before = len(problems)
    ranges = fields.demand("cidr", values.cidrs)
    ranges_sound = len(problems) == before
    separate = fields.take("separate_network", values.boolean)
    dns_name = fields.take("gateway_dns_name", _dns_name)
    tags = fields.take("tags", values.tags)
    inside = [
        _subnet(*item, problems) for item in items_of(fields.raw("subnets"), f"{place}.subnets", problems)
    ]
    groups = [
        _security_group(*item, problems)
        for item in items_of(fields.raw("security_groups"), f"{place}.security_groups", problems)
    ]
    # Whatever else is wrong with it, what is in it can be looked at.
    if not named or not ranges_sound or ranges is None:
        return None
    return DeclaredVpc(
        place=place,
        name=name,
        id=vpc_id,
        cidrs=ranges,
        separate_network=bool(separate),
        gateway_dns_name=dns_name and dns_name.lower(),
        subnets=tuple(subnet for subnet in inside if subnet is not None),
        security_groups=tuple(group for group in groups if group is not None),
        tags=tags or {},
    )


def _subnet(name: str, value: Any, place: str, problems: Problems) -> DeclaredSubnet | None:
    fields = Fields(value, place, SUBNET_KEYS, problems)
    _named(name, place, problems)
    subnet_id = fields.take("id", _subnet_id)
    ranges = fields.demand("cidr", values.cidrs)
    zone = fields.take("availability_zone", _zone)
    tags = fields.take("tags", values.tags)
    if not fields.valid or ranges is None:
        return None
    return DeclaredSubnet(
        place=place, name=name, id=subnet_id, cidrs=ranges, availability_zone=zone, tags=tags or {}
    )


def _security_group(name: str, value: Any, place: str, problems: Problems) -> DeclaredSecurityGroup | None:
    fields = Fields(value, place, GROUP_KEYS, problems)
    named = _named(name, place, problems)
    group_id = fields.take("id", _group_id)
    description = fields.take("description", _description)
    ingress = fields.take("ingress", _ingress)
    egress = fields.take("egress", _egress)
    tags = fields.take("tags", values.tags)
    if not named:
        return None
    return DeclaredSecurityGroup(
        place=place,
        name=name,
        id=group_id,
        description=description,
        ingress=ingress,
        egress=egress,
        tags=tags or {},
    )


def _rule(peer_key: str) -> Reader[DeclaredRule]:
    keys = known("protocol", "ports", peer_key)

    def read(value: Any, place: str, problems: Problems) -> DeclaredRule | None:
        fields = Fields(value, place, keys, problems)
        protocol = fields.take("protocol", _protocol) or "tcp"
        every = protocol == "-1"
        ports = fields.take("ports", values.ports) if every else fields.demand("ports", values.ports)
        peer = fields.demand(peer_key, _peer)
        if every and ports not in (None, ANY_PORT):
            fields.problem("ports", "protocol 'all' has no ports: leave them out, or say protocol tcp")
        if not fields.valid or peer is None:
            return None
        text, is_range = peer
        return DeclaredRule(
            place=place, protocol=protocol, ports=ports or ANY_PORT, peer=text, is_range=is_range
        )

    return read


# Tunnels carry TCP alone, so a rule is for that or for everything, which EC2 writes -1.
_PROTOCOLS: Final[Mapping[str | int, str]] = {"tcp": "tcp", "all": "-1", "-1": "-1", -1: "-1"}


def _protocol(value: Any, place: str, problems: Problems) -> str | None:
    found = _PROTOCOLS.get(value) if isinstance(value, str | int) else None
    if found is None:
        problems.add(place, f"{quoted(value)} is neither tcp nor all")
    return found


def _peer(value: Any, place: str, problems: Problems) -> tuple[str, bool] | None:
    if isinstance(value, str) and _LOOKS_LIKE_RANGE.fullmatch(value):
        text = values.cidr(value, place, problems)
        return None if text is None else (text, True)
    text = values.text(_REFERENCE, "a range such as 10.0.0.0/16 or a security group")(value, place, problems)
    return None if text is None else (text, False)


def _rules(peer_key: str) -> Reader[tuple[DeclaredRule, ...]]:
    read_each = each(_rule(peer_key))

    def read(value: Any, place: str, problems: Problems) -> tuple[DeclaredRule, ...] | None:
        rules = read_each(value, place, problems)
        seen: set[object] = set()
        for rule in rules or ():
            same = (rule.protocol, rule.ports, rule.peer)
            if same in seen:
                problems.add(rule.place, "the same rule is there twice")
            seen.add(same)
        return rules

    return read


_ingress, _egress = _rules("source"), _rules("destination")


def read_instances(value: Any, place: str, problems: Problems) -> tuple[DeclaredInstance, ...]:
    found = (_instance(*item, problems) for item in items_of(value, place, problems))
    return tuple(instance for instance in found if instance is not None)


def _instance(name: str, value: Any, place: str, problems: Problems) -> DeclaredInstance | None:
    fields = Fields(value, place, INSTANCE_KEYS, problems)
    named = _named(name, place, problems)
    instance_id = fields.take("id", _instance_id)
    subnet = fields.demand("subnet", reference)
    private_ip = fields.take("private_ip", values.ipv4_address)
    ipv6 = fields.take("ipv6", values.ipv6_address)
    groups = fields.take("security_groups", _groups)
    state = fields.take("state", _state)
    tags = fields.take("tags", values.tags)
    if "private_ip" not in fields and "ipv6" not in fields:
        fields.problem(None, "has neither 'private_ip' nor 'ipv6'")
    _check_count(fields, groups)
    if not named or subnet is None:
        return None
    return DeclaredInstance(
        place=place,
        name=name,
        id=instance_id,
        subnet=subnet,
        private_ip=private_ip,
        ipv6=ipv6,
        security_groups=groups,
        state=state or InstanceState.RUNNING,
        tags=tags or {},
    )


def read_endpoints(value: Any, place: str, problems: Problems) -> tuple[DeclaredEndpoint, ...]:
    found = (_endpoint(*item, problems) for item in items_of(value, place, problems))
    return tuple(endpoint for endpoint in found if endpoint is not None)


def _endpoint(name: str, value: Any, place: str, problems: Problems) -> DeclaredEndpoint | None:
    fields = Fields(value, place, ENDPOINT_KEYS, problems)
    _named(name, place, problems)
    endpoint_id = fields.take("id", _endpoint_id)
    subnet = fields.demand("subnet", reference)
    groups = fields.take("security_groups", _groups)
    preserve = fields.take("preserve_client_ip", values.boolean)
    proxy_protocol = fields.take("proxy_protocol", _proxy_protocol)
    address_type = fields.take("ip_address_type", _address_type)
    max_tunnels = fields.take("max_tunnels", _tunnels)
    private_ip = fields.take("private_ip", values.ipv4_address)
    ipv6 = fields.take("ipv6", values.ipv6_address)
    tags = fields.take("tags", values.tags)
    _check_count(fields, groups)
    if not fields.valid or subnet is None:
        return None
    return DeclaredEndpoint(
        place=place,
        name=name,
        id=endpoint_id,
        subnet=subnet,
        private_ip=private_ip,
        ipv6=ipv6,
        security_groups=groups,
        preserve_client_ip=bool(preserve),
        proxy_protocol=proxy_protocol,
        ip_address_type=address_type,
        max_tunnels=max_tunnels,
        tags=tags or {},
    )


def _check_count(fields: Fields, groups: tuple[str, ...] | None) -> None:
    if groups is not None and not 1 <= len(groups) <= MAX_SECURITY_GROUPS:
        fields.problem("security_groups", f"has {len(groups)} groups: 1 to {MAX_SECURITY_GROUPS} are allowed")
