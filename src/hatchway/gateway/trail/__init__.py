"""What the store is told: tunnels, in the audit trail and in the list of open ones, and this worker's lease.

What must hold here: no byte passes before its tunnel's record is committed, and no record is lost while the
worker runs. Only this room and the snapshot's follower touch the store.

| module | holds |
|---|---|
| `trail` | a tunnel's opening and its end, and requests that got none |
| `pending_records` | records that could not be committed, until they are |
| `timeouts` | a time limit for many waits, with one timer |
| `lease` | this worker's claim to be alive, without which its tunnels do not count |
| `report` | how many bytes each tunnel has carried so far |
"""
