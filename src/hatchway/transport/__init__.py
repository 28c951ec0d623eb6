"""Sockets, TLS, load shedding, the PROXY protocol, WebSockets: nothing about tunnels, policies or AWS.

The path of a connection through the subpackages:

1. `listening.listener.Listener` accepts it. While it is a bare socket, its source decides what happens to it
   (`listening.sources`); behind a load balancer, the PROXY protocol header names the source
   (`listening.proxy_protocol`). The connection is served, waits in the accept queue
   (`listening.accept_queue`), or is reset at once (`listening.load_shedding`): before TLS, which costs a
   hundred times as much.
2. A connection that is served goes to the function that the listener was made with, as an
   `AcceptedConnection`: `websocket.server.WebSocketServer.begin`, or another one.
3. `connection.readiness.Readiness` watches the sockets of all connections with one epoll, and gives each its
   turn. `connection.tcp.Connection` reads and writes a socket, with back pressure;
   `connection.tls.TlsConnection` speaks TLS on it, with a context of `server_tls.ServerTls`.
   `connection.allowance` bounds what a client's small records and frames may cost.
4. `websocket.connection.WebSocketConnection` reads the HTTP request (`websocket.handshake`), then frames
   (`websocket.frames`), until a close frame (`websocket.close`).

Where the compiled core is loaded, `core.core_tls.CoreTls` replaces `ServerTls`, and the server makes
`websocket.core_connection.CoreConnection`s with its contexts: the core handles their data frames.

`connection.connecting.Attempt` is the other direction: it connects to another machine.

| subpackage | holds |
|---|---|
| `listening` | accepts connections, and sheds load before TLS |
| `connection` | a TCP connection, and TLS on it, by readiness |
| `websocket` | the server's side of a WebSocket on such a connection |
| `core` | the path of a tunnel's bytes, compiled |

| module | holds |
|---|---|
| `server_tls` | the server's TLS context, from the current certificate files |
| `asyncio_tls` | the same limits for servers that are built on asyncio, such as uvicorn |
| `client_hello` | what clients offer at the beginning of TLS, and which offers cost too much |
| `own_addresses` | which addresses belong to this machine |
| `open_files` | how many connections a process may have |

Invariants:

- Whoever passes bytes on stops reading while the other side takes none: `Hold.BACKLOG`, from `client_full` to
  `client_ready`. So what a connection holds in memory is bounded.
- No call blocks, and none takes long: unfinished work asks for another turn.
- A limit is enforced before the work that it saves is done, and an ordinary client never meets one.
- A payload or buffer that is handed over is valid until the call returns: whoever keeps it copies it.
- Only `hatchway.domain` is imported. The user of this package tells `Sources` whether a client has
  authenticated.

A server that sends back each binary message of one frame, complete except for its imports:

    class Echo:
        def __init__(self, client):
            self.client = client
            self.lost = asyncio.get_running_loop().create_future()

        def on_frame(self, frame):
            if frame.msg_type == WSMsgType.BINARY:
                payload = frame.get_payload_as_bytes()
                self.client.write_frames(binary_header(len(payload)), payload)
            elif frame.msg_type == WSMsgType.CLOSE:
                self.client.close_for(Closure(1000))

        def on_frames_end(self):
            pass

        def client_full(self):
            self.client.hold(Hold.BACKLOG)

        def client_ready(self):
            self.client.release(Hold.BACKLOG)

        def client_at_fault(self, closure):
            self.client.close_for(closure)

        def close_unanswered(self):
            self.client.hang_up()

        def client_lost(self):
            self.lost.set_result(None)

    async def serve(client, address, port):
        try:
            answer = render_upgrade(websocket_key(client.take_head()))
        except BadHandshake as bad:
            client.hang_up(render_answer(bad.status, str(bad).encode()))
        else:
            sources.authenticated(address)
            echo = Echo(client)
            client.upgrade(answer, echo)
            client.release(Hold.CONNECTING)
            await echo.lost

    sources = Sources(time.monotonic)

    async def start(sock, tls):
        listener = Listener(WebSocketServer(serve, lambda: tls.context).begin, sources)
        await listener.start(sock)
        return listener
"""
