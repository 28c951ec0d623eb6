"""An index of who made a session: each user's are counted over all roles when one more is to be made."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_sessions_made_by", "sessions", ["made_by"])


def downgrade() -> None:
    op.drop_index("ix_sessions_made_by", table_name="sessions")
