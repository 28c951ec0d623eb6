"""The trail: audit records and what they are found by, tunnels that are open, the gateway's workers, and
which of the control planes does what only one does."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, false

from hatchway.store.columns import UtcDateTime
from hatchway.store.tables.schema import in_feed, key, metadata, moment, text

terminations = in_feed(
    "terminations",
    key("tunnel_id", 64),
    text("requested_by", 2048),
    text("request_id", 64),
    moment("requested_at"),
)
audit_records = Table(
    "audit_records",
    metadata,
    key("event_id", 36),
    moment("event_time", index=True),
    text("event_source"),
    text("event_name"),
    text("request_id", 64, index=True),
    text("user_name", 2048, null=True),
    text("access_key_id", 128, null=True),
    Column("body", Text, nullable=False),
    # Of no use but to programs of before `audit_unexported`, whose records may still be due.
    Column("exported", Boolean, nullable=False),
)
Index("ix_audit_records_unexported", audit_records.c.exported, audit_records.c.event_time)
# Events that are not yet JSON lines. Not a column of theirs: to mark each in its place would write it twice,
# with all that it is found by.
audit_unexported = Table(
    "audit_unexported",
    metadata,
    Column("event_time", UtcDateTime, primary_key=True),
    key("event_id", 36),
    sqlite_with_rowid=False,
)
# What events are found by. One table for all attributes, and in SQLite one tree: an index of `audit_records`
# for each would cost every tunnel more, and could not be made while a large trail is in use.
audit_lookups = Table(
    "audit_lookups",
    metadata,
    key("term", 320),
    # The event's time, in microseconds since 1970.
    Column("moment", BigInteger, primary_key=True, autoincrement=False),
    key("event_id", 36),
    sqlite_with_rowid=False,
)
# Events that are not in it yet, each with its terms: a line of JSON for each, between line ends. What every
# opening of a tunnel waits for is one row here in place of nine there, which lie far apart.
audit_unindexed = Table(
    "audit_unindexed",
    metadata,
    Column("moment", BigInteger, primary_key=True, autoincrement=False),
    key("event_id", 36),
    Column("terms", Text, nullable=False),
    sqlite_with_rowid=False,
)
# How far back events from before that table have been entered in it: 0 when all are.
audit_lookups_filled = Table(
    "audit_lookups_filled",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("back_to", BigInteger, nullable=False),
)
# How long events are kept: so many days, or for ever. What was before `deleted_before` is gone, but for what
# is not yet a line of audit.jsonl. (A chain that shows tampering would have its first link here.)
audit_retention = Table(
    "audit_retention",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("days", Integer, nullable=True),
    Column("unexported_too", Boolean, nullable=False, server_default=false()),
    moment("deleted_before", null=True),
    # What was set before this moment counts no longer: nobody waits for it.
    moment("at_once_at", null=True),
)
tunnels = Table(
    "tunnels",
    metadata,
    key("id", 64),
    text("gateway_id", 64, index=True),
    text("endpoint_id", 128, index=True),
    text("instance_id", 64, null=True),
    text("principal_arn", 2048, index=True),
    text("access_key_id", 128),
    text("source_ip", 64),
    text("private_ip", 64),
    Column("remote_port", Integer, nullable=False),
    moment("opened_at"),
    moment("expires_at"),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    text("maker_id", 32, null=True, index=True),
)
gateway_workers = Table(
    "gateway_workers",
    metadata,
    key("id", 64),
    text("host"),
    Column("port", Integer, nullable=False),
    moment("started_at"),
    moment("lease_until"),
)
leaders = Table(
    "leaders",
    metadata,
    key("role", 64),
    text("holder"),
    Column("beat", BigInteger, nullable=False),
    text("place", 1024),
)
