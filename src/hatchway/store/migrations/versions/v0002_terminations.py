"""Terminations of tunnels, and counting a principal's tunnels."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "terminations",
        sa.Column("tunnel_id", sa.String(length=64), nullable=False),
        sa.Column("requested_by", sa.String(length=2048), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tunnel_id", name="pk_terminations"),
    )
    op.create_index("ix_terminations_revision", "terminations", ["revision"])
    op.create_index("ix_tunnels_principal_arn", "tunnels", ["principal_arn"])


def downgrade() -> None:
    op.drop_index("ix_tunnels_principal_arn", table_name="tunnels")
    op.drop_table("terminations")
