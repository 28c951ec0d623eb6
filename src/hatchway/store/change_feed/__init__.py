"""The change feed: what has changed since a revision, and when to ask.

A transaction that alters what a gateway must know takes the next *revision* of the account and stamps the
rows that it touched. A notification says that there may be one, no more: one that is lost costs time and
nothing else.

| module | holds |
|---|---|
| `feed` | what has changed since a revision |
| `feed_statements` | the statements of that, prepared for each kind of database |
| `notifications` | when to ask: SQLite's file has changed, or PostgreSQL tells of a change |
| `write_ahead_log` | when SQLite's file has changed |
| `inotify` | being told so by the system |
"""
