"""How long events are kept. An account begins with for ever, as before."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None
oldest_program = "0027"


def upgrade() -> None:
    op.create_table(
        "audit_retention",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("unexported_too", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("deleted_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit_retention"),
    )
    op.execute("INSERT INTO audit_retention (id) VALUES (1)")


def downgrade() -> None:
    op.drop_table("audit_retention")
