"""A random mark of each revision, made by the database, by which a restored store is told from what it was.

By triggers, so that programs of before make them too. They stand beside the tombstones: those of before pass
over kinds that they do not know, and forget both together.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_RANDOM: Final = {"sqlite": "lower(hex(randomblob(16)))", "postgresql": "gen_random_uuid()::text"}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    random = _RANDOM[dialect]
    # All parts are this migration's own words.
    put = f"INSERT INTO tombstones (revision, kind, row_key) VALUES (NEW.revision, 'mark', {random});"  # noqa: S608
    if dialect == "postgresql":
        op.execute(
            "CREATE FUNCTION mark_revision() RETURNS trigger LANGUAGE plpgsql AS"
            f" $body$ BEGIN {put} RETURN NULL; END $body$"
        )
        condition, action = "OLD.revision IS DISTINCT FROM NEW.revision", "EXECUTE FUNCTION mark_revision()"
    else:
        condition, action = "OLD.revision IS NOT NEW.revision", f"BEGIN {put} END"
    op.execute(
        "CREATE TRIGGER mark_revision AFTER UPDATE OF revision ON feed"
        f" FOR EACH ROW WHEN ({condition}) {action}"
    )
    op.execute(
        f"INSERT INTO tombstones (revision, kind, row_key) SELECT revision, 'mark', {random} FROM feed"  # noqa: S608
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER mark_revision ON feed")
        op.execute("DROP FUNCTION mark_revision()")
    else:
        op.execute("DROP TRIGGER mark_revision")
    op.execute(sa.text("DELETE FROM tombstones WHERE kind = 'mark'"))
