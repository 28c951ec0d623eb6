"""One process that serves tunnels: built from its settings, drained when told to stop.

Invariant: this package only assembles the others. It decides when to listen, to drain and to end.

| module | holds |
|---|---|
| `process` | the worker as a process: it takes port, user, key and store before it serves |
| `resources` | what the process acquires for the worker |
| `worker` | the parts of a worker, assembled; when it listens, drains and ends |
| `startup_checks` | checks of keys and settings |
| `drain` | signals to stop, and how the tunnels are ended |
| `background_tasks` | the tasks that run beside the tunnels; the worker ends when one of them ends |
| `drain_requests` | HTTP requests to stop accepting tunnels |
| `id_generator` | ids of tunnels, requests and events |
"""
