"""A database server of PostgreSQL: whether it keeps what is acknowledged, and what makes it stand still.

Whatever is looked at any role may see; of other roles' sessions PostgreSQL tells a superuser alone how long
they have been in a transaction.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from hatchway.doctor.findings import Finding, error, ok, warning
from hatchway.doctor.machine import check_skew
from hatchway.store.change_feed.notifications import QUEUE_LIMIT, QUEUE_USAGE, queue_problem

_DURABLE: Final = (
    ("synchronous_commit", "for the role or the database"),
    ("fsync", "in postgresql.conf"),
    ("full_page_writes", "in postgresql.conf"),
)
"""Settings without which it forgets, and where they are made."""
_ANYBODY_MAKES_FUNCTIONS: Final = (
    "SELECT bool_or(has_schema_privilege('public', name, 'CREATE'))"
    " FROM unnest(current_schemas(false)) AS name"
)
"""PostgreSQL, "Schemas": so it is by default before version 15, and after an upgrade from such a one."""
_LONGEST_TRANSACTION: Final = timedelta(minutes=10)
_MOST_KEPT: Final = 1 << 30
"""Bytes of its log that are kept for a standby that is away."""
_GIB: Final = 1 << 30

_IN_TRANSACTION: Final = text("""
    SELECT pid, usename, application_name, xact_start FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - :longest
    ORDER BY xact_start LIMIT 1
""")
_KEPT_FOR_OTHERS: Final = text("""
    SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots
    WHERE NOT active AND pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) >= :most
    ORDER BY restart_lsn LIMIT 1
""")
_WAITED_FOR: Final = text("""
    SELECT current_setting('synchronous_standby_names'), (SELECT count(*) FROM pg_stat_replication)
""")


def check_postgresql(connection: Connection) -> Iterator[Finding]:
    """
    Raises:
        SQLAlchemyError: it cannot be asked.
    """
    version, there = connection.execute(text("select current_setting('server_version'), now()")).one()
    yield ok(
        "store",
        f"PostgreSQL {str(version).split()[0]} answers, and has this version's schema and the right"
        " master key",
    )
    yield check_skew("PostgreSQL", there, datetime.now(UTC))
    for setting, where in _DURABLE:
        if str(connection.execute(text(f"show {setting}")).scalar_one()) == "off":
            yield error(
                "durability",
                f"PostgreSQL has {setting} = off: acknowledged changes may be lost if it crashes",
                f"set {setting} to on, {where}",
            )
    if connection.exec_driver_sql(_ANYBODY_MAKES_FUNCTIONS).scalar_one():
        yield error(
            "database roles",
            "every role, including the gateways', may create functions that the control plane would call",
            "run as a superuser: REVOKE CREATE ON SCHEMA public FROM PUBLIC (docs/store.md)",
        )
    yield from _check_standbys(connection)
    usage = connection.exec_driver_sql(QUEUE_USAGE).scalar_one()
    if usage >= QUEUE_LIMIT:
        yield warning("notifications", *queue_problem(usage))
    for pid, user, application, since in connection.execute(
        _IN_TRANSACTION, {"longest": _LONGEST_TRANSACTION}
    ):
        yield warning(
            "transactions",
            f"a session of {user} ({application or 'unnamed'}, pid {pid}) has been in a transaction since"
            f" {since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC: meanwhile the space of deleted rows cannot be"
            " reused, and others may wait for its locks",
            f"unless it is a backup, end it: SELECT pg_terminate_backend({pid})",
        )


def _check_standbys(connection: Connection) -> Iterator[Finding]:
    names, standbys = connection.execute(_WAITED_FOR).one()
    if names and not standbys:
        yield error(
            "standby",
            f"commits wait for a standby (synchronous_standby_names = {names}), but none is connected",
            "start it; as long as there is none: ALTER SYSTEM SET synchronous_standby_names = '', then SELECT"
            " pg_reload_conf()",
        )
    for slot, kept in connection.execute(_KEPT_FOR_OTHERS, {"most": _MOST_KEPT}):
        yield warning(
            "standby",
            f"{int(kept) / _GIB:.1f} GiB of PostgreSQL's write-ahead log are kept for the slot {slot}, which"
            " nobody reads: it grows until the disk is full",
            f"start its reader, or if that is permanently gone: SELECT pg_drop_replication_slot('{slot}')",
        )
