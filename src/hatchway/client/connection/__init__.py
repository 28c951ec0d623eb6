"""A connection to a server: through a proxy where there is one, by TLS, and what is read of an HTTP answer.

| module | holds |
|---|---|
| `connection` | a connection to a name or an address |
| `proxy` | the HTTP or SOCKS proxy to go through |
| `proxied` | a connection through it |
| `tls` | whom we trust, and connections to them |
| `http_answer` | what comes back on one. Pure |
| `retry` | waiting for a server that is just restarting |
"""
