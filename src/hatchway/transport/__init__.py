"""What both planes need of sockets and TLS, and nothing of tunnels or AWS.

| module | holds |
|---|---|
| `listener` | accepting connections, and what those may cost that have not yet shown who they are |
| `proxy_protocol` | whose connection a load balancer passes on. Pure |
| `sources`, `waiting`, `turned_away` | where clients come from: who is served, who waits, who is reset |
| `own_addresses` | which addresses are this machine's |
| `failures` | who has failed to authenticate too often |
| `open_files` | how many connections a process may have |
| `tls` | TLS by the certificate as it is now |
"""
