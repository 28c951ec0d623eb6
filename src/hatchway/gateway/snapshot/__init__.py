"""The account in memory: everything that decisions on tunnels are based on.

Invariants: a snapshot is always the store's state at one revision. Only `Follower` reads the store and
changes the snapshot; everybody else queries the snapshot and waits for nothing.

| module | holds |
|---|---|
| `table` | one table of the store in memory, with look-ups by more than its primary key |
| `snapshot` | the tables that decisions need, and the queries on them |
| `dependencies` | what a decision depends on, so that a change finds the decisions that it affects. Pure |
| `follower` | keeps the snapshot up to date by the store's change feed |
"""
