"""A tunnel, on the client's side: asked of a gateway, then carried from and to this machine.

There are three ways to carry a tunnel. On standard streams `stream_relay` does it without an event loop,
which would take too long to load. On a local port there may be many tunnels in one event loop
(`asyncio_relay`): with the compiled core where it is built, with Python's `ssl` where it is not. All three
behave the same and are tested together (`tests/client/carriers.py`).

| module | holds |
|---|---|
| `attempts` | which endpoint to ask next after a refusal; what a refusal means |
| `opening` | asks a gateway for a tunnel, for `stream_relay` |
| `frames` | WebSocket frames, the client's side. Pure |
| `stream_relay` | one tunnel on standard streams |
| `event_loop` | the event loop of local ports |
| `tunnel` | opens tunnels in an event loop and carries them |
| `asyncio_opening` | asks a gateway for a tunnel, for `asyncio_relay` |
| `relay`, `asyncio_relay` | one tunnel in an event loop: its local end; its connection to the gateway |
| `python_session` | TLS by Python's `ssl`, where the compiled core is not built |
| `relay_limits` | limits and time-outs of all relays |
| `local` | the local end: standard streams or a connection |
| `signals` | signals that end a tunnel in order |
| `read_watchdog` | ends a TLS read that goes on for ever |
| `listener` | a local port, with one tunnel for each connection |
| `forward` | which local port stands for a host's port |
"""
