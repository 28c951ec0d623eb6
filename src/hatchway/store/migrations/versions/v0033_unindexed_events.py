"""Events that are not in `audit_lookups` yet, in a table of their own: many are entered there together.

Programs of before go on entering events in `audit_lookups` themselves, and find those of others when they
are there.

In PostgreSQL what a gateway's role says of events (that they are to be exported, what they are found by) is
looked at when it is entered: it counts for events that the same transaction has entered, and of which it has
the right time; else the row is left out. Rows that lead nowhere were in others' way before, and events that
had been exported could be so again.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None
oldest_program = "0027"

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
            EXECUTE format('GRANT SELECT, INSERT ON audit_unindexed TO %I', role.grantee);
        END LOOP;
    END $$
"""
_MOMENT = "pg_catalog.timestamptz '1970-01-01 00:00:00+00' + NEW.moment * interval '1 microsecond'"
_TIMES = {"audit_unexported": "NEW.event_time", "audit_unindexed": _MOMENT, "audit_lookups": _MOMENT}
"""The tables that tell something of events, and of when those are."""
_MORE = {"audit_unindexed": "pg_catalog.octet_length(NEW.terms) <= 32768"}
"""What else must hold: a gateway's terms are a tenth of that, and look-ups go through those of thousands."""


def upgrade() -> None:
    op.create_table(
        "audit_unindexed",
        sa.Column("moment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("moment", "event_id", name="pk_audit_unindexed"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_GRANT)
        for table, time in _TIMES.items():
            _look_at(table, time)


def _look_at(table: str, time: str) -> None:
    schema = op.get_bind().dialect.identifier_preparer.quote(
        op.get_bind().exec_driver_sql("SELECT current_schema()").scalar_one()
    )
    # Tables and types by their whole names: a session's own temporary ones go before others. Whether a row
    # that is seen is of this transaction, its number says, of which the row has the lower half: nobody else
    # sees what is in progress. That others began later says nothing: this one may have been open for long.
    op.execute(
        f"""CREATE FUNCTION of_own_event_in_{table}() RETURNS trigger LANGUAGE plpgsql AS $body$
        DECLARE
            ahead bigint;
        BEGIN
            IF pg_catalog.pg_has_role(
                current_user, (SELECT relowner FROM pg_catalog.pg_class WHERE oid = TG_RELID), 'USAGE'
            ) THEN
                RETURN NEW;
            END IF;
            SELECT entered.xmin::pg_catalog.text::bigint - pg_catalog.txid_current() % 4294967296
                INTO ahead FROM {schema}.audit_records AS entered
                WHERE entered.event_id = NEW.event_id AND entered.event_time = {time}
                AND {_MORE.get(table, "true")};
            ahead := (ahead + 4294967296) % 4294967296;
            -- Savepoints' numbers come after that of their transaction, as half of all do.
            IF ahead < 2147483648 THEN
                IF pg_catalog.txid_status(pg_catalog.txid_current() + ahead) = 'in progress' THEN
                    RETURN NEW;
                END IF;
            END IF;
            RETURN NULL;
        END $body$"""  # noqa: S608
    )
    op.execute(
        f"CREATE TRIGGER of_own_event BEFORE INSERT ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION of_own_event_in_{table}()"
    )


def downgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        for table in _TIMES:
            op.execute(f"DROP TRIGGER of_own_event ON {table}")
            op.execute(f"DROP FUNCTION of_own_event_in_{table}()")
    enter = sa.text(
        "INSERT INTO audit_lookups (term, moment, event_id) VALUES (:term, :moment, :event_id)"
        " ON CONFLICT DO NOTHING"
    )
    for moment, event_id, lines in connection.execute(
        sa.text("SELECT moment, event_id, terms FROM audit_unindexed")
    ).fetchall():
        try:
            terms = [json.loads(line) for line in lines.strip().split("\n")]
        except ValueError:
            # None that the program writes: who had a gateway's role may have entered it.
            continue
        for term in terms:
            connection.execute(enter, {"term": term, "moment": moment, "event_id": event_id})
    op.drop_table("audit_unindexed")
