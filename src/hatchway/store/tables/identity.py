"""Identities: users, groups, roles, their policies, access keys, sessions, and what is noted of their use."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text, func

from hatchway.domain.identity import KeyStatus, OwnerKind
from hatchway.domain.session import SessionKind
from hatchway.store.columns import EnumText, TagMap, Texts
from hatchway.store.tables.schema import in_feed, key, metadata, moment, tags, text

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
    text("made_by", 32, null=True, index=True),
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
