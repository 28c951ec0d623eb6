"""What both planes need of sockets and TLS, and nothing of tunnels or AWS.

| module | holds |
|---|---|
| `sources`, `waiting`, `turned_away` | where clients come from: who is served, who waits, who is reset |
| `failures` | who has failed to authenticate too often |
| `tls` | TLS by the certificate as it is now |
"""
