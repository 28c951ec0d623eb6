"""Since when what events were kept for before no longer counts (`--at-once`).

The event of it said so alone, and who has a gateway's role in PostgreSQL may enter such events. A program of
before goes by the event still; one that it enters is none for this one, which waits for the day.
"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None
oldest_program = "0027"


def upgrade() -> None:
    op.add_column("audit_retention", sa.Column("at_once_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("audit_retention", "at_once_at")
