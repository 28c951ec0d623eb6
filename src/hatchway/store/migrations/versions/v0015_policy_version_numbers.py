"""The highest number that a version of a managed policy has had."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A program of before this migration makes rows without it.
    op.add_column("managed_policies", sa.Column("latest_version", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("managed_policies", "latest_version")
