"""What was there before the indexes of tags and of what uses a security group gets into them.

Before this migration itself, in portions: an account of 100,000 instances takes seconds. Triggers keep right
meanwhile what is written.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

import sqlalchemy as sa

from hatchway.store.migrations import indexing

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_INDEXED: Final = (
    (indexing.TAGS, "vpcs", "vpc"),
    (indexing.TAGS, "subnets", "subnet"),
    (indexing.TAGS, "security_groups", "security-group"),
    (indexing.TAGS, "network_interfaces", "network-interface"),
    (indexing.TAGS, "instances", "instance"),
    (indexing.TAGS, "endpoints", "instance-connect-endpoint"),
    (indexing.SECURITY_GROUPS, "network_interfaces", "network-interface"),
    (indexing.SECURITY_GROUPS, "instances", "instance"),
    (indexing.SECURITY_GROUPS, "endpoints", "instance-connect-endpoint"),
)
_AT_ONCE: Final = 1000
"""Rows of a portion: a few hundredths of a second."""


def fill(portion: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
    """Fills the indexes. What an attempt before has filled is looked at again, and stays."""
    for what, table, resource_type in _INDEXED:
        rows = sa.table(table, sa.column("id", sa.String()))
        after: str | None = ""
        while after is not None:
            with portion() as connection:
                following = sa.select(rows.c.id).where(rows.c.id > after).order_by(rows.c.id).limit(_AT_ONCE)
                last = connection.execute(sa.select(sa.func.max(following.subquery().c.id))).scalar()
                if last is not None:
                    statement = indexing.fill(connection.dialect.name, what, table, resource_type)
                    connection.execute(sa.text(statement), {"after": after, "to": last})
                after = last


def upgrade() -> None:
    """All is done."""


def downgrade() -> None:
    """The indexes are another migration's."""
