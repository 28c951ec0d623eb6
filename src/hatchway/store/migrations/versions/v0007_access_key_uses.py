"""When each access key was last used, as the control plane finds in the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_key_uses",
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", name="pk_access_key_uses"),
    )


def downgrade() -> None:
    op.drop_table("access_key_uses")
