"""The tables. A column has the name of the field that it keeps, so that rows and nouns map by name.

Tables in `FEED` hold what a gateway must know: each row carries the revision that last touched it.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
    func,
)

from hatchway.domain.endpoint import EndpointState, IpAddressType, ProxyProtocol
from hatchway.domain.identity import KeyStatus, OwnerKind
from hatchway.domain.network import InstanceState
from hatchway.domain.session import SessionKind
from hatchway.store.columns import EnumText, Flags, QuotaMap, RuleList, TagMap, Texts, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key(name: str, length: int = 255) -> Column[Any]:
    return Column(name, String(length), primary_key=True)


def _text(name: str, length: int = 255, *, null: bool = False, index: bool = False) -> Column[Any]:
    return Column(name, String(length), nullable=null, index=index)


def _moment(name: str, *, null: bool = False, index: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=null, index=index)


def _tags() -> Column[Any]:
    return Column("tags", TagMap, nullable=False)


def _attributes() -> Column[Any]:
    return Column("attributes", Flags, nullable=True)


def _exact(name: str, length: int, *, primary_key: bool = False) -> Column[Any]:
    """A text that is compared as it is: PostgreSQL's default order need not be that of characters."""
    kind = String(length).with_variant(String(length, collation="C"), "postgresql")
    return Column(name, kind, primary_key=primary_key, nullable=False)


def _in_feed(name: str, *columns: Any, kind: str | None = None) -> Table:
    """A table of the feed. `kind` is what tombstones call its rows, when that is not its name."""
    revision = Column("revision", BigInteger, nullable=False, index=True)
    return Table(name, metadata, *columns, revision, info={"kind": kind or name})


feed = Table(
    "feed",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    # Tombstones up to this revision are gone: a follower that has not reached it must read everything again.
    Column("floor", BigInteger, nullable=False),
)
tombstones = Table(
    "tombstones",
    metadata,
    Column("revision", BigInteger, primary_key=True),
    _key("kind", 64),
    _key("row_key", 1024),
)

accounts = _in_feed(
    "accounts",
    _key("id", 12),
    _text("region", 64),
    _text("gateway_dns_name"),
    _moment("created_at"),
    Column("quotas", QuotaMap, nullable=False),
    Column("end_tunnels_with_credentials", Boolean, nullable=False, server_default=false()),
)
vpcs = _in_feed(
    "vpcs",
    _key("id", 64),
    _text("name"),
    Column("cidrs", Texts, nullable=False),
    Column("separate_network", Boolean, nullable=False),
    _text("gateway_dns_name", null=True),
    _attributes(),
    _tags(),
)
subnets = _in_feed(
    "subnets",
    _key("id", 64),
    _text("vpc_id", 64),
    _text("name"),
    Column("cidrs", Texts, nullable=False),
    _text("availability_zone", 64),
    _attributes(),
    _tags(),
)
security_groups = _in_feed(
    "security_groups",
    _key("id", 64),
    _text("vpc_id", 64),
    _text("name"),
    _text("description"),
    Column("ingress", RuleList, nullable=False),
    Column("egress", RuleList, nullable=False),
    _tags(),
)
network_interfaces = _in_feed(
    "network_interfaces",
    _key("id", 64),
    _text("vpc_id", 64),
    _text("subnet_id", 64),
    _text("endpoint_id", 128, index=True),
    _text("private_ip", 64, null=True),
    _text("ipv6", 64, null=True),
    Column("security_group_ids", Texts, nullable=False),
    _text("description"),
    _tags(),
)
instances = _in_feed(
    "instances",
    _key("id", 64),
    _text("name"),
    _text("vpc_id", 64),
    _text("subnet_id", 64),
    _text("private_ip", 64, null=True),
    _text("ipv6", 64, null=True),
    Column("security_group_ids", Texts, nullable=False),
    Column("state", EnumText(InstanceState), nullable=False),
    _text("instance_type", 64, null=True),
    _moment("registered_at", null=True),
    _tags(),
)
endpoints = _in_feed(
    "endpoints",
    _key("id", 128),
    _text("name", null=True),
    _text("vpc_id", 64),
    _text("subnet_id", 64),
    _text("availability_zone", 64),
    _text("dns_name"),
    Column("state", EnumText(EndpointState), nullable=False),
    _text("state_message"),
    _moment("created_at"),
    _moment("deleted_at", null=True),
    Column("security_group_ids", Texts, nullable=False),
    Column("network_interface_ids", Texts, nullable=False),
    Column("preserve_client_ip", Boolean, nullable=False),
    Column("ip_address_type", EnumText(IpAddressType), nullable=False),
    Column("max_tunnels", Integer, nullable=True),
    Column("proxy_protocol", EnumText(ProxyProtocol), nullable=True),
    _tags(),
)

