"""Sockets, TLS, load shedding, the PROXY protocol, WebSockets: nothing of tunnels, policies or AWS.

A connection's way through the rooms:

1. `listening.listener.Listener` accepts it. While it is a bare socket it is judged by where it comes from
   (`listening.sources`), which behind a load balancer its PROXY protocol header says
   (`listening.proxy_protocol`). It is served, waits in the accept queue (`listening.accept_queue`), or is
   reset at once (`listening.load_shedding`): before TLS, which costs a hundred times as much.
2. What is served goes to the function that the listener was made with, as an `AcceptedConnection`:
   `websocket.server.WebSocketServer.begin`, or another's own.
3. `connection.readiness.Readiness` watches the sockets of all connections by one epoll, and gives each its
   turn. `connection.tcp.Connection` reads and writes one of them, with back pressure;
   `connection.tls.TlsConnection` speaks TLS on it, by a context of `server_tls.ServerTls`.
   `connection.allowance` bounds what a client's small records and frames may cost.
4. `websocket.connection.WebSocketConnection` takes the HTTP request (`websocket.handshake`), then frames
   (`websocket.frames`), until a close frame (`websocket.close`).

Where the compiled core is loaded, `core.core_tls.CoreTls` takes the place of `ServerTls`, and the server
makes `websocket.core_connection.CoreConnection`s by its contexts: the core takes their data frames.

`connection.connecting.Attempt` is the other way: it makes a connection to elsewhere.

| room | holds |
|---|---|
| `listening` | accepting connections, and shedding load before TLS |
| `connection` | one TCP connection, and TLS on it, by readiness |
| `websocket` | the server's side of a WebSocket on such a connection |
| `core` | the path of a tunnel's bytes, compiled |

| module | holds |
|---|---|
| `server_tls` | the server's TLS context, by the certificate as its files are now |
| `asyncio_tls` | the same care for servers that are built on asyncio, as uvicorn is |
| `client_hello` | what clients offer as TLS begins, and which of it costs too much |
| `own_addresses` | which addresses are this machine's |
| `open_files` | how many connections a process may have |

What must hold here:

- Whoever passes bytes on reads no more while the other side takes none: `Hold.BACKLOG`, from `client_full` to
  `client_ready`. So what a connection holds in memory is bounded.
- No call blocks, and none takes long: what is left to do asks for another turn.
- A limit is enforced before the work that it saves is done, and an ordinary client never meets one.
- A payload or buffer that is handed over is valid until the call returns: whoever keeps it copies it.
- Only `hatchway.domain` is imported. Whether a client has authenticated, its user tells `Sources`.

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
