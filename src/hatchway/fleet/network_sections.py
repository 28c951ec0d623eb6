"""The sections of the file that describe the network: `vpcs`, `instances`, `endpoints`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from hatchway.domain.endpoint import MAX_SECURITY_GROUPS, IpAddressType, ProxyProtocol
from hatchway.domain.ids import ENDPOINT_ID
from hatchway.domain.network import (
    ANY_PORT,
    GROUP_NAME,
    PROTOCOLS_WITH_PORTS,
    SUBNET_ATTRIBUTES,
    VPC_ATTRIBUTES,
    Attributes,
    InstanceState,
)
from hatchway.fleet import values
from hatchway.fleet.declarations import (
    DeclaredEndpoint,
    DeclaredInstance,
    DeclaredRule,
    DeclaredSecurityGroup,
    DeclaredSubnet,
    DeclaredVpc,
    Peer,
)
from hatchway.fleet.fields import Entry, Key, Reader, Table, at, each, items_of, named, reader, unique
from hatchway.fleet.policy_documents import Reading
from hatchway.fleet.problems import quoted, suggestion

MAX_TUNNELS: Final = 1_000_000

# A slash joins the name of a VPC to that of what is in it, so no name has one.
_NAME: Final = values.text(
    re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9 ._:@+=,()-]{0,126}[A-Za-z0-9._:@+=,()-])?"),
    "a name: up to 128 letters, digits, spaces and ._-:@+=,() are a name, no slash, no space at its ends",
)
# The first slash ends the VPC's name, so a group's own may have some, as EC2's may.
_GROUP_NAME: Final = values.text(
    re.compile(GROUP_NAME),
    "a name: up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$* are a name, no space at its ends",
)
_REFERENCE: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,400}")
_LOOKS_LIKE_RANGE: Final = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(/.*)?|[0-9a-fA-F:]*:[0-9a-fA-F:.]*(/.*)?")


def _id(prefix: str) -> Reader[str]:
    return values.text(
        re.compile(rf"{prefix}-[0-9a-zA-Z]{{1,32}}"), f"an id such as {prefix}-0123456789abcdef0"
    )


# What SendSSHPublicKey takes in the AWS CLI and SDKs (botocore's model): no key could be pushed to any other.
_instance_id: Final = values.text(
    re.compile(r"i-[0-9a-f]{8,30}"), "an id such as i-0123456789abcdef0, with 8 to 30 of 0-9 and a-f"
)
_endpoint_id: Final = values.text(
    re.compile(rf"(?=.{{1,64}}$){ENDPOINT_ID.pattern}"), "an id such as eice-0123456789abcdef0"
)
_instance_type: Final = values.text(
    re.compile(r"[a-z0-9][a-z0-9.-]{0,63}"), "an instance type: up to 64 of a-z, 0-9, dots and dashes"
)
_reference: Final = values.text(_REFERENCE, "a name or an id")
_zone: Final = values.text(re.compile(r"[a-z0-9][a-z0-9-]{0,62}"), "an availability zone such as us-east-1a")
_LABEL: Final = r"[0-9a-zA-Z]([0-9a-zA-Z-]{0,61}[0-9a-zA-Z])?"
_dns_text: Final = values.text(
    # With an endpoint's id, of 22 characters, in the place of the label that stands for it, 253 characters at
    # most. To clients what ends with a number is an address.
    re.compile(
        r"(?=.{1,253}$)(?!(.*\.)?[0-9]+$)"
        rf"({_LABEL}|\{{endpoint_id\}}(?=.{{0,231}}$)\.{_LABEL})(\.{_LABEL})*"
    ),
    "a DNS name such as hatchway.example or {endpoint_id}.hatchway.example",
)


@reader(_dns_text.schema)
def dns_name(value: Any, place: str, reading: Reading) -> str | None:
    name = _dns_text(value, place, reading)
    return name and name.lower()


_some_groups: Final = unique(_reference)


@reader({**_some_groups.schema, "minItems": 1, "maxItems": MAX_SECURITY_GROUPS})
def _security_groups(value: Any, place: str, reading: Reading) -> tuple[str, ...] | None:
    groups = _some_groups(value, place, reading)
    if groups is not None and not 1 <= len(groups) <= MAX_SECURITY_GROUPS:
        reading.add(place, f"has {len(groups)} groups: 1 to {MAX_SECURITY_GROUPS} are allowed")
    return groups


def _id_key(read: Reader[str]) -> Key:
    return Key(read=read, about="An id to keep; by default it follows from account, kind and name.")


_TAGS: Final = Key(read=values.tags, about="Tags, as EC2 has them.", default={})
_SUBNET_OF: Final = Key(
    read=_reference, about="The subnet: `vpc/subnet`, or its id.", to="subnet", required=True
)
_GROUPS_OF: Final = Key(
    read=_security_groups,
    about="Security groups of the VPC, by name or id: 1 to 16. By default the VPC's group `default`.",
)

_NAME_OF_GATEWAYS: Final = (
    "Where clients find the gateways of {}; `{{endpoint_id}}` stands for an endpoint's id."
)

_ABOUT_ATTRIBUTES: Final = "Settings that AWS's tools make and read; Hatchway does nothing with them."


def _attributes(known: Attributes) -> Reader[Attributes]:
    @reader(
        {
            "type": "object",
            "properties": dict.fromkeys(known, values.boolean.schema),
            "additionalProperties": False,
        }
    )
    def read(value: Any, place: str, reading: Reading) -> Attributes:
        found: dict[str, bool] = {}
        for name, item, inside in items_of(value, place, reading):
            if name not in known:
                reading.add(inside, f"is not known here{suggestion(name, known)}")
                continue
            setting = values.boolean(item, inside, reading)
            if setting is not None:
                found[name] = setting
        return found

    return read


# --- rules of security groups -----------------------------------------------------------------------------

# What EC2 writes -1 is everything.
_PROTOCOLS: Final[Mapping[str | int, str]] = {
    **{name: name for name in ("tcp", "udp", "icmp", "icmpv6")},
    **dict.fromkeys(("all", "-1", -1), "-1"),
}


@reader({"enum": list(_PROTOCOLS)})
def _protocol(value: Any, place: str, reading: Reading) -> str | None:
    found = _PROTOCOLS.get(value) if isinstance(value, str | int) else None
    if found is None:
        reading.add(place, f"{quoted(value)} is not tcp, udp, icmp, icmpv6 or all")
    return found


_group_reference: Final = values.text(_REFERENCE, "a range such as 10.0.0.0/16 or a security group")


@reader(_group_reference.schema)
def _peer(value: Any, place: str, reading: Reading) -> Peer | None:
    is_range = isinstance(value, str) and _LOOKS_LIKE_RANGE.fullmatch(value) is not None
    text = (values.cidr if is_range else _group_reference)(value, place, reading)
    return None if text is None else Peer(text, is_range)


def _check_ports(entry: Entry, reading: Reading) -> None:
    protocol = entry.values["protocol"]
    if protocol in PROTOCOLS_WITH_PORTS:
        if "ports" not in entry.content:
            reading.add(entry.place, "has no 'ports'")
    elif entry.values["ports"] != ANY_PORT:
        called = "all" if protocol == "-1" else protocol
        reading.add(
            at(entry.place, "ports"),
            f"protocol {called!r} has no ports: leave them out, or say protocol tcp",
        )


def _rule_table(peer_key: str) -> Table[DeclaredRule]:
    return Table(
        declares=DeclaredRule,
        keys={
            "protocol": Key(
                read=_protocol,
                about="`tcp`, which tunnels carry, `udp`, or `icmp`, `icmpv6`, `all` without ports.",
                default="tcp",
            ),
            "ports": Key(read=values.ports, about="`22`, `8000-8010` or `all`.", default=ANY_PORT),
            peer_key: Key(
                read=_peer, about="A range, or a security group of the VPC.", to="peer", required=True
            ),
            "id": _id_key(_id("sgr")),
            "description": Key(read=values.one_line(255), about="What the rule is for.", default=""),
            "tags": _TAGS,
        },
        check=_check_ports,
    )


def _rules(peer_key: str) -> Reader[tuple[DeclaredRule, ...]]:
    table = _rule_table(peer_key)
    read_each = each(
        Reader(lambda value, place, reading: table.read(value, place, reading, place=place), table.schema)
    )

    @reader(read_each.schema)
    def read(value: Any, place: str, reading: Reading) -> tuple[DeclaredRule, ...] | None:
        rules = read_each(value, place, reading)
        seen: set[object] = set()
        for rule in rules or ():
            same = (rule.protocol, rule.ports, rule.peer)
            if same in seen:
                reading.add(rule.place, "the same rule is there twice")
            seen.add(same)
        return rules

    return read


# --- the sections -----------------------------------------------------------------------------------------

SUBNET: Final = Table(
    declares=DeclaredSubnet,
    keys={
        "id": _id_key(_id("subnet")),
        "cidr": Key(
            read=values.cidrs,
            about="A range or a list of them, within the VPC's and over no other subnet's.",
            to="cidrs",
            required=True,
        ),
        "availability_zone": Key(read=_zone, about="By default the region's `a`."),
        "gateway_dns_name": Key(
            read=dns_name, about=f"{_NAME_OF_GATEWAYS.format('this subnet')} By default the VPC's."
        ),
        "attributes": Key(read=_attributes(SUBNET_ATTRIBUTES), about=_ABOUT_ATTRIBUTES, default={}),
        "tags": _TAGS,
    },
)
SECURITY_GROUP: Final = Table(
    declares=DeclaredSecurityGroup,
    keys={
        "id": _id_key(_id("sg")),
        "description": Key(read=values.one_line(255), about="What the group is for."),
        "ingress": Key(read=_rules("source"), about="What may enter. By default nothing."),
        "egress": Key(read=_rules("destination"), about="What may leave. By default everything."),
        "tags": _TAGS,
    },
    needs=(),
)
VPC: Final = Table(
    declares=DeclaredVpc,
    keys={
        "id": _id_key(_id("vpc")),
        "cidr": Key(
            read=values.cidrs,
            about="A range or a list of them, IPv4 and IPv6; over no other VPC's, unless it is a separate"
            " network.",
            to="cidrs",
            required=True,
        ),
        "separate_network": Key(
            read=values.boolean,
            about="A network of its own, served only by gateways bound to it by `hatchway gateway --vpc`.",
            default=False,
        ),
        "gateway_dns_name": Key(
            read=dns_name,
            about=f"{_NAME_OF_GATEWAYS.format('this VPC')} By default the account's.",
        ),
        "attributes": Key(read=_attributes(VPC_ATTRIBUTES), about=_ABOUT_ATTRIBUTES, default={}),
        "tags": _TAGS,
        "subnets": Key(
            read=named(SUBNET, _NAME), about="The VPC's subnets by name.", default=(), nullable=True
        ),
        "security_groups": Key(
            read=named(SECURITY_GROUP, _GROUP_NAME),
            about="The VPC's security groups by name, besides `default`, which every VPC has.",
            default=(),
            nullable=True,
        ),
    },
    needs=("cidr",),
)
INSTANCE: Final = Table(
    declares=DeclaredInstance,
    keys={
        "id": _id_key(_instance_id),
        "subnet": _SUBNET_OF,
        "private_ip": Key(read=values.ipv4_address, about="An IPv4 address in the subnet's ranges."),
        "ipv6": Key(read=values.ipv6_address, about="An IPv6 address in the subnet's ranges."),
        "state": Key(
            read=values.choice(InstanceState),
            about="Whether tunnels may reach it.",
            default=InstanceState.RUNNING,
        ),
        "instance_type": Key(
            read=_instance_type, about="What kind of machine it is, for people and for tools that ask."
        ),
        "security_groups": _GROUPS_OF,
        "tags": _TAGS,
    },
    needs=("subnet",),
    one_of=("private_ip", "ipv6"),
)
ENDPOINT: Final = Table(
    declares=DeclaredEndpoint,
    keys={
        "id": _id_key(_endpoint_id),
        "subnet": _SUBNET_OF,
        "security_groups": _GROUPS_OF,
        "preserve_client_ip": Key(
            read=values.boolean,
            about="Whether targets see the client's address; needs `ip_address_type: ipv4`.",
            default=False,
        ),
        "proxy_protocol": Key(
            read=values.choice(ProxyProtocol), about="Whether targets are told the client's address."
        ),
        "ip_address_type": Key(read=values.choice(IpAddressType), about="By default what the subnet has."),
        "max_tunnels": Key(
            read=values.integer(1, MAX_TUNNELS, "a number of tunnels"),
            about="This endpoint's own quota. By default the account's `tunnels_per_endpoint`.",
        ),
        "gateway_dns_name": Key(
            read=dns_name, about=f"{_NAME_OF_GATEWAYS.format('this endpoint')} By default the subnet's."
        ),
        "private_ip": Key(
            read=values.ipv4_address,
            about="Its interface's address. By default the highest free one.",
        ),
        "ipv6": Key(
            read=values.ipv6_address,
            about="Its interface's address. By default the highest free one.",
        ),
        "tags": _TAGS,
    },
)

vpcs: Final = named(VPC, _NAME)
instances: Final = named(INSTANCE, _NAME)
endpoints: Final = named(ENDPOINT, _NAME)
