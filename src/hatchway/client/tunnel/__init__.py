"""A tunnel: asked of a gateway, and its bytes carried from and to this machine.

There are three ways to carry one. On standard streams `stream_relay` does it without an event loop, which
would take too long to load. On a local port there may be many, in an event loop: by the compiled core where
it is built, by Python where it is not. All three behave the same, and are tested together
(`tests/client/carriers.py`).

| module | holds |
|---|---|
| `attempts` | which endpoint is asked next, where one refuses; what a refusal means |
| `opening` | asking a gateway for a tunnel, for `stream_relay` |
| `frames` | the frames of a WebSocket. Pure |
| `stream_relay` | one tunnel on standard streams |
| `event_loop` | the event loop of local ports |
| `tunnel` | opening any number of tunnels in it, and carrying them |
| `relay` | the bytes of each of these, both ways, to the very last |
| `asyncio_opening`, `asyncio_relay` | opening and carrying one, by the compiled core |
| `python_session` | the core's part in that, where it is not |
| `relay_limits` | what bounds all of them |
| `local` | the near end: standard streams or a connection |
| `signals` | ending a tunnel in order when told to |
| `endless_reads` | and when its gateway has TLS read on and on |
| `listener` | a local port, one tunnel for each connection |
| `forward` | a host's port as a local one |
"""
