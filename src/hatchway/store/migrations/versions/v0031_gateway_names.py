"""Where clients find gateways may be said of a subnet and of an endpoint, not of a VPC and the account alone.

Nothing is said of those that are there. A program that knows nothing of it leaves it as it is, and calls the
endpoints that it makes or applies by their VPC's name until the file is applied again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None
oldest_program = "0027"


def upgrade() -> None:
    for table in ("subnets", "endpoints"):
        op.add_column(table, sa.Column("gateway_dns_name", sa.String(length=255), nullable=True))


def downgrade() -> None:
    for table in ("subnets", "endpoints"):
        op.drop_column(table, "gateway_dns_name")
