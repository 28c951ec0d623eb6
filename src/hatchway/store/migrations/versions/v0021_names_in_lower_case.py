"""Indexes of names in lower case: of identities no two differ in case alone, which each creation asks."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TABLES = ("users", "groups", "roles", "managed_policies")


def upgrade() -> None:
    for table in _TABLES:
        op.create_index(f"ix_{table}_lower_name", table, [sa.text("lower(name)")])


def downgrade() -> None:
    for table in _TABLES:
        op.drop_index(f"ix_{table}_lower_name", table)
