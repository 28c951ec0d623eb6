"""Tables, migrations, repositories and the change feed.

    store = Store.open("sqlite:////var/lib/hatchway/hatchway.db")
    store.migrate()
    with store.write() as tx:                  # one transaction: all of it is committed, or none
        tx.users.put(User(name="alice", …))
    with store.read() as tx:                   # one consistent view
        alice = tx.users.get("alice")

`Store.read`, `Store.write` and `Store.record` are the only ways in. A transaction has one
repository for each noun (`tx.vpcs`, `tx.users`, …), and each repository the same few verbs.

The change feed tells gateways what has changed: `Store.changes` gives what has since a revision,
`Store.notifications` says when to ask.

| module | holds |
|---|---|
| `store` | its transactions, and what it tells of itself |
| `engines` | how its database is connected to, and how long that is waited for |
| `schema` | its migrations, and which programs can work on it |
| `transaction` | a repository for each noun, and the revision |
| `trail` | the audit trail's records as rows, and those that are still to become a file |
| `change_feed` | what has changed since a revision, and when to ask |
| `processes` | what processes that share a store know of each other: who leads, whose clock is right |
| `copying` | all of a store at another place: a backup's copy, or the other kind of database |
| `locks` | locks by name |
| `rows` | a repository: one table's rows as nouns |
| `matching` | patterns with wildcards, in either database |
| `tables`, `columns` | the tables, and how fields are kept in SQLite and PostgreSQL alike |
| `sqlite_writer` | how a process writes to SQLite, and when that is on the disk |
| `writing` | that what is written there is written within a transaction |
| `sqlite_file` | whether SQLite's file is still the one that was opened |
| `pooler` | PostgreSQL behind PgBouncer |
| `read_timeout` | a time-out for PostgreSQL that hangs |
| `primary` | which of several PostgreSQL servers is the one that may be written |
| `prepared` | statements as the driver takes them, for what runs often |
| `pipeline` | statements that go to PostgreSQL together |
| `url` | the store's URL, shown without its password |
| `problems` | what is wrong with a store, in words for whoever runs it |
| `login_problems` | what keeps a program out of PostgreSQL, and what to mend |
| `migrations` | Alembic's; one file a change in `versions` |

What must hold here:

- SQLite and PostgreSQL do the same: the fixture `store` of `tests/store` runs a test on both.
- A migration that has been released is never edited, and processes of the version before work on its result.
- A store that goes back is noticed by its revisions' marks (`change_feed.feed`), whoever restored it, by
  whatever means.
- Revisions are committed in order, one writer at a time: who has caught up to one has seen all before it.
- Whoever records waits for those alone whose decision is about the same thing: `Transaction.lock`.
- Whatever reads the account for a decision and writes its effect does both in one `write` transaction.
"""

from hatchway.store.change_feed.feed import BEGINNING, Changes, Position
from hatchway.store.change_feed.notifications import ChangeNotifications
from hatchway.store.copying.copies import DamagedCopy, check_copy, copy_store, open_copy
from hatchway.store.engines import SERVERS_READ_TIMEOUT, DriverMissing
from hatchway.store.locks import worker_lock
from hatchway.store.matching import matches
from hatchway.store.problems import (
    MachineRemoved,
    NothingCommitted,
    OtherInstallation,
    ServesNoMore,
    StoreBusy,
    TookTooLong,
    TransactionEnded,
    explain,
    is_denied,
    is_locked,
    log_fields,
)
from hatchway.store.processes.leadership import Leadership, LeadershipLost, living_leader
from hatchway.store.processes.machine_membership import MachineMembership, require_machine
from hatchway.store.processes.schema_watch import SchemaWatch
from hatchway.store.processes.server_time import ClockCheck, NowThere, ServerTime, is_useless
from hatchway.store.rows import Rows
from hatchway.store.schema import BeingRestored, SchemaMismatch, oldest_program, own_schema
from hatchway.store.store import OF_VPCS, Serves, Store
from hatchway.store.trail.audit_rows import Retention
from hatchway.store.transaction import Transaction
from hatchway.store.url import BadStoreUrl, show_problem, show_store

__all__ = [
    "BEGINNING",
    "OF_VPCS",
    "SERVERS_READ_TIMEOUT",
    "BadStoreUrl",
    "BeingRestored",
    "ChangeNotifications",
    "Changes",
    "ClockCheck",
    "DamagedCopy",
    "DriverMissing",
    "Leadership",
    "LeadershipLost",
    "MachineMembership",
    "MachineRemoved",
    "NothingCommitted",
    "NowThere",
    "OtherInstallation",
    "Position",
    "Retention",
    "Rows",
    "SchemaMismatch",
    "SchemaWatch",
    "ServerTime",
    "Serves",
    "ServesNoMore",
    "Store",
    "StoreBusy",
    "TookTooLong",
    "Transaction",
    "TransactionEnded",
    "check_copy",
    "copy_store",
    "explain",
    "is_denied",
    "is_locked",
    "is_useless",
    "living_leader",
    "log_fields",
    "matches",
    "oldest_program",
    "open_copy",
    "own_schema",
    "require_machine",
    "show_problem",
    "show_store",
    "worker_lock",
]