# The database's triggers keep it to the groups' lists of rules (`migrations/rules.py`): what is written here
# before its group stays as it is, and a rule without a row gets one.
security_group_rules = Table(
    "security_group_rules",
    metadata,
    _key("id", 64),
    _text("group_id", 64),
    Column("egress", Boolean, nullable=False),
    _text("protocol", 16),
    Column("from_port", Integer, nullable=False),
    Column("to_port", Integer, nullable=False),
    _text("peer", 64, index=True),
    _text("description"),
    _tags(),
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
    _key("resource_id", 128),
    _exact("tag_key", 128, primary_key=True),
    _key("resource_type", 64),
    _exact("tag_value", 256),
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
    _key("group_id", 64),
    _key("resource_type", 64),
    _key("resource_id", 128),
    sqlite_with_rowid=False,
)
Index("ix_security_group_uses_resource_id", security_group_uses.c.resource_id)

users = _in_feed(
    "users",
    _key("name", 64),
    _text("id", 32),
    _text("path", 512),
    _moment("created_at"),
    _text("permissions_boundary", 2048, null=True, index=True),
    _tags(),
)
groups = _in_feed("groups", _key("name", 128), _text("id", 32), _text("path", 512), _moment("created_at"))
roles = _in_feed(
    "roles",
    _key("name", 64),
    _text("id", 32),
    _text("path", 512),
    _moment("created_at"),
    _text("description", 1000),
    Column("trust_policy", Text, nullable=False),
    Column("max_session_duration", Integer, nullable=False),
    _text("linked_service", null=True),
    _text("permissions_boundary", 2048, null=True, index=True),
    _tags(),
)
memberships = _in_feed("memberships", _key("user_name", 64), _key("group_name", 128))
managed_policies = _in_feed(
    "managed_policies",
    _key("arn", 2048),
    _text("name", 128),
    _text("id", 32),
    _text("path", 512),
    _text("description", 1000),
    _moment("created_at"),
    _moment("updated_at"),
    _text("default_version", 16),
    Column("latest_version", Integer, nullable=True),
    _tags(),
)
for _named in (users, groups, roles, managed_policies):
    # No two names differ in case alone (AWS: "IAM identifiers"), which each creation asks.
    Index(f"ix_{_named.name}_lower_name", func.lower(_named.c.name))
policy_versions = _in_feed(
    "policy_versions",
    _key("policy_arn", 2048),
    _key("version_id", 16),
    Column("document", Text, nullable=False),
    _moment("created_at"),
)
inline_policies = _in_feed(
    "inline_policies",
    Column("owner_kind", EnumText(OwnerKind), primary_key=True),
    _key("owner_name", 128),
    _key("policy_name", 128),
    Column("document", Text, nullable=False),
)
attachments = _in_feed(
    "attachments",
    Column("owner_kind", EnumText(OwnerKind), primary_key=True),
    _key("owner_name", 128),
    _key("policy_arn", 2048),
)
Index("ix_memberships_group_name", memberships.c.group_name, memberships.c.user_name)
Index("ix_attachments_policy_arn", attachments.c.policy_arn)
guardrails = _in_feed("guardrails", _key("policy_arn", 2048))
access_keys = _in_feed(
    "access_keys",
    _key("id", 128),
    _text("user_name", 64, null=True, index=True),
    Column("status", EnumText(KeyStatus), nullable=False),
    _moment("created_at"),
)
sessions = _in_feed(
    "sessions",
    _key("access_key_id", 128),
    Column("kind", EnumText(SessionKind), nullable=False),
    _text("owner_name", 64, null=True),
    _text("owner_id", 32, index=True),
    _text("name", 64, null=True),
    Column("token_hash", LargeBinary, nullable=False),
    _moment("issued_at"),
    _moment("expires_at", index=True),
    Column("policy", Text, nullable=True),
    Column("policy_arns", Texts, nullable=False),
    Column("session_tags", TagMap, nullable=False),
    Column("transitive_tag_keys", Texts, nullable=False),
    _text("source_identity", 64, null=True),
    Column("chained", Boolean, nullable=False),
    _moment("mfa_authenticated_at", null=True),
    _text("made_by", 32, null=True),
)
# Gateways of versions before the gateway key follow this table. It is empty: they have in memory what they
# need, and the control plane drops what another process of those versions may write.
clear_signing_keys = _in_feed(
    "signing_keys",
    _key("access_key_id", 128),
    _key("date", 8),
    _key("region", 64),
    _key("service", 64),
    Column("key", LargeBinary, nullable=False),
)
sealed_signing_keys = _in_feed(
    "sealed_signing_keys",
    _key("access_key_id", 128),
    _key("date", 8),
    _key("region", 64),
    _key("service", 64),
    Column("sealed", LargeBinary, nullable=False),
    _text("sealed_under", 64),
    # So that those gateways forget a deleted key, of which they have the clear one.
    kind="signing_keys",
)
terminations = _in_feed(
    "terminations",
    _key("tunnel_id", 64),
    _text("requested_by", 2048),
    _text("request_id", 64),
    _moment("requested_at"),
)

api_addresses = _in_feed("api_addresses", _key("address", 64), _moment("seen_at"))

