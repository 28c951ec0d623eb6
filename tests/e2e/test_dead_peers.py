"""A client whose machine is cut off from the network, without a word."""

import asyncio
import socket
import struct
from pathlib import Path

from tests.e2e.network import Network
from tests.gateway.harness import Remembers, Says, echo, running_gateway, target
from tests.transport.harness import WebSocket, client_tls, request, run, until

from hatchway.gateway.tunnel.liveness import LivenessCheck


def test_a_client_that_is_cut_off_is_noticed_and_its_target_let_go(network: Network, tmp_path: Path) -> None:
    laptop = network.machine("laptop", "10.0.7.7")
    wire = f"to-{laptop.pid}"
    with network.gateway.joined():
        listening = socket.create_server((network.GATEWAY, 0))
    address = listening.getsockname()

    async def test() -> None:
        trail = Remembers()
        # The target is reached from outside of the network: it is of no account here.
        async with target(echo) as port, running_gateway(Says(port), trail=trail, sock=listening) as gateway:
            loop = asyncio.get_running_loop()
            watch = LivenessCheck(
                gateway.registry, loop.time, idle_limit=None, interval=0.1, ping_after=0.3, dead_after=1
            )
            watching = asyncio.create_task(watch.run())
            with laptop.joined():
                sock = socket.create_connection(address, timeout=60)
            sock.setblocking(False)
            client = WebSocket(
                *await asyncio.open_connection(sock=sock, ssl=client_tls(), server_hostname="localhost")
            )
            client.writer.write(request())
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"
            # It answers, so it lives, well beyond the time after which it would be dead.
            await asyncio.sleep(2)
            assert len(gateway.registry) == 1

            network.gateway.run(["ip", "link", "set", wire, "down"], check=True)
            await until(lambda: not len(gateway.registry))
            assert (await trail.end()).closure.code == 1006
            watching.cancel()
            # Or what is left of the connection would keep the laptop's network.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.vanish()

    run(test)
    network.remove(laptop)
