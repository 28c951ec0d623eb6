"""The account in memory: all that decisions on tunnels are made by.

What must hold here: a snapshot is always the store's state at one revision. `Follower` alone reads the store,
and it alone changes the snapshot; everybody else asks it, and waits for nothing.

| module | holds |
|---|---|
| `table` | one table of the store in memory, found by more than its key |
| `snapshot` | the tables that decisions need, and what they are asked |
| `dependencies` | what a decision depends on, so that a change finds the decisions that it touches. Pure |
| `follower` | keeping the snapshot up with the store, by its change feed |
"""
