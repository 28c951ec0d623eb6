"""Temporary credentials, and whether tunnels end with those that they were opened with."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Whoever may read access keys may read these: a gateway's own role follows the account otherwise no more.
_GRANT = """
    DO $$
    DECLARE role record;
    BEGIN
        FOR role IN
            SELECT DISTINCT grantee FROM information_schema.role_table_grants
            WHERE table_schema = current_schema() AND table_name = 'access_keys'
            AND privilege_type = 'SELECT' AND grantee NOT IN (current_user, 'PUBLIC')
        LOOP
            EXECUTE format('GRANT SELECT ON sessions TO %I', role.grantee);
        END LOOP;
    END $$
"""


def upgrade() -> None:
    op.create_table(
        "sessions",
        sa.Column("access_key_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("owner_name", sa.String(length=64), nullable=True),
        sa.Column("owner_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=True),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.Column("policy_arns", sa.JSON(), nullable=False),
        sa.Column("session_tags", sa.JSON(), nullable=False),
        sa.Column("transitive_tag_keys", sa.JSON(), nullable=False),
        sa.Column("source_identity", sa.String(length=64), nullable=True),
        sa.Column("chained", sa.Boolean(), nullable=False),
        sa.Column("mfa_authenticated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_owner_id", "sessions", ["owner_id"])
    op.create_index("ix_sessions_revision", "sessions", ["revision"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_GRANT)
    # With a default: a program of before this migration makes the row without it.
    op.add_column(
        "accounts",
        sa.Column("end_tunnels_with_credentials", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    op.drop_column("accounts", "end_tunnels_with_credentials")
    op.drop_table("sessions")
