"""HTTP/1.1 within limits (RFC 9112): what uvicorn and h11 leave open to whoever would waste a server's time.

| module | what it does |
|---|---|
| `server` | the HTTPS server: who is accepted, and how many |
| `protocol` | one client's connection, with a deadline for each part of it |
| `syntax` | what is taken as a request at all |
| `keep_alive` | how many connections are kept between requests |
| `bodies` | the bodies of requests, each within its size and time |
"""
