"""Accepting connections, and shedding load while a connection is still a bare socket.

| module | holds |
|---|---|
| `listener` | accepting connections, and what those may cost that have not yet shown who they are |
| `proxy_protocol` | whose connection a load balancer passes on. Pure |
| `sources` | what each source of connections may cost. Pure |
| `failures` | who has failed to authenticate too often. Pure |
| `accept_queue` | who waits for a turn, fair between networks. Pure |
| `load_shedding` | connections that are reset before TLS, counted by reason |
"""
