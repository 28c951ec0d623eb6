"""The data plane: what carries tunnels.

    run_gateway(settings, on_ready)

One process serves many tunnels on one event loop; several share a port. `lifecycle` is the place to start
reading: the life of one tunnel from top to bottom. Sockets, TLS and frames are `hatchway.transport`'s.

Each room imports those below it and none above:

| room | holds |
|---|---|
| `worker` | one process, from its settings to the end of its drain |
| `lifecycle` | the life of one tunnel: request, decision, upgrade, record, connection, end |
| `trail`, `telemetry` | what the store is told of tunnels; what operators see of them |
| `tunnel` | a tunnel that is open: its two connections and what passes between them |
| `admission` | may it be opened: caller, policies, security groups; and how to say no |
| `snapshot` | the account in memory, and keeping it up with the store |
"""

from hatchway.gateway.worker.process import run_gateway

__all__ = ["run_gateway"]
