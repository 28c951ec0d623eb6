"""Accepts connections, and sheds load while a connection is still a bare socket.

Invariants: until its source has been judged, a connection costs an accept and a few dictionary entries. What
is remembered about sources has a fixed size, however many there are.

| module | holds |
|---|---|
| `listener` | accepts connections, and limits what clients may cost that have not authenticated yet |
| `proxied_connection` | a load balancer's connection until its PROXY protocol header has come |
| `proxy_protocol` | the PROXY protocol, which names the client of a load balancer's connection. Pure |
| `sources` | what each source of connections may cost. Pure |
| `failures` | sources that have failed to authenticate too often. Pure |
| `accept_queue` | the queue of connections from unknown sources, fair between networks. Pure |
| `load_shedding` | connections that are reset before TLS, counted by reason |
"""
