"""Targets that are told by the PROXY protocol who the client is: when, once, and by whom alone."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.gateway.account import (
    GATEWAY_KEY,
    INTERFACE_ADDRESS,
    StoredAccount,
    allow,
    endpoint,
    instance,
    new_admission,
    security_group,
    stored_account,
)
from tests.gateway.harness import Running, Says, echo, running_gateway, target
from tests.gateway.workers import open_tunnel, worker
from tests.programs import find, needs
from tests.transport.harness import LOOPBACK, WebSocket, client_tls, request, run

from hatchway.domain.endpoint import ProxyProtocol
from hatchway.domain.network import Rule
from hatchway.gateway.admission.decision import Admitted
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.gateway.tunnel.registry import Registry
from hatchway.transport.listening.proxy_protocol import TransportAddress, proxy_header, read_proxy_header

CLIENT, CLIENT6 = "192.0.2.7", "2001:db8::7"
GREETING = b"SSH-2.0-test\r\n"


def header(source: str, source_port: int, port: int, address: str = LOOPBACK) -> bytes:
    return proxy_header(
        TransportAddress(ip_address(source), source_port), TransportAddress(ip_address(address), port)
    )


def says(port: int, *, host: str = LOOPBACK, version: ProxyProtocol | None = ProxyProtocol.V2) -> Says:
    return Says(port, host=host, proxy_protocol=version)


def own_port(client: WebSocket) -> int:
    port: int = client.writer.get_extra_info("sockname")[1]
    return port


async def opened(port: int, before_tls: bytes = b"", *, early: bytes = b"") -> WebSocket:
    """Open a tunnel, with bytes before TLS, and bytes of the tunnel right behind the request."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, (LOOPBACK, port))
    await loop.sock_sendall(sock, before_tls)
    client = WebSocket(
        *await asyncio.open_connection(sock=sock, ssl=client_tls(), server_hostname="localhost")
    )
    client.writer.write(request())
    if early:
        await client.send(early)
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return client


@asynccontextmanager
async def recording() -> AsyncIterator[tuple[int, asyncio.Queue[bytes]]]:
    """A target that speaks first, like sshd, and tells all that a connection brought once that has ended."""
    received = asyncio.Queue[bytes]()

    async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        received.put_nowait(await reader.read())
        writer.close()

    async with target(host) as port:
        yield port, received


async def carried_through(gateway: Running, client: WebSocket) -> tuple[int, int]:
    """Payload bytes each way, once the client has taken the greeting and closed."""
    assert await client.receive(14) == GREETING
    await client.close()
    await client.rest()
    carried = await gateway.trail.end()
    return carried.bytes_in, carried.bytes_out


@pytest.mark.parametrize("early", [b"", b"SSH-2.0-me\r\n"], ids=["it waits", "it does not wait"])
def test_the_header_comes_once_before_what_the_client_sends_and_counts_for_nothing(early: bytes) -> None:
    async def test() -> None:
        async with recording() as (port, received), running_gateway(says(port)) as gateway:
            client = await opened(gateway.port, early=early)
            own = header(LOOPBACK, own_port(client), port)
            await client.send(b"one")
            await client.send(b"two")
            sent = early + b"onetwo"
            assert await carried_through(gateway, client) == (len(sent), 14)
            assert await received.get() == own + sent

    run(test)


def test_a_client_that_says_nothing_is_told_of_all_the_same() -> None:
    async def test() -> None:
        async with recording() as (port, received), running_gateway(says(port)) as gateway:
            client = await opened(gateway.port)
            own = header(LOOPBACK, own_port(client), port)
            assert await carried_through(gateway, client) == (0, 14)
            assert await received.get() == own

    run(test)


def test_other_endpoints_pass_on_what_the_client_sends_and_nothing_else() -> None:
    async def test() -> None:
        async with (
            recording() as (port, received),
            running_gateway(says(port, version=None)) as gateway,
        ):
            client = await opened(gateway.port)
            await client.send(b"one")
            await carried_through(gateway, client)
            assert await received.get() == b"one"

    run(test)


def test_a_header_that_the_client_writes_stands_behind_the_gateways() -> None:
    forged = header("203.0.113.1", 1, 22)

    async def test() -> None:
        async with recording() as (port, received), running_gateway(says(port)) as gateway:
            client = await opened(gateway.port, early=forged)
            own = header(LOOPBACK, own_port(client), port)
            assert await carried_through(gateway, client) == (len(forged), 14)
            got = await received.get()
            assert got == own + forged
            read = read_proxy_header(got)
            assert read is not None
            assert read.size == len(own)

    run(test)


@pytest.mark.parametrize("source", [CLIENT, CLIENT6])
def test_the_client_behind_a_load_balancer_is_the_one_it_names(source: str) -> None:
    async def test() -> None:
        async with (
            recording() as (port, received),
            running_gateway(says(port), proxies=(LOOPBACK,)) as gateway,
        ):
            client = await opened(gateway.port, header(source, 4711, 443, "::1"))
            await carried_through(gateway, client)
            assert await received.get() == header(source, 4711, port)

    run(test)


def test_a_load_balancer_that_names_nobody_is_the_client() -> None:
    async def test() -> None:
        async with (
            recording() as (port, received),
            running_gateway(says(port), proxies=(LOOPBACK,)) as gateway,
        ):
            client = await opened(gateway.port, b"PROXY UNKNOWN\r\n")
            own = header(LOOPBACK, own_port(client), port)
            await carried_through(gateway, client)
            assert await received.get() == own

    run(test)


