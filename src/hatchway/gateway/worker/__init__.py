"""One process that serves tunnels: built from its settings, drained when told to stop.

Invariant: this package only assembles the others. It decides when to listen, to drain and to end.

| module | holds |
|---|---|
| `process` | the worker as a process: it takes port, user, key and store before it serves |
| `worker` | the parts of a worker, assembled; when it listens, drains and ends |
| `background_tasks` | the tasks that run beside the tunnels; the worker ends when one of them ends |
| `drain_requests` | HTTP requests to stop accepting tunnels |
| `id_generator` | ids of tunnels, requests and events |
"""
