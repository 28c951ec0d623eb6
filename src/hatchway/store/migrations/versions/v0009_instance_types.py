"""What kind of machine an instance is."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A program of before this migration makes rows without it.
    op.add_column("instances", sa.Column("instance_type", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("instances", "instance_type")
