"""What events of the audit trail are found by.

The control plane enters those that there are, in portions: a large trail takes it minutes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Whoever may add records may add what they are found by: a gateway's own role opens no tunnel otherwise.
_GRANT = """
    DO $$
    DECLARE role record;
    BEGIN
        FOR role IN
            SELECT DISTINCT grantee FROM information_schema.role_table_grants
            WHERE table_schema = current_schema() AND table_name = 'audit_records'
            AND privilege_type = 'INSERT' AND grantee NOT IN (current_user, 'PUBLIC')
        LOOP
            EXECUTE format('GRANT SELECT, INSERT ON audit_lookups TO %I', role.grantee);
        END LOOP;
    END $$
"""


def upgrade() -> None:
    op.create_table(
        "audit_lookups",
        sa.Column("term", sa.String(length=320), nullable=False),
        sa.Column("moment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("term", "moment", "event_id", name="pk_audit_lookups"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_lookups_filled",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("back_to", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_lookups_filled"),
    )
    # Nothing is filled: 2**63 - 1 microseconds after 1970.
    op.execute("INSERT INTO audit_lookups_filled (id, back_to) VALUES (1, 9223372036854775807)")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_GRANT)
    # Nothing is looked up by it, and each record paid for it.
    op.drop_index("ix_audit_records_event_name", table_name="audit_records")


def downgrade() -> None:
    op.create_index("ix_audit_records_event_name", "audit_records", ["event_name"])
    op.drop_table("audit_lookups_filled")
    op.drop_table("audit_lookups")
