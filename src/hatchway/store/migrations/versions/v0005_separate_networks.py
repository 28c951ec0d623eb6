"""VPCs that only gateways bound to them serve, and the addresses of the API, which are no targets."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With defaults: a program of before this migration makes rows without these columns.
    op.add_column(
        "vpcs", sa.Column("separate_network", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("vpcs", sa.Column("gateway_dns_name", sa.String(length=255), nullable=True))
    op.create_table(
        "api_addresses",
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_api_addresses"),
    )
    op.create_index("ix_api_addresses_revision", "api_addresses", ["revision"])


def downgrade() -> None:
    op.drop_table("api_addresses")
    op.drop_column("vpcs", "gateway_dns_name")
    op.drop_column("vpcs", "separate_network")
