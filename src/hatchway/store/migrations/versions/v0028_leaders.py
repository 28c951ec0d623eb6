"""Who of several control planes does what only one is to do; which programs the store suits.

And a floor of the feed is never above its revision, whoever sets it: control planes of before set it to a
revision that they had seen, though the store was restored to a lower one, and all that follow read
everything again and again.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None
oldest_program = "0027"

_LOWERED: Final = "NEW.floor > NEW.revision"


def upgrade() -> None:
    op.create_table(
        "leaders",
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(255), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.String(1024), nullable=False),
        sa.PrimaryKeyConstraint("role", name="pk_leaders"),
    )
    op.add_column("feed", sa.Column("suits", sa.String(64), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION lower_floor() RETURNS trigger LANGUAGE plpgsql AS"
            " $body$ BEGIN NEW.floor := NEW.revision; RETURN NEW; END $body$"
        )
        op.execute(
            "CREATE TRIGGER lower_floor BEFORE UPDATE ON feed FOR EACH ROW"
            f" WHEN ({_LOWERED}) EXECUTE FUNCTION lower_floor()"
        )
    else:
        op.execute(
            f"CREATE TRIGGER lower_floor AFTER UPDATE ON feed FOR EACH ROW WHEN {_LOWERED}"  # noqa: S608 (its own)
            " BEGIN UPDATE feed SET floor = NEW.revision WHERE id = NEW.id; END"
        )
    op.execute("UPDATE feed SET floor = revision WHERE floor > revision")


def downgrade() -> None:
    op.execute(
        "DROP TRIGGER lower_floor" + (" ON feed" if op.get_bind().dialect.name == "postgresql" else "")
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION lower_floor()")
    op.drop_column("feed", "suits")
    op.drop_table("leaders")
