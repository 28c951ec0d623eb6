"""What a process of the control plane does without being asked. Each task may run at any time, and twice.

| module | holds |
|---|---|
| `upkeep` | all that a process does, by what it was told |
| `housekeeper` | what a task is, and who runs it when it is due |
| `tasks` | which tasks there are, and who does them |
| `purges` | taking away what is over |
| `dead_workers` | ending the tunnels of gateway workers that have died |
| `api_addresses` | noting at which addresses this process is reached |

Of several control planes one does a task (`hatchway.store.processes.leadership`), but for what is about the
process itself. What it writes as the leader goes through the leader's store, which refuses what comes too
late.
"""
