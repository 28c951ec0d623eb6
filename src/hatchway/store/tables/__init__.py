"""The tables. A column has the name of the field that it keeps, so that rows and nouns map by name.

Tables in `FEED` hold what a gateway must know: each row carries the revision that last touched it.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text, func

from hatchway.domain.identity import KeyStatus, OwnerKind
from hatchway.domain.session import SessionKind
from hatchway.store.columns import EnumText, TagMap, Texts
from hatchway.store.tables.account import accounts, api_addresses, client_tokens
from hatchway.store.tables.network import (
    RESOURCE_TYPES,
    endpoints,
    instances,
    network_interfaces,
    security_group_rules,
    security_group_uses,
    security_groups,
    subnets,
    tag_index,
    vpcs,
)
from hatchway.store.tables.schema import feed, in_feed, key, metadata, moment, tags, text, tombstones

users = in_feed(
    "users",
    key("name", 64),
    text("id", 32),
    text("path", 512),
    moment("created_at"),
    text("permissions_boundary", 2048, null=True, index=True),
    tags(),
)
groups = in_feed("groups", key("name", 128), text("id", 32), text("path", 512), moment("created_at"))
roles = in_feed(
    "roles",
    key("name", 64),
    text("id", 32),
    text("path", 512),
    moment("created_at"),
    text("description", 1000),
    Column("trust_policy", Text, nullable=False),
    Column("max_session_duration", Integer, nullable=False),
    text("linked_service", null=True),
    text("permissions_boundary", 2048, null=True, index=True),
    tags(),
)
memberships = in_feed("memberships", key("user_name", 64), key("group_name", 128))
managed_policies = in_feed(
    "managed_policies",
    key("arn", 2048),
    text("name", 128),
    text("id", 32),
    text("path", 512),
    text("description", 1000),
    moment("created_at"),
    moment("updated_at"),
    text("default_version", 16),
    Column("latest_version", Integer, nullable=True),
    tags(),
)
for _named in (users, groups, roles, managed_policies):
    # No two names differ in case alone (AWS: "IAM identifiers"), which each creation asks.
    Index(f"ix_{_named.name}_lower_name", func.lower(_named.c.name))
policy_versions = in_feed(
    "policy_versions",
    key("policy_arn", 2048),
    key("version_id", 16),
    Column("document", Text, nullable=False),
    moment("created_at"),
)
inline_policies = in_feed(
    "inline_policies",
    Column("owner_kind", EnumText(OwnerKind), primary_key=True),
    key("owner_name", 128),
    key("policy_name", 128),
    Column("document", Text, nullable=False),
)
attachments = in_feed(
    "attachments",
    Column("owner_kind", EnumText(OwnerKind), primary_key=True),
    key("owner_name", 128),
    key("policy_arn", 2048),
)
Index("ix_memberships_group_name", memberships.c.group_name, memberships.c.user_name)
Index("ix_attachments_policy_arn", attachments.c.policy_arn)
guardrails = in_feed("guardrails", key("policy_arn", 2048))
access_keys = in_feed(
    "access_keys",
    key("id", 128),
    text("user_name", 64, null=True, index=True),
    Column("status", EnumText(KeyStatus), nullable=False),
    moment("created_at"),
)
sessions = in_feed(
    "sessions",
    key("access_key_id", 128),
    Column("kind", EnumText(SessionKind), nullable=False),
    text("owner_name", 64, null=True),
    text("owner_id", 32, index=True),
    text("name", 64, null=True),
    Column("token_hash", LargeBinary, nullable=False),
    moment("issued_at"),
    moment("expires_at", index=True),
    Column("policy", Text, nullable=True),
    Column("policy_arns", Texts, nullable=False),
    Column("session_tags", TagMap, nullable=False),
    Column("transitive_tag_keys", Texts, nullable=False),
    text("source_identity", 64, null=True),
    Column("chained", Boolean, nullable=False),
    moment("mfa_authenticated_at", null=True),
    text("made_by", 32, null=True),
)
# Gateways of versions before the gateway key follow this table. It is empty: they have in memory what they
# need, and the control plane drops what another process of those versions may write.
clear_signing_keys = in_feed(
    "signing_keys",
    key("access_key_id", 128),
    key("date", 8),
    key("region", 64),
    key("service", 64),
    Column("key", LargeBinary, nullable=False),
)
sealed_signing_keys = in_feed(
    "sealed_signing_keys",
    key("access_key_id", 128),
    key("date", 8),
    key("region", 64),
    key("service", 64),
    Column("sealed", LargeBinary, nullable=False),
    text("sealed_under", 64),
    # So that those gateways forget a deleted key, of which they have the clear one.
    kind="signing_keys",
)
terminations = in_feed(
    "terminations",
    key("tunnel_id", 64),
    text("requested_by", 2048),
    text("request_id", 64),
    moment("requested_at"),
)

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
    "sealed_secrets", metadata, key("access_key_id", 128), Column("ciphertext", LargeBinary, nullable=False)
)
account_aliases = Table("account_aliases", metadata, key("alias", 63))
credential_reports = Table(
    "credential_reports",
    metadata,
    key("account_id", 12),
    moment("generated_at"),
    Column("content", Text, nullable=False),
)
role_deletions = Table(
    "role_deletions",
    metadata,
    key("id", 1000),
    Column("endpoint_ids", Texts, nullable=False),
    moment("created_at", index=True),
)
access_key_uses = Table(
    "access_key_uses",
    metadata,
    key("access_key_id", 128),
    moment("used_at"),
    text("service", 64),
    text("region", 64),
)
service_uses = Table(
    "service_uses",
    metadata,
    Column("owner_kind", EnumText(OwnerKind), primary_key=True),
    key("owner_name", 128),
    key("service", 64),
    key("action", 128),
    moment("used_at"),
)
service_uses_noted = Table(
    "service_uses_noted",
    metadata,
    Column("id", Integer, primary_key=True),
    moment("looked_until"),
    moment("back_to", null=True),
)
last_accessed_jobs = Table(
    "last_accessed_jobs",
    metadata,
    key("id", 36),
    text("arn", 2048),
    text("granularity", 16),
    text("requested_by", 2048),
    moment("created_at", index=True),
)
pushed_keys = Table(
    "pushed_keys",
    metadata,
    key("instance_id", 64),
    key("os_user", 64),
    key("fingerprint", 64),
    Column("public_key", Text, nullable=False),
    moment("expires_at", index=True),
    text("pushed_by", 2048),
)
host_tokens = Table(
    "host_tokens",
    metadata,
    key("instance_id", 64),
    Column("token_hash", LargeBinary, nullable=False),
    Column("next_hash", LargeBinary, nullable=True),
    moment("created_at"),
)
enrollment_tokens = Table(
    "enrollment_tokens",
    metadata,
    key("id", 64),
    Column("token_hash", LargeBinary, nullable=False),
    text("subnet_id", 64),
    Column("security_group_ids", Texts, nullable=False),
    tags(),
    Column("max_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
    text("created_by", 2048),
    moment("created_at"),
    moment("expires_at", index=True),
)
audit_records = Table(
    "audit_records",
    metadata,
    key("event_id", 36),
    moment("event_time", index=True),
    text("event_source"),
    text("event_name"),
    text("request_id", 64, index=True),
    text("user_name", 2048, null=True),
    text("access_key_id", 128, null=True),
    Column("body", Text, nullable=False),
    Column("exported", Boolean, nullable=False),
)
Index("ix_audit_records_unexported", audit_records.c.exported, audit_records.c.event_time)
# What events are found by. One table for all attributes, and in SQLite one tree: an index of `audit_records`
# for each would cost every tunnel more, and could not be made while a large trail is in use.
audit_lookups = Table(
    "audit_lookups",
    metadata,
    key("term", 320),
    # The event's time, in microseconds since 1970.
    Column("moment", BigInteger, primary_key=True, autoincrement=False),
    key("event_id", 36),
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
    key("id", 64),
    text("gateway_id", 64, index=True),
    text("endpoint_id", 128, index=True),
    text("instance_id", 64, null=True),
    text("principal_arn", 2048, index=True),
    text("access_key_id", 128),
    text("source_ip", 64),
    text("private_ip", 64),
    Column("remote_port", Integer, nullable=False),
    moment("opened_at"),
    moment("expires_at"),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    text("maker_id", 32, null=True, index=True),
)
gateway_workers = Table(
    "gateway_workers",
    metadata,
    key("id", 64),
    text("host"),
    Column("port", Integer, nullable=False),
    moment("started_at"),
    moment("lease_until"),
)

__all__ = [
    "FEED",
    "KINDS",
    "RESOURCE_TYPES",
    "access_key_uses",
    "access_keys",
    "account_aliases",
    "accounts",
    "api_addresses",
    "attachments",
    "audit_lookups",
    "audit_lookups_filled",
    "audit_records",
    "clear_signing_keys",
    "client_tokens",
    "credential_reports",
    "endpoints",
    "enrollment_tokens",
    "feed",
    "gateway_workers",
    "groups",
    "guardrails",
    "host_tokens",
    "inline_policies",
    "instances",
    "last_accessed_jobs",
    "managed_policies",
    "memberships",
    "metadata",
    "network_interfaces",
    "policy_versions",
    "pushed_keys",
    "role_deletions",
    "roles",
    "sealed_secrets",
    "sealed_signing_keys",
    "security_group_rules",
    "security_group_uses",
    "security_groups",
    "service_uses",
    "service_uses_noted",
    "sessions",
    "subnets",
    "tag_index",
    "terminations",
    "tombstones",
    "tunnels",
    "users",
    "vpcs",
]
