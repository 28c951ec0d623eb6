"""The network: VPCs and what is in them, and the indexes that the database keeps of their tags and groups."""

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, Table

from hatchway.domain.endpoint import EndpointState, IpAddressType, ProxyProtocol
from hatchway.domain.network import InstanceState
from hatchway.store.columns import EnumText, RuleList, Texts
from hatchway.store.tables.schema import attributes, exact, in_feed, key, metadata, moment, tags, text

vpcs = in_feed(
    "vpcs",
    key("id", 64),
    text("name"),
    Column("cidrs", Texts, nullable=False),
    Column("separate_network", Boolean, nullable=False),
    text("gateway_dns_name", null=True),
    attributes(),
    tags(),
)
subnets = in_feed(
    "subnets",
    key("id", 64),
    text("vpc_id", 64),
    text("name"),
    Column("cidrs", Texts, nullable=False),
    text("availability_zone", 64),
    text("gateway_dns_name", null=True),
    attributes(),
    tags(),
)
security_groups = in_feed(
    "security_groups",
    key("id", 64),
    text("vpc_id", 64),
    text("name"),
    text("description"),
    Column("ingress", RuleList, nullable=False),
    Column("egress", RuleList, nullable=False),
    tags(),
)
network_interfaces = in_feed(
    "network_interfaces",
    key("id", 64),
    text("vpc_id", 64),
    text("subnet_id", 64),
    text("endpoint_id", 128, index=True),
    text("private_ip", 64, null=True),
    text("ipv6", 64, null=True),
    Column("security_group_ids", Texts, nullable=False),
    text("description"),
    tags(),
)
instances = in_feed(
    "instances",
    key("id", 64),
    text("name"),
    text("vpc_id", 64),
    text("subnet_id", 64),
    text("private_ip", 64, null=True),
    text("ipv6", 64, null=True),
    Column("security_group_ids", Texts, nullable=False),
    Column("state", EnumText(InstanceState), nullable=False),
    text("instance_type", 64, null=True),
    moment("registered_at", null=True),
    Column("registered_itself", Boolean, nullable=False),
    tags(),
)
endpoints = in_feed(
    "endpoints",
    key("id", 128),
    text("name", null=True),
    text("vpc_id", 64),
    text("subnet_id", 64),
    text("availability_zone", 64),
    text("dns_name"),
    Column("state", EnumText(EndpointState), nullable=False),
    text("state_message"),
    moment("created_at"),
    moment("deleted_at", null=True),
    Column("security_group_ids", Texts, nullable=False),
    Column("network_interface_ids", Texts, nullable=False),
    Column("preserve_client_ip", Boolean, nullable=False),
    Column("ip_address_type", EnumText(IpAddressType), nullable=False),
    Column("max_tunnels", Integer, nullable=True),
    Column("proxy_protocol", EnumText(ProxyProtocol), nullable=True),
    text("gateway_dns_name", null=True),
    tags(),
)

# The database's triggers keep it to the groups' lists of rules (`migrations/rules.py`): what is written here
# before its group stays as it is, and a rule without a row gets one.
security_group_rules = Table(
    "security_group_rules",
    metadata,
    key("id", 64),
    text("group_id", 64),
    Column("egress", Boolean, nullable=False),
    text("protocol", 16),
    Column("from_port", Integer, nullable=False),
    Column("to_port", Integer, nullable=False),
    text("peer", 64, index=True),
    text("description"),
    tags(),
)

RESOURCE_TYPES: Final = {
    "vpcs": "vpc",
    "subnets": "subnet",
    "security_groups": "security-group",
    "security_group_rules": "security-group-rule",
    "network_interfaces": "network-interface",
    "instances": "instance",
    "endpoints": "instance-connect-endpoint",
}
"""What EC2 calls the rows of each table that has tags of EC2's (AWS: `ResourceType` of `DescribeTags`)."""


def _page_by(table: Table, *names: str) -> None:
    """Indexes with the key behind the column: so the rows of one value come page by page, in order."""
    for name in names:
        Index(f"ix_{table.name}_{name}_id", table.c[name], table.c.id)


_page_by(subnets, "vpc_id", "availability_zone")
_page_by(security_groups, "vpc_id", "name")
_page_by(security_group_rules, "group_id")
_page_by(network_interfaces, "vpc_id", "subnet_id", "private_ip", "ipv6")
_page_by(instances, "vpc_id", "subnet_id", "state", "private_ip", "ipv6", "instance_type")
_page_by(endpoints, "vpc_id", "subnet_id", "state")

# The database's triggers write the two index tables (`migrations/indexing.py`), and nobody else.
tag_index = Table(
    "tag_index",
    metadata,
    key("resource_id", 128),
    exact("tag_key", 128, primary_key=True),
    key("resource_type", 64),
    exact("tag_value", 256),
    sqlite_with_rowid=False,
)
Index(
    "ix_tag_index_key",
    tag_index.c.tag_key,
    tag_index.c.tag_value,
    tag_index.c.resource_type,
    tag_index.c.resource_id,
)
Index("ix_tag_index_value", tag_index.c.tag_value, tag_index.c.resource_type, tag_index.c.resource_id)
security_group_uses = Table(
    "security_group_uses",
    metadata,
    key("group_id", 64),
    key("resource_type", 64),
    key("resource_id", 128),
    sqlite_with_rowid=False,
)
Index("ix_security_group_uses_resource_id", security_group_uses.c.resource_id)
