"""Who made a session and opened a tunnel: what one user may have is counted over all roles it assumes."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("made_by", sa.String(length=32), nullable=True))
    op.add_column("tunnels", sa.Column("maker_id", sa.String(length=32), nullable=True))
    op.create_index("ix_tunnels_maker_id", "tunnels", ["maker_id"])


def downgrade() -> None:
    op.drop_index("ix_tunnels_maker_id", table_name="tunnels")
    op.drop_column("tunnels", "maker_id")
    op.drop_column("sessions", "made_by")
