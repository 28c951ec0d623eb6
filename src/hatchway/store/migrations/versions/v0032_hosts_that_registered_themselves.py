"""Which instances have registered themselves: that opens no address from which gateways keep tunnels away.

Of those that are there nobody knows any more, and one that a program of before registers is taken for one
that somebody registered, as it was until now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None
oldest_program = "0027"


def upgrade() -> None:
    op.add_column(
        "instances", sa.Column("registered_itself", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("instances", "registered_itself")
