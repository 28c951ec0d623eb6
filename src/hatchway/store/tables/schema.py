"""What the tables are made of: their metadata, columns of the kinds that there are, and the feed."""

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table

from hatchway.store.columns import Flags, TagMap, UtcDateTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key(name: str, length: int = 255) -> Column[Any]:
    return Column(name, String(length), primary_key=True)


def text(name: str, length: int = 255, *, null: bool = False, index: bool = False) -> Column[Any]:
    return Column(name, String(length), nullable=null, index=index)


def moment(name: str, *, null: bool = False, index: bool = False) -> Column[Any]:
    return Column(name, UtcDateTime, nullable=null, index=index)


def tags() -> Column[Any]:
    return Column("tags", TagMap, nullable=False)


def attributes() -> Column[Any]:
    return Column("attributes", Flags, nullable=True)


def exact(name: str, length: int, *, primary_key: bool = False) -> Column[Any]:
    """A text that is compared as it is: PostgreSQL's default order need not be that of characters."""
    kind = String(length).with_variant(String(length, collation="C"), "postgresql")
    return Column(name, kind, primary_key=primary_key, nullable=False)


def in_feed(name: str, *columns: Any, kind: str | None = None) -> Table:
    """A table of the feed. `kind` is what tombstones call its rows, when that is not its name."""
    revision = Column("revision", BigInteger, nullable=False, index=True)
    return Table(name, metadata, *columns, revision, info={"kind": kind or name})


feed = Table(
    "feed",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    # Tombstones up to this revision are gone: a follower that has not reached it must read everything again.
    Column("floor", BigInteger, nullable=False),
    # Which programs can work on this store (`hatchway.store.schema`). Here, as whoever follows may read it.
    Column("suits", String(64), nullable=True),
)
# Also has each revision's mark, of kind MARK, which triggers of the database make at random: by it a follower
# knows whether its revision is one of this store's past, or of one that is no more.
MARK: Final = "mark"
tombstones = Table(
    "tombstones",
    metadata,
    Column("revision", BigInteger, primary_key=True),
    key("kind", 64),
    key("row_key", 1024),
)
