"""The account's alias, deletions of services' roles, and an index for who has a permissions boundary."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BOUNDED = ("users", "roles")


def upgrade() -> None:
    op.create_table(
        "account_aliases",
        sa.Column("alias", sa.String(length=63), nullable=False),
        sa.PrimaryKeyConstraint("alias", name="pk_account_aliases"),
    )
    op.create_table(
        "role_deletions",
        sa.Column("id", sa.String(length=1000), nullable=False),
        sa.Column("endpoint_ids", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_role_deletions"),
    )
    op.create_index("ix_role_deletions_created_at", "role_deletions", ["created_at"])
    for table in _BOUNDED:
        op.create_index(f"ix_{table}_permissions_boundary", table, ["permissions_boundary"])


def downgrade() -> None:
    for table in _BOUNDED:
        op.drop_index(f"ix_{table}_permissions_boundary", table)
    op.drop_table("role_deletions")
    op.drop_table("account_aliases")
