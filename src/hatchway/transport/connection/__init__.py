"""One TCP connection, and TLS on it, by readiness: what is read, what is unsent, and whose turn it is.

What must hold here: any call of an owner's may end the connection, so each loop looks again if it is there;
a turn ends after `tls.TURN`; and what is unsent is bounded as soon as the owner heeds `on_full`.

| module | holds |
|---|---|
| `readiness` | one epoll for all connections, and their turns |
| `connecting`, `transparency` | making a connection, within a time limit; from another address than our own |
| `tcp` | a TCP connection with back pressure |
| `tls` | TLS on such a connection, the server's side |
| `allowance` | what one client may cost beyond the bytes that it carries. Pure |
"""
