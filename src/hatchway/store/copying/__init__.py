"""All of a store at another place: a backup's copy of it, or the other kind of database.

| module | holds |
|---|---|
| `copies` | copies of an embedded store while it is in use |
| `transfer` | all of a store in another database: SQLite's in PostgreSQL, or the other way round |
| `copied_rows` | either database's rows, in one form |
| `finished_copy` | a copy that is finished: told from any other store, and compared once more |
"""
