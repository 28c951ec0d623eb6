"""WebSocket (RFC 6455), the server's side.

What must hold here: `frames` and `handshake` alone know picows below its public surface; what either takes is
bounded before it is parsed; and nothing is written after a close frame.

| module | holds |
|---|---|
| `handshake` | the HTTP request that opens a WebSocket, and the answers to it. Pure |
| `frames` | frames out of bytes, by parsers that connections share |
| `close` | the code and reason of a close frame. Pure |
| `connection` | a connection: TLS, in it an HTTP request, after that a WebSocket |
| `core_connection` | the same, whose data frames the compiled core takes |
| `server` | accepted connections, and a task for each that serves it |
"""
