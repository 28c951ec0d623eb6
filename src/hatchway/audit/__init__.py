"""Events in the shape of CloudTrail, and their durable log.

| module | holds |
|---|---|
| `events` | the events: plain values (AWS: "CloudTrail record contents") |
| `local` | the source of events of commands on the server itself |
| `log` | an event as a row of the store |
| `group_commit` | many writers' records in one transaction, for gateways |
| `export` | the log as JSON lines |
"""
