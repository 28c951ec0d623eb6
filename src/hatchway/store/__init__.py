"""Tables, migrations, repositories and the change feed.

    store = Store.open("sqlite:////var/lib/hatchway/hatchway.db")
    store.migrate()
    with store.write() as tx:                  # one transaction: all of it is committed, or none
        tx.users.put(User(name="alice", …))
    with store.read() as tx:                   # one consistent view
        alice = tx.users.get("alice")

`Store.read`, `Store.write` and `Store.record` are the only ways in. A transaction has one
repository for each noun (`tx.vpcs`, `tx.users`, …), and each repository the same few verbs.

The **change feed** tells gateways what has changed. A transaction that alters what a gateway must know takes
the next *revision* of the account and stamps the rows that it touched. `Store.changes` gives what has changed
since a revision; `Store.notifications` says when to ask. A notification that is lost costs time and nothing
else.

| module | holds |
|---|---|
| `store` | its transactions, and what it tells of itself |
| `engines` | how its database is connected to, and how long that is waited for |
| `schema` | its migrations, and which programs can work on it |
| `schema_watch` | whether a program that runs goes with it yet, and it is still its own |
| `machine_membership` | whether the machine of a process is still one of the installation's |
| `transaction` | a repository for each noun, and the revision |
| `locks` | locks by name |
| `rows` | a repository: one table's rows as nouns |
| `matching` | patterns with wildcards, in either database |
| `audit_rows`, `term_lines` | that of audit records, with what they are found by, and that as a text |
| `due_events`, `event_bodies` | which of them become JSON lines next, and texts that fit into memory |
| `tables`, `columns` | the tables, and how fields are kept in SQLite and PostgreSQL alike |
| `feed`, `notifications` | what has changed since a revision, and when to ask |
| `write_ahead_log`, `inotify` | when SQLite's file has changed; being told so by the system |
| `feed_statements` | the statements of that |
| `sqlite_writer` | how a process writes to SQLite, and when that is on the disk |
| `writing` | that what is written there is written within a transaction |
| `sqlite_file` | whether SQLite's file is still the one that was opened |
| `pooler` | PostgreSQL behind PgBouncer |
| `read_timeout` | a time-out for PostgreSQL that hangs |
| `leadership` | who does what only one process is to do |
| `server_time` | the time by which all who share a store judge each other |
| `process_identity` | a process's name, by which it is known to be gone |
| `primary` | which of several PostgreSQL servers is the one that may be written |
| `prepared` | statements as the driver takes them, for what runs often |
| `pipeline` | statements that go to PostgreSQL together |
| `transfer`, `copied_rows`, `finished_copy` | all of a store in another database |
| `copies` | copies of an embedded store while it is in use |
| `url` | the store's URL, shown without its password |
| `problems` | what is wrong with a store, in words for whoever runs it |
| `login_problems` | what keeps a program out of PostgreSQL, and what to mend |
| `migrations` | Alembic's; one file a change in `versions` |

What must hold here:

- SQLite and PostgreSQL do the same: the fixture `store` of `tests/store` runs a test on both.
- A migration that has been released is never edited, and processes of the version before work on its result.
- A store that goes back is noticed by its revisions' marks (`feed`), whoever restored it, by whatever means.
- Revisions are committed in order, one writer at a time: who has caught up to one has seen all before it.
- Whoever records waits for those alone whose decision is about the same thing: `Transaction.lock`.
- Whatever reads the account for a decision and writes its effect does both in one `write` transaction.
"""

from hatchway.store.audit_rows import Retention
from hatchway.store.copies import DamagedCopy, check_copy, copy_store, open_copy
from hatchway.store.engines import SERVERS_READ_TIMEOUT, DriverMissing
from hatchway.store.feed import BEGINNING, Changes, Position
from hatchway.store.leadership import Leadership, LeadershipLost, living_leader
from hatchway.store.locks import worker_lock
from hatchway.store.machine_membership import MachineMembership, require_machine
from hatchway.store.matching import matches
from hatchway.store.notifications import ChangeNotifications
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
from hatchway.store.rows import Rows
from hatchway.store.schema import BeingRestored, SchemaMismatch, oldest_program, own_schema
from hatchway.store.schema_watch import SchemaWatch
from hatchway.store.server_time import ClockCheck, NowThere, ServerTime, is_useless
from hatchway.store.store import OF_VPCS, Serves, Store
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
