"""One TCP connection, and TLS on it, by readiness: what is read, what is unsent, and whose turn it is.

What must hold here: any method of its owner may end the connection, so each loop checks again that it is
still there; a turn ends after `tls.TURN`; and what is unsent is bounded, provided that the owner stops when
told by `on_full`.

| module | holds |
|---|---|
| `readiness` | one epoll for all connections, and their turns |
| `connecting` | making a connection, within a time limit |
| `transparent_proxying` | making it from an address that is not this machine's |
| `tcp` | a TCP connection with back pressure |
| `tls` | TLS on such a connection, the server's side |
| `allowance` | what one client may cost beyond the bytes that it carries. Pure |
"""
