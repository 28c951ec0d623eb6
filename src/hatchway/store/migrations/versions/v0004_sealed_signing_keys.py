"""Signing keys under the gateway key; those that lay in the clear are gone.

The control plane derives the new ones when it starts. The old table stays, empty, for gateways that were
started before: they go on with what they have in memory, for which no follower is told of this.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sealed_signing_keys",
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("date", sa.String(length=8), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=False),
        sa.Column("service", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_under", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", "date", "region", "service", name="pk_sealed_signing_keys"),
    )
    op.create_index("ix_sealed_signing_keys_revision", "sealed_signing_keys", ["revision"])
    # Not merely forgotten: what a row was is not to be found in the file either.
    if op.get_bind().dialect.name == "sqlite":
        op.execute("PRAGMA secure_delete = ON")
        op.execute("DELETE FROM signing_keys")
    else:
        op.execute("TRUNCATE signing_keys")


def downgrade() -> None:
    op.drop_table("sealed_signing_keys")
