"""One process that serves tunnels: made of its settings, drained when told to stop.

What must hold here: this room only puts the others together. What it decides is when: to listen, to drain, to
end.

| module | holds |
|---|---|
| `process` | a worker as a process: port, user, key and store, which it takes before it serves |
| `worker` | everything that it has, put together; when it listens, drains and ends |
| `parts` | what it does all the time besides its tunnels, as one |
| `drain_requests` | being asked by URL to take no more tunnels |
| `new_ids` | ids of tunnels, requests and events |
"""
