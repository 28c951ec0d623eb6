"""WebSocket (RFC 6455), the server's side.

Invariants: only `frames` and `handshake` use picows below its public surface; what either accepts is bounded
before it is parsed; and nothing is written after a close frame.

| module | holds |
|---|---|
| `handshake` | the HTTP request that opens a WebSocket, and the answers to it. Pure |
| `frames` | parses frames, with parsers that connections share |
| `close` | the code and reason of a close frame. Pure |
| `connection` | a connection: TLS, then an HTTP request, then a WebSocket |
| `core_connection` | the same, with data frames handled by the compiled core |
| `server` | accepted connections, and a task for each that serves it |
"""
