"""One TCP connection, and TLS on it, by readiness: what is read, what is unsent, and whose turn it is.

Invariants: any method of a subclass may end the connection, so each loop checks again that it still exists; a
turn ends after `tls.TURN`; and what is unsent is bounded, provided that the user stops sending after
`on_full`.

| module | holds |
|---|---|
| `readiness` | one epoll for all connections, and their turns |
| `connecting` | makes a connection, within a time limit |
| `transparent_proxying` | makes it from an address that does not belong to the machine |
| `tcp` | a TCP connection with back pressure |
| `tls` | TLS on such a connection, the server's side |
| `allowance` | what one client may cost beyond the bytes that it carries. Pure |
"""