def test_a_target_of_ipv6_is_told_of_an_ipv4_client() -> None:
    async def test() -> None:
        received = asyncio.Queue[bytes]()

        async def host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.put_nowait(await reader.readexactly(52))
            writer.close()

        server = await asyncio.start_server(host, "::1", 0)
        port = server.sockets[0].getsockname()[1]
        async with running_gateway(says(port, host="::1")) as gateway:
            client = await opened(gateway.port)
            own = header(LOOPBACK, own_port(client), port, "::1")
            assert (await client.rest())[1].code == 1000
            assert await received.get() == own
        server.close()

    run(test)


# What the account says


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


def tell(account: StoredAccount, version: ProxyProtocol | None) -> None:
    with account.store.write() as tx:
        # The quota is of no account here, however fast tunnels come and go.
        tx.endpoints.put(endpoint(proxy_protocol=version, max_tunnels=1000))


def test_a_change_counts_for_tunnels_that_come_and_open_ones_go_on(
    account: StoredAccount, tmp_path: Path
) -> None:
    tell(account, None)

    async def test() -> None:
        async with recording() as (port, received):
            with worker(account, tmp_path) as gateway:

                async def told() -> bytes:
                    """What a new tunnel's target gets before anything."""
                    client = await open_tunnel(gateway, account, port)
                    assert await client.receive(14) == GREETING
                    await client.close()
                    await client.rest()
                    return await received.get()

                assert await told() == b""
                open_before = await open_tunnel(gateway, account, port)
                assert await open_before.receive(14) == GREETING
                tell(account, ProxyProtocol.V2)
                while not (preface := await told()):
                    pass
                header = read_proxy_header(preface)
                assert header is not None and header.source is not None
                assert (str(header.source.address), header.size) == (LOOPBACK, len(preface))
                tell(account, None)
                while await told():
                    pass
                await open_before.send(b"still here")
                await open_before.close()
                await open_before.rest()
                assert await received.get() == b"still here"

    run(test)


@pytest.mark.parametrize(
    ("peer", "let_in"),
    [(f"{INTERFACE_ADDRESS}/32", True), (f"{CLIENT}/32", False)],
    ids=["from the endpoint", "from the client"],
)
def test_security_groups_see_the_endpoints_address(account: StoredAccount, peer: str, let_in: bool) -> None:
    with account.store.write() as tx:
        tx.security_groups.put(security_group("sg-in", ingress=(Rule("tcp", 22, 22, peer),)))
        tx.instances.put(instance(groups=("sg-in",)))
    tell(account, ProxyProtocol.V2)
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    answer = new_admission(snapshot, Registry(), may_take_addresses=False).decide(
        account.head("alice"), source_ip=CLIENT, request_id="r", tunnel_id="t", now=datetime.now(UTC)
    )
    assert isinstance(answer, Admitted)
    assert (answer.proxy_protocol, answer.source) == (ProxyProtocol.V2, None)
    assert (answer.unreachable is None) is let_in


# A real receiver

HAPROXY = find("haproxy")

# It accepts the header, and tells in one of version 1, which is text, what it has understood.
HAPROXY_CONFIGURATION = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend tunnels
    bind {front} accept-proxy
    default_backend host
backend host
    server host 127.0.0.1:{port} send-proxy
"""


@asynccontextmanager
async def behind_haproxy(directory: Path, port: int) -> AsyncIterator[int]:
    """A real HAProxy that expects the header, in front of a host; its port."""
    assert HAPROXY is not None
    front = socket.create_server((LOOPBACK, 0))
    front.set_inheritable(True)
    configuration = directory / "haproxy.cfg"
    configuration.write_text(HAPROXY_CONFIGURATION.format(front=f"fd@{front.fileno()}", port=port))
    haproxy = await asyncio.create_subprocess_exec(
        HAPROXY, "-f", str(configuration), "-db", pass_fds=(front.fileno(),)
    )
    try:
        yield front.getsockname()[1]
    finally:
        haproxy.kill()
        await haproxy.wait()
        front.close()


async def shows_its_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    await echo(reader, writer)


@needs("haproxy", "haproxy")
@pytest.mark.parametrize(
    ("source", "family", "prefix"), [(CLIENT, "TCP4", ""), (CLIENT6, "TCP6", "::ffff:")], ids=["IPv4", "IPv6"]
)
def test_a_real_haproxy_in_front_of_a_host_learns_who_the_client_is(
    source: str, family: str, prefix: str, tmp_path: Path
) -> None:
    async def test() -> None:
        async with (
            target(shows_its_header) as host,
            behind_haproxy(tmp_path, host) as port,
            running_gateway(says(port), proxies=(LOOPBACK,)) as gateway,
        ):
            client = await opened(gateway.port, header(source, 4711, 443, "::1"))
            shown = f"PROXY {family} {source} {prefix}{LOOPBACK} 4711 {port}\r\n".encode()
            assert await client.receive(len(shown)) == shown
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"
            await client.close()
            await client.rest()
            carried = await gateway.trail.end()
            assert (carried.bytes_in, carried.bytes_out) == (5, len(shown) + 5)

    run(test)


@needs("haproxy", "haproxy")
def test_a_real_haproxy_that_expects_a_header_takes_no_tunnel_without_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with (
            target(shows_its_header) as host,
            behind_haproxy(tmp_path, host) as port,
            running_gateway(says(port, version=None)) as gateway,
        ):
            client = await opened(gateway.port, early=b"SSH-2.0-me\r\n")
            received, closed = await client.rest()
            assert (received, closed.code) == (b"", 1000)

    run(test)
