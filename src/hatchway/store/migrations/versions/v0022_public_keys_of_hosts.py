"""The public keys by which hosts are known."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host_public_keys",
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("public_keys", sa.JSON(), nullable=False),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name="pk_host_public_keys"),
    )


def downgrade() -> None:
    op.drop_table("host_public_keys")
