"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_keys"),
    )
    op.create_index("ix_access_keys_revision", "access_keys", ["revision"])
    op.create_index("ix_access_keys_user_name", "access_keys", ["user_name"])

    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("gateway_dns_name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quotas", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
    )
    op.create_index("ix_accounts_revision", "accounts", ["revision"])

    op.create_table(
        "attachments",
        sa.Column("owner_kind", sa.String(length=64), nullable=False),
        sa.Column("owner_name", sa.String(length=128), nullable=False),
        sa.Column("policy_arn", sa.String(length=2048), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_kind", "owner_name", "policy_arn", name="pk_attachments"),
    )
    op.create_index("ix_attachments_revision", "attachments", ["revision"])

    op.create_table(
        "audit_records",
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_source", sa.String(length=255), nullable=False),
        sa.Column("event_name", sa.String(length=255), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=2048), nullable=True),
        sa.Column("access_key_id", sa.String(length=128), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("exported", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_audit_records"),
    )
    op.create_index("ix_audit_records_event_name", "audit_records", ["event_name"])
    op.create_index("ix_audit_records_event_time", "audit_records", ["event_time"])
    op.create_index("ix_audit_records_request_id", "audit_records", ["request_id"])
    op.create_index("ix_audit_records_unexported", "audit_records", ["exported", "event_time"])

    op.create_table(
        "client_tokens",
        sa.Column("token", sa.String(length=128), nullable=False),
        sa.Column("operation", sa.String(length=128), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token", "operation", name="pk_client_tokens"),
    )
    op.create_index("ix_client_tokens_created_at", "client_tokens", ["created_at"])

    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("subnet_id", sa.String(length=64), nullable=False),
        sa.Column("availability_zone", sa.String(length=64), nullable=False),
        sa.Column("dns_name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("state_message", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("security_group_ids", sa.JSON(), nullable=False),
        sa.Column("network_interface_ids", sa.JSON(), nullable=False),
        sa.Column("preserve_client_ip", sa.Boolean(), nullable=False),
        sa.Column("ip_address_type", sa.String(length=64), nullable=False),
        sa.Column("max_tunnels", sa.Integer(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_endpoints"),
    )
    op.create_index("ix_endpoints_revision", "endpoints", ["revision"])
    op.create_index("ix_endpoints_subnet_id", "endpoints", ["subnet_id"])
    op.create_index("ix_endpoints_vpc_id", "endpoints", ["vpc_id"])

    op.create_table(
        "feed",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feed"),
    )
    op.create_table(
        "gateway_workers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_workers"),
    )
    op.create_table(
        "groups",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_groups"),
    )
    op.create_index("ix_groups_revision", "groups", ["revision"])

    op.create_table(
        "guardrails",
        sa.Column("policy_arn", sa.String(length=2048), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("policy_arn", name="pk_guardrails"),
    )
    op.create_index("ix_guardrails_revision", "guardrails", ["revision"])

    op.create_table(
        "host_tokens",
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name="pk_host_tokens"),
    )
    op.create_table(
        "inline_policies",
        sa.Column("owner_kind", sa.String(length=64), nullable=False),
        sa.Column("owner_name", sa.String(length=128), nullable=False),
        sa.Column("policy_name", sa.String(length=128), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner_kind", "owner_name", "policy_name", name="pk_inline_policies"),
    )
    op.create_index("ix_inline_policies_revision", "inline_policies", ["revision"])

    op.create_table(
        "instances",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("subnet_id", sa.String(length=64), nullable=False),
        sa.Column("private_ip", sa.String(length=64), nullable=True),
        sa.Column("ipv6", sa.String(length=64), nullable=True),
        sa.Column("security_group_ids", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
    )
    op.create_index("ix_instances_revision", "instances", ["revision"])
    op.create_index("ix_instances_subnet_id", "instances", ["subnet_id"])

    op.create_table(
        "managed_policies",
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("default_version", sa.String(length=16), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("arn", name="pk_managed_policies"),
    )
    op.create_index("ix_managed_policies_revision", "managed_policies", ["revision"])

    op.create_table(
        "memberships",
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("group_name", sa.String(length=128), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_name", "group_name", name="pk_memberships"),
    )
    op.create_index("ix_memberships_revision", "memberships", ["revision"])

    op.create_table(
        "network_interfaces",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("subnet_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=128), nullable=False),
        sa.Column("private_ip", sa.String(length=64), nullable=True),
        sa.Column("ipv6", sa.String(length=64), nullable=True),
        sa.Column("security_group_ids", sa.JSON(), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_network_interfaces"),
    )
    op.create_index("ix_network_interfaces_endpoint_id", "network_interfaces", ["endpoint_id"])
    op.create_index("ix_network_interfaces_revision", "network_interfaces", ["revision"])
    op.create_index("ix_network_interfaces_subnet_id", "network_interfaces", ["subnet_id"])

    op.create_table(
        "policy_versions",
        sa.Column("policy_arn", sa.String(length=2048), nullable=False),
        sa.Column("version_id", sa.String(length=16), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("policy_arn", "version_id", name="pk_policy_versions"),
    )
    op.create_index("ix_policy_versions_revision", "policy_versions", ["revision"])

    op.create_table(
        "pushed_keys",
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("os_user", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pushed_by", sa.String(length=2048), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", "os_user", "fingerprint", name="pk_pushed_keys"),
    )
    op.create_index("ix_pushed_keys_expires_at", "pushed_keys", ["expires_at"])

    op.create_table(
        "roles",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("description", sa.String(length=1000), nullable=False),
        sa.Column("trust_policy", sa.Text(), nullable=False),
        sa.Column("max_session_duration", sa.Integer(), nullable=False),
        sa.Column("linked_service", sa.String(length=255), nullable=True),
        sa.Column("permissions_boundary", sa.String(length=2048), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_roles"),
    )
    op.create_index("ix_roles_revision", "roles", ["revision"])

    op.create_table(
        "sealed_secrets",
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", name="pk_sealed_secrets"),
    )
    op.create_table(
        "security_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("ingress", sa.JSON(), nullable=False),
        sa.Column("egress", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_security_groups"),
    )
    op.create_index("ix_security_groups_revision", "security_groups", ["revision"])
    op.create_index("ix_security_groups_vpc_id", "security_groups", ["vpc_id"])

    op.create_table(
        "signing_keys",
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("date", sa.String(length=8), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", "date", "region", "service", name="pk_signing_keys"),
    )
    op.create_index("ix_signing_keys_revision", "signing_keys", ["revision"])

    op.create_table(
        "subnets",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("cidrs", sa.JSON(), nullable=False),
        sa.Column("availability_zone", sa.String(length=64), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subnets"),
    )
    op.create_index("ix_subnets_revision", "subnets", ["revision"])
    op.create_index("ix_subnets_vpc_id", "subnets", ["vpc_id"])

    op.create_table(
        "tombstones",
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("row_key", sa.String(length=1024), nullable=False),
        sa.PrimaryKeyConstraint("revision", "kind", "row_key", name="pk_tombstones"),
    )
    op.create_table(
        "tunnels",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("gateway_id", sa.String(length=64), nullable=False),
        sa.Column("endpoint_id", sa.String(length=128), nullable=False),
        sa.Column("instance_id", sa.String(length=64), nullable=True),
        sa.Column("principal_arn", sa.String(length=2048), nullable=False),
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("source_ip", sa.String(length=64), nullable=False),
        sa.Column("private_ip", sa.String(length=64), nullable=False),
        sa.Column("remote_port", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bytes_in", sa.BigInteger(), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tunnels"),
    )
    op.create_index("ix_tunnels_endpoint_id", "tunnels", ["endpoint_id"])
    op.create_index("ix_tunnels_gateway_id", "tunnels", ["gateway_id"])

    op.create_table(
        "users",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("permissions_boundary", sa.String(length=2048), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_index("ix_users_revision", "users", ["revision"])

    op.create_table(
        "vpcs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("cidrs", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vpcs"),
    )
    op.create_index("ix_vpcs_revision", "vpcs", ["revision"])
    # The feed's one row, which every writer of the account locks in turn.
    op.execute("INSERT INTO feed (id, revision, floor) VALUES (1, 0, 0)")


def downgrade() -> None:
    for table in (
        "vpcs",
        "users",
        "tunnels",
        "tombstones",
        "subnets",
        "signing_keys",
        "security_groups",
        "sealed_secrets",
        "roles",
        "pushed_keys",
        "policy_versions",
        "network_interfaces",
        "memberships",
        "managed_policies",
        "instances",
        "inline_policies",
        "host_tokens",
        "guardrails",
        "groups",
        "gateway_workers",
        "feed",
        "endpoints",
        "client_tokens",
        "audit_records",
        "attachments",
        "accounts",
        "access_keys",
    ):
        op.drop_table(table)
