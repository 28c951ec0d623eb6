"""An open tunnel: two connections, the bytes that pass between them, and what ends it.

Invariants: whoever holds a byte that has not been passed on yet reads no more. Nothing here waits for the
store, and nothing is done for each frame that could be done less often.

| module | holds |
|---|---|
| `target` | the target's side: what it sends, as frames |
| `states` | the state of a tunnel: it takes events and returns actions. Pure |
| `events`, `state_tables` | its events and actions; the tables of its three state machines. Pure |
| `relay` | what passes between client and target, from the upgrade to the end of both |
| `closures` | why a tunnel ends: close codes and reasons. Pure |
| `registry` | the tunnels that this worker carries |
| `liveness` | pings, dead peers and the idle limit |
| `revocation` | repeated decisions on open tunnels when something that they depend on changes |
"""
