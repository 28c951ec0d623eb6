"""The data plane: what carries tunnels.

    run_gateway(settings, on_ready)

One process serves many tunnels on one event loop; several share a port. `gateway` is the place to start
reading: the life of a tunnel from top to bottom.

| module | holds |
|---|---|
| `process` | a worker as a process: from its settings to the end of its drain |
| `clients`, `client` | clients: TLS, in it an HTTP request, after that a WebSocket |
| `handshake`, `request`, `refusal` | reading the request, and every way to say no. Pure |
| `admission`, `network` | may this tunnel be opened: caller, policies, security groups |
| `served`, `off_limits` | whose endpoints are this gateway's, and where no tunnel leads |
| `names` | the addresses of hosts that are known by name, looked up aside |
| `snapshot`, `follower` | the account in memory, and keeping it up with the store |
| `trail`, `lease` | entering tunnels in the audit trail, and this worker among the living |
| `unrecorded` | what could not be entered, until it can be |
| `patience` | how long the store is waited for, by one timer for all |
| `gateway`, `new_ids` | the life of one tunnel, and what it is called |
| `relay`, `target` | what passes between client and target |
| `transparency` | connecting from the client's address |
| `registry` | the tunnels that this worker carries |
| `revocation`, `subjects` | deciding on open tunnels again when what they depend on changes |
| `report` | telling the store how many bytes they have carried |
| `metrics` | what a worker counts and measures, for Prometheus |
| `watch` | tunnels on which nothing happens: pings, dead peers, the idle limit |
| `tracing` | a tunnel's beginning and end as spans, when that is configured |
"""

from hatchway.gateway.process import run_gateway

__all__ = ["run_gateway"]
