"""The path of a tunnel's bytes, compiled: client's socket, TLS, data frames, target's socket, and back.

Before that it does the TLS handshake: Python is called when a client's request has come, or will not come.

`_core.c` is built where there is a compiler (docs/gateway.md). Without it, Python does the same: more slowly,
within the same limits. In either case Python makes all decisions: about requests, control frames, faults,
ends, states, allowances. The core only parses the head of a request, and a presigned URL, if they are in the
form that clients usually write, and computes the digest that a signature is compared with.

    tls = CoreTls(certificate, key)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        … WebSocketServer(serve, lambda: tls.session_context) …

The client uses the core too (`hatchway.client.tunnel.asyncio_relay`), with a session of `client_context`: the
gateway takes the place of the client, and the local connection that of the target. Such a session masks the
frames that it sends.

Invariants: every call reads once, a bounded number of bytes, and leaves nothing in the memory that all
connections share; and the core hands over untouched what it does not understand.

| module | holds |
|---|---|
| `loading` | whether the compiled core exists and can be used |
| `source_digest` | detects a core that was built from other sources |
| `flags` | what the core's calls take and return besides bytes. Pure |
| `core_tls` | the server's certificate, for the core |
| `event_loop` | an event loop that waits with the core's poller |

| part | holds |
|---|---|
| `_core.c` | the core: its limits, what its parts share, the module; it includes the others |
| `queue.c` | a queue of bytes |
| `tls.c` | TLS, of a server and of a client |
| `frames.c` | WebSocket data frames |
| `relay.c` | reads a tunnel's bytes and passes them on: `pump` from the client, `push` to it |
| `opening.c` | a client until its request has come: `greet` |
| `session.c` | one TLS session, as an object of Python |
| `poller.c` | which sockets have events, and which of these need no Python |
| `handle.c` | a call that the event loop will make |
| `loop.c` | the event loop's turns, and the methods that schedule calls |
| `head.c` | the head of a request, in its usual form |
| `presigned.c` | a presigned URL, in its usual form, and the digest for its signature |
"""
