"""A tunnel that is open: two connections, what passes between them, and what ends it.

What must hold here: whoever holds a byte that is not passed on yet reads no more. Nothing here waits for the
store, nor does anything for each frame that is not needed for each frame.

| module | holds |
|---|---|
| `target` | the target's side: what it sends, as frames |
| `states` | the states of the two sides and of the tunnel, as tables. Pure |
| `relay` | what passes between client and target, from the upgrade to the end of both |
| `closures` | why a tunnel ends: close codes and reasons. Pure |
| `registry` | the tunnels that this worker carries |
| `liveness` | tunnels on which nothing happens: pings, dead peers, the idle limit |
| `revocation` | deciding on open tunnels again when what they depend on changes |
"""
