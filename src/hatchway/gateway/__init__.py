"""The data plane: it carries tunnels.

    run_gateway(settings, on_ready)

One process serves many tunnels on one event loop; several processes share a port. Start reading with
`lifecycle`: the life of one tunnel from top to bottom. Sockets, TLS and frames are in `hatchway.transport`.

Each subpackage imports only those below it:

| subpackage | holds |
|---|---|
| `worker` | one process, from its settings to the end of its drain |
| `lifecycle` | the life of one tunnel: request, decision, upgrade, record, connection, end |
| `trail`, `telemetry` | what is written to the store about tunnels; metrics and traces for operators |
| `tunnel` | an open tunnel: its two connections and the bytes that pass between them |
| `admission` | whether a tunnel may be opened: caller, policies, security groups; the refusals |
| `snapshot` | the account in memory, kept up to date with the store |
"""

from hatchway.gateway.worker.process import run_gateway

__all__ = ["run_gateway"]
