"""What a gateway's role may enter is within bounds, in PostgreSQL, where there is such a role.

A moment that the program cannot read, as `infinity`, or a text that is no event, in one row of a thief's,
kept all others from being read: nothing more came into audit.jsonl. Rows that are there are not looked at, so
nobody waits for that.
"""

from typing import Final

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None
oldest_program = "0027"

_BOUNDS: Final = {
    "audit_records": (
        "event_time BETWEEN '1970-01-01' AND '9000-01-01'"
        # CHECK takes what is unknown for true, and a text that is no JSON is an error itself.
        " AND octet_length(body) <= 2097152 AND position(E'\\n' IN body) = 0"
        " AND json_typeof(body::json) = 'object'"
    ),
    "audit_unexported": "event_time BETWEEN '1970-01-01' AND '9000-01-01'",
    "tunnels": (
        "opened_at BETWEEN '1970-01-01' AND '9000-01-01' AND expires_at BETWEEN '1970-01-01' AND '9000-01-01'"
    ),
    "gateway_workers": (
        "started_at BETWEEN '1970-01-01' AND '9000-01-01'"
        " AND lease_until BETWEEN '1970-01-01' AND '9000-01-01' AND port BETWEEN 0 AND 65535"
    ),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, bounds in _BOUNDS.items():
            op.execute(f"ALTER TABLE {table} ADD CONSTRAINT ck_{table}_bounds CHECK ({bounds}) NOT VALID")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _BOUNDS:
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT ck_{table}_bounds")
