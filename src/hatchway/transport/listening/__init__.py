"""Accepting connections, and shedding load while a connection is still a bare socket.

What must hold here: a connection costs an accept and a few dictionary entries until its source is judged, and
whatever is remembered of sources has a fixed size, however many there are.

| module | holds |
|---|---|
| `listener` | accepting connections, and what those may cost whose clients have not authenticated yet |
| `proxied_connection` | a load balancer's connection until it has said whose it is |
| `proxy_protocol` | whose connection a load balancer passes on. Pure |
| `sources` | what each source of connections may cost. Pure |
| `failures` | who has failed to authenticate too often. Pure |
| `accept_queue` | the queue of connections from unknown sources, fair between networks. Pure |
| `load_shedding` | connections that are reset before TLS, counted by reason |
"""
