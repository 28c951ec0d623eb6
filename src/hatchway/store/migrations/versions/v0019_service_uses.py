"""When each user and role last tried each action, and who has asked for a report of that."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "service_uses",
        sa.Column("owner_kind", sa.String(length=64), nullable=False),
        sa.Column("owner_name", sa.String(length=128), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=128), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner_kind", "owner_name", "service", "action", name="pk_service_uses"),
    )
    op.create_table(
        "service_uses_noted",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("looked_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("back_to", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_service_uses_noted"),
    )
    op.create_table(
        "last_accessed_jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("granularity", sa.String(length=16), nullable=False),
        sa.Column("requested_by", sa.String(length=2048), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_last_accessed_jobs"),
    )
    op.create_index("ix_last_accessed_jobs_created_at", "last_accessed_jobs", ["created_at"])


def downgrade() -> None:
    op.drop_table("last_accessed_jobs")
    op.drop_table("service_uses_noted")
    op.drop_table("service_uses")
