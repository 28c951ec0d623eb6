"""A host's next token, which takes the place of the one in force when the host first asks with it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A program of before this migration makes rows without it.
    op.add_column("host_tokens", sa.Column("next_hash", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("host_tokens", "next_hash")
