"""What is written to the store: audit records of tunnels, the list of open ones, this worker's lease.

Invariants: no byte passes before its tunnel's record is committed, and no record is lost while the worker
runs. Only this package and the snapshot's follower touch the store.

| module | holds |
|---|---|
| `trail` | records of tunnels that open and end, and of refused requests |
| `pending_records` | records that could not be committed, until they are |
| `timeouts` | a time limit for many waits, with one timer |
| `lease` | this worker's claim to be alive, without which its tunnels do not count |
| `byte_count_reports` | how many bytes each tunnel has carried so far |
"""
