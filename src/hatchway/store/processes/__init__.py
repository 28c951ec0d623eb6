"""What processes that share a store know of each other, and each of itself: by the store, and nothing else.

| module | holds |
|---|---|
| `leadership` | who does what only one process is to do |
| `process_identity` | a process's name, by which it is known to be gone |
| `server_time` | the time by which all of them judge each other: the database server's |
| `machine_membership` | whether a process's machine is still one of the installation's |
| `schema_watch` | whether its program goes with the store yet, and that is still its own |
"""
