"""The path of a tunnel's bytes, compiled: client's socket, TLS, frames with data, target's socket, and back.

Before it, TLS's handshake: Python is called when a client's request has come, or will not come.

`_core.c` is built where there is a compiler (docs/gateway.md). Where it is not, Python does the same: slower,
within the same bounds. All that decides anything is Python's in either case: requests, control frames,
faults, ends, states, allowances. The core takes a request's head apart, and a presigned URL,
where they are as clients write them, and makes the digest that a signature is compared with.

    tls = CoreTls(certificate, key)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        … WebSocketServer(serve, lambda: tls.session_context) …

The client uses the core too (`hatchway.client.tunnel.asyncio_relay`), with a session of `client_context`: the
gateway takes the place of the client, and the local connection that of the target. Such a session masks the
frames that it sends.

What must hold here: every call reads once, of bounded size, and leaves nothing in the memory that all
connections share; and what the core does not understand it hands over untouched.

| module | holds |
|---|---|
| `loading` | whether the compiled core is there and fits |
| `source_digest` | by which one that was built of other sources is known |
| `flags` | what the core's calls take and return besides bytes. Pure |
| `core_tls` | the server's certificate, for the core |
| `event_loop` | an event loop that waits by the core's poller |

| part | holds |
|---|---|
| `_core.c` | the core: its bounds, what its parts share, the module; it includes the others |
| `queue.c` | a queue of bytes |
| `tls.c` | TLS, of a server and of a client |
| `frames.c` | WebSocket frames with data |
| `relay.c` | a tunnel's bytes, read and passed on: `pump` from the client, `push` to it |
| `opening.c` | a client until its request has come: `greet` |
| `session.c` | one TLS session, as Python has it |
| `poller.c` | which sockets have something, and what of that needs no Python |
| `handle.c` | a call that the event loop is to make |
| `loop.c` | what the event loop does for each call: its turns, and what asks it for calls |
| `head.c` | the head of a request, as clients write it |
| `presigned.c` | a presigned URL, as clients write it, and the digest that its signature is |
"""
