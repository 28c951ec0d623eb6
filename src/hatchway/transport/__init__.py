"""Sockets, TLS, listening, load shedding, the PROXY protocol, WebSocket frames: nothing of tunnels or AWS.

| room | holds |
|---|---|
| `listening` | accepting connections, and shedding load before TLS |
| `connection` | one TCP connection, and TLS on it, by readiness |
| `websocket` | frames on such a connection |

| module | holds |
|---|---|
| `server_tls` | the server's TLS context, by the certificate as its files are now |
| `own_addresses` | which addresses are this machine's |
| `open_files` | how many connections a process may have |
"""
