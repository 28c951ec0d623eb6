"""PreserveClientIp for real: sshd sees the client's address, and its answers find the way back."""

import asyncio
import socket

from tests.e2e.network import Network
from tests.e2e.openssh import Sshd
from tests.e2e.waiting import wait_until
from tests.gateway.harness import Says, running_gateway
from tests.transport.harness import WebSocket, client_tls, request, run

ROUTES = (
    # docs/gateway.md: what targets answer is for this machine, whatever address it is for.
    "route add local 0.0.0.0/0 dev lo table 100",
    "rule add iif {wire} ipproto tcp sport 22 lookup 100",
)


def test_sshd_sees_the_address_of_the_client(network: Network, web_host: Sshd) -> None:
    laptop = network.machine("laptop-2", "10.0.8.8")
    routes = [route.format(wire=f"to-{web_host.machine.pid}") for route in ROUTES]
    for route in routes:
        network.gateway.run(["ip", *route.split()], check=True)
    with network.gateway.joined():
        listening = socket.create_server((network.GATEWAY, 0))
    address = listening.getsockname()

    async def banner(says: Says, sock: socket.socket) -> bytes:
        async with running_gateway(says, sock=sock) as gateway:
            with laptop.joined():
                plain = socket.create_connection(address, timeout=60)
            plain.setblocking(False)
            client = WebSocket(
                *await asyncio.open_connection(sock=plain, ssl=client_tls(), server_hostname="localhost")
            )
            client.writer.write(request())
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            opcode, said = await client.frame()
            assert opcode == 2
            await client.close()
            await client.rest()
            assert gateway.says.sources == ["10.0.8.8"]
        return said

    try:
        # The gateway's socket towards the target is made in this thread.
        with network.gateway.joined():
            said = run(lambda: banner(Says(22, host="10.0.1.1", preserve_client_ip=True), listening))
    finally:
        for route in reversed(routes):
            network.gateway.run(["ip", *route.replace(" add ", " del ", 1).split()], check=True)
    assert said.startswith(b"SSH-2.0-OpenSSH")
    wait_until(
        lambda: "Connection from 10.0.8.8 port" in web_host.process.output(), 10, web_host.process.output
    )
    network.remove(laptop)
