"""The events that are not yet JSON lines, in a table of their own.

A flag in each record had each written twice. Records of programs of before have the flag still, and are
looked for by it as well; those of programs from now on have it set: a former control plane leaves them
alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

# Whoever may add records may say that they are due: a gateway's own role opens no tunnel otherwise.
_GRANT = """
    DO $$
    DECLARE role record;
    BEGIN
        FOR role IN
            SELECT DISTINCT grantee FROM information_schema.role_table_grants
            WHERE table_schema = current_schema() AND table_name = 'audit_records'
            AND privilege_type = 'INSERT' AND grantee NOT IN (current_user, 'PUBLIC')
        LOOP
            EXECUTE format('GRANT SELECT, INSERT ON audit_unexported TO %I', role.grantee);
        END LOOP;
    END $$
"""


def upgrade() -> None:
    op.create_table(
        "audit_unexported",
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("event_time", "event_id", name="pk_audit_unexported"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_GRANT)


def downgrade() -> None:
    op.execute(
        "UPDATE audit_records SET exported = false WHERE event_id IN (SELECT event_id FROM audit_unexported)"
    )
    op.drop_table("audit_unexported")
