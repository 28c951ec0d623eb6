"""Indexes for listings: of tags, of what uses a security group, and of columns that filters name.

Rows that there are get into the first two later, in portions.
"""

import sqlalchemy as sa
from alembic import op

from hatchway.store.migrations.indexing import SECURITY_GROUPS, TAGS, drop_index, make_triggers

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_INDEXED = (
    (TAGS, "vpcs", "vpc"),
    (TAGS, "subnets", "subnet"),
    (TAGS, "security_groups", "security-group"),
    (TAGS, "network_interfaces", "network-interface"),
    (TAGS, "instances", "instance"),
    (TAGS, "endpoints", "instance-connect-endpoint"),
    (SECURITY_GROUPS, "network_interfaces", "network-interface"),
    (SECURITY_GROUPS, "instances", "instance"),
    (SECURITY_GROUPS, "endpoints", "instance-connect-endpoint"),
)
_COLUMNS = {
    "subnets": ("vpc_id", "availability_zone"),
    "security_groups": ("vpc_id", "name"),
    "network_interfaces": ("vpc_id", "subnet_id", "private_ip", "ipv6"),
    "instances": ("vpc_id", "subnet_id", "state", "private_ip", "ipv6"),
    "endpoints": ("vpc_id", "subnet_id", "state"),
}
_NARROWER = (
    ("subnets", "vpc_id"),
    ("security_groups", "vpc_id"),
    ("network_interfaces", "subnet_id"),
    ("instances", "subnet_id"),
    ("endpoints", "vpc_id"),
    ("endpoints", "subnet_id"),
)
"""Columns whose index is the beginning of a new one."""


def upgrade() -> None:
    op.create_table(
        "tag_index",
        sa.Column("resource_id", sa.String(length=128), nullable=False),
        sa.Column("tag_key", _exact(128), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("tag_value", _exact(256), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "tag_key", "resource_type", name="pk_tag_index"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "security_group_uses",
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("resource_type", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "resource_type", "resource_id", name="pk_security_group_uses"),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    for indexed in _INDEXED:
        for statement in make_triggers(connection.dialect.name, *indexed):
            connection.exec_driver_sql(statement)
    op.create_index("ix_tag_index_key", "tag_index", ["tag_key", "tag_value", "resource_type", "resource_id"])
    op.create_index("ix_tag_index_value", "tag_index", ["tag_value", "resource_type", "resource_id"])
    op.create_index("ix_security_group_uses_resource_id", "security_group_uses", ["resource_id"])
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.create_index(f"ix_{table}_{column}_id", table, [column, "id"])
    for table, column in _NARROWER:
        op.drop_index(f"ix_{table}_{column}", table)
    op.create_index("ix_memberships_group_name", "memberships", ["group_name", "user_name"])
    op.create_index("ix_attachments_policy_arn", "attachments", ["policy_arn"])


def downgrade() -> None:
    op.drop_index("ix_attachments_policy_arn", "attachments")
    op.drop_index("ix_memberships_group_name", "memberships")
    for table, column in _NARROWER:
        op.create_index(f"ix_{table}_{column}", table, [column])
    for table, columns in _COLUMNS.items():
        for column in columns:
            op.drop_index(f"ix_{table}_{column}_id", table)
    connection = op.get_bind()
    for what, table, _ in _INDEXED:
        for statement in drop_index(connection.dialect.name, what, table):
            connection.exec_driver_sql(statement)
    op.drop_table("security_group_uses")
    op.drop_table("tag_index")


def _exact(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length=length).with_variant(sa.String(length=length, collation="C"), "postgresql")
