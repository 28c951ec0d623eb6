"""Endpoints that tell their targets by the PROXY protocol who the client is."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("endpoints", sa.Column("proxy_protocol", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("endpoints", "proxy_protocol")
