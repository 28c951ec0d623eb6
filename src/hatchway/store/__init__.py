"""Tables, migrations, repositories and the change feed.

    store = Store.open("sqlite:////var/lib/hatchway/hatchway.db")
    store.migrate()
    with store.write() as tx:                  # one transaction: all of it is committed, or none
        tx.users.put(User(name="alice", …))
    with store.read() as tx:                   # one consistent view
        alice = tx.users.get("alice")

`Store.read`, `Store.write` and `Store.record` are the only ways in. A transaction has one repository for each
noun (`tx.vpcs`, `tx.users`, …), and each repository the same few verbs. What a gateway must know is stamped
with the account's revision; `Store.changes` tells what has changed since one, and `Store.notifications` when
to ask.
"""

from hatchway.store.copies import DamagedCopy, check_copy, copy_store, open_copy
from hatchway.store.feed import Changes
from hatchway.store.notifications import ChangeNotifications
from hatchway.store.problems import StoreBusy, TransactionEnded, explain, log_fields
from hatchway.store.rows import Rows
from hatchway.store.store import DriverMissing, SchemaMismatch, Store
from hatchway.store.transaction import Transaction
from hatchway.store.url import BadStoreUrl, show_problem, show_store

__all__ = [
    "BadStoreUrl",
    "ChangeNotifications",
    "Changes",
    "DamagedCopy",
    "DriverMissing",
    "Rows",
    "SchemaMismatch",
    "Store",
    "StoreBusy",
    "Transaction",
    "TransactionEnded",
    "check_copy",
    "copy_store",
    "explain",
    "log_fields",
    "open_copy",
    "show_problem",
    "show_store",
]
