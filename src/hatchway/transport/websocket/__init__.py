"""WebSocket (RFC 6455), the server's side.

| module | holds |
|---|---|
| `frames` | frames out of bytes, by parsers that connections share |
"""