FEED = (
    accounts,
    vpcs,
    subnets,
    security_groups,
    network_interfaces,
    instances,
    endpoints,
    users,
    groups,
    roles,
    memberships,
    managed_policies,
    policy_versions,
    inline_policies,
    attachments,
    guardrails,
    access_keys,
    sessions,
    sealed_signing_keys,
    terminations,
    api_addresses,
)
KINDS = {table.info["kind"]: table.name for table in FEED}
"""The names of the tables in `FEED`, by what tombstones call their rows."""

sealed_secrets = Table(
    "sealed_secrets", metadata, _key("access_key_id", 128), Column("ciphertext", LargeBinary, nullable=False)
)
account_aliases = Table("account_aliases", metadata, _key("alias", 63))
credential_reports = Table(
    "credential_reports",
    metadata,
    _key("account_id", 12),
    _moment("generated_at"),
    Column("content", Text, nullable=False),
)
role_deletions = Table(
    "role_deletions",
    metadata,
    _key("id", 1000),
    Column("endpoint_ids", Texts, nullable=False),
    _moment("created_at", index=True),
)
access_key_uses = Table(
    "access_key_uses",
    metadata,
    _key("access_key_id", 128),
    _moment("used_at"),
    _text("service", 64),
    _text("region", 64),
)
service_uses = Table(
    "service_uses",
    metadata,
    Column("owner_kind", EnumText(OwnerKind), primary_key=True),
    _key("owner_name", 128),
    _key("service", 64),
    _key("action", 128),
    _moment("used_at"),
)
service_uses_noted = Table(
    "service_uses_noted",
    metadata,
    Column("id", Integer, primary_key=True),
    _moment("looked_until"),
    _moment("back_to", null=True),
)
last_accessed_jobs = Table(
    "last_accessed_jobs",
    metadata,
    _key("id", 36),
    _text("arn", 2048),
    _text("granularity", 16),
    _text("requested_by", 2048),
    _moment("created_at", index=True),
)
pushed_keys = Table(
    "pushed_keys",
    metadata,
    _key("instance_id", 64),
    _key("os_user", 64),
    _key("fingerprint", 64),
    Column("public_key", Text, nullable=False),
    _moment("expires_at", index=True),
    _text("pushed_by", 2048),
)
host_tokens = Table(
    "host_tokens",
    metadata,
    _key("instance_id", 64),
    Column("token_hash", LargeBinary, nullable=False),
    Column("next_hash", LargeBinary, nullable=True),
    _moment("created_at"),
)
enrollment_tokens = Table(
    "enrollment_tokens",
    metadata,
    _key("id", 64),
    Column("token_hash", LargeBinary, nullable=False),
    _text("subnet_id", 64),
    Column("security_group_ids", Texts, nullable=False),
    _tags(),
    Column("max_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
    _text("created_by", 2048),
    _moment("created_at"),
    _moment("expires_at", index=True),
)
client_tokens = Table(
    "client_tokens",
    metadata,
    _key("token", 128),
    _key("operation", 128),
    _text("request_hash", 64),
    _text("resource_id", 128),
    _moment("created_at", index=True),
)
audit_records = Table(
    "audit_records",
    metadata,
    _key("event_id", 36),
    _moment("event_time", index=True),
    _text("event_source"),
    _text("event_name"),
    _text("request_id", 64, index=True),
    _text("user_name", 2048, null=True),
    _text("access_key_id", 128, null=True),
    Column("body", Text, nullable=False),
    Column("exported", Boolean, nullable=False),
)
Index("ix_audit_records_unexported", audit_records.c.exported, audit_records.c.event_time)
# What events are found by. One table for all attributes, and in SQLite one tree: an index of `audit_records`
# for each would cost every tunnel more, and could not be made while a large trail is in use.
audit_lookups = Table(
    "audit_lookups",
    metadata,
    _key("term", 320),
    # The event's time, in microseconds since 1970.
    Column("moment", BigInteger, primary_key=True, autoincrement=False),
    _key("event_id", 36),
    sqlite_with_rowid=False,
)
# How far back events from before that table have been entered in it: 0 when all are.
audit_lookups_filled = Table(
    "audit_lookups_filled",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("back_to", BigInteger, nullable=False),
)
tunnels = Table(
    "tunnels",
    metadata,
    _key("id", 64),
    _text("gateway_id", 64, index=True),
    _text("endpoint_id", 128, index=True),
    _text("instance_id", 64, null=True),
    _text("principal_arn", 2048, index=True),
    _text("access_key_id", 128),
    _text("source_ip", 64),
    _text("private_ip", 64),
    Column("remote_port", Integer, nullable=False),
    _moment("opened_at"),
    _moment("expires_at"),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    _text("maker_id", 32, null=True, index=True),
)
gateway_workers = Table(
    "gateway_workers",
    metadata,
    _key("id", 64),
    _text("host"),
    Column("port", Integer, nullable=False),
    _moment("started_at"),
    _moment("lease_until"),
)
