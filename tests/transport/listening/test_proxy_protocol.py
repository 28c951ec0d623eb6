"""The PROXY protocol: reading headers, whose word is taken, and a real HAProxy in front."""

import asyncio
import socket
import ssl
import struct
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.programs import find, needs
from tests.transport.echo_server import echo_server
from tests.transport.harness import LOOPBACK, TIMEOUT, WebSocket, client_tls, request, run, until

from hatchway.domain.addresses import parse_address
from hatchway.transport.listening.load_shedding import BAD_PROXY_HEADER
from hatchway.transport.listening.proxy_protocol import (
    MAX_V1,
    MAX_V2,
    BadProxyHeader,
    ProxyHeader,
    TransportAddress,
    proxy_header,
    read_proxy_header,
)

V2 = b"\r\n\r\n\x00\r\nQUIT\n"
V1_HEADER = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"
CLIENT = "192.0.2.7"


def v2(command: int, family: int, body: bytes, *, length: int | None = None) -> bytes:
    return V2 + struct.pack(">BBH", command, family, len(body) if length is None else length) + body


def addresses(source: str, destination: str) -> bytes:
    return ip_address(source).packed + ip_address(destination).packed + struct.pack(">HH", 4711, 443)


V2_HEADER = v2(0x21, 0x11, addresses(CLIENT, "10.0.0.1"))

GOOD = {
    "version 1, IPv4": (V1_HEADER, CLIENT),
    "version 1, IPv6": (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", "2001:db8::7"),
    "version 1, an IPv4-mapped source": (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 443\r\n", CLIENT),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", None),
    "version 1, unknown with more": (b"PROXY UNKNOWN ffff::1 what ever\r\n", None),
    "version 2, IPv4": (V2_HEADER, CLIENT),
    "version 2, IPv6": (v2(0x21, 0x21, addresses("2001:db8::7", "::1")), "2001:db8::7"),
    "version 2, an IPv4-mapped source": (v2(0x21, 0x21, addresses("::ffff:192.0.2.7", "::1")), CLIENT),
    "version 2, with extensions": (v2(0x21, 0x11, addresses(CLIENT, "10.0.0.1") + bytes(300)), CLIENT),
    "version 2, local": (v2(0x20, 0x00, b""), None),
    "version 2, local with an address": (v2(0x20, 0x11, addresses(CLIENT, "10.0.0.1")), None),
    "version 2, unspecified": (v2(0x21, 0x00, b"whatever"), None),
    "version 2, a Unix socket": (v2(0x21, 0x31, bytes(216)), None),
    "version 2, as long as may be": (
        v2(0x21, 0x11, addresses(CLIENT, "10.0.0.1") + bytes(MAX_V2 - 28)),
        CLIENT,
    ),
}

BAD = {
    "TLS": b"\x16\x03\x01\x02\x00",
    "HTTP": b"GET /openTunnel HTTP/1.1\r\n",
    "version 1 in lower case": b"proxy TCP4 192.0.2.7 10.0.0.1 4711 443\r\n",
    "version 1 without an end": b"PROXY TCP4 " + b"1" * MAX_V1,
    "version 1 that ends one byte late": b"PROXY UNKNOWN " + b"x" * (MAX_V1 - 15) + b"\r\n",
    "version 1 over UDP": b"PROXY UDP4 192.0.2.7 10.0.0.1 4711 443\r\n",
    "version 1 with an address too few": b"PROXY TCP4 192.0.2.7 4711 443\r\n",
    "version 1 with two spaces": b"PROXY TCP4  192.0.2.7 10.0.0.1 4711 443\r\n",
    "version 1 of the other family": b"PROXY TCP4 2001:db8::7 ::1 4711 443\r\n",
    "version 1 with a zone": b"PROXY TCP6 fe80::1%eth0 ::1 4711 443\r\n",
    "version 1 with a zone of the server's": b"PROXY TCP6 ::1 fe80::1%eth0 4711 443\r\n",
    "version 1 with an octal address": b"PROXY TCP4 0192.0.2.7 10.0.0.1 4711 443\r\n",
    "version 1 with a port too high": b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
    "version 1 with a negative port": b"PROXY TCP4 192.0.2.7 10.0.0.1 -1 443\r\n",
    "version 1 with digits of another script": "PROXY TCP4 192.0.2.7 10.0.0.1 ٤ 443\r\n".encode(),
    "version 2 with another version": v2(0x31, 0x11, addresses(CLIENT, "10.0.0.1")),
    "version 2 with an unknown command": v2(0x22, 0x11, addresses(CLIENT, "10.0.0.1")),
    "version 2 over UDP": v2(0x21, 0x12, addresses(CLIENT, "10.0.0.1")),
    "version 2 too short for its addresses": v2(0x21, 0x11, bytes(11)),
    "version 2 too short for IPv6": v2(0x21, 0x21, bytes(35)),
    "version 2 that says to be too long": v2(0x21, 0x11, b"", length=MAX_V2),
}


@pytest.mark.parametrize("kind", GOOD)
def test_a_header_says_whose_connection_it_is(kind: str) -> None:
    header, source = GOOD[kind]
    end = None if source is None else TransportAddress(ip_address(source), 4711)
    expected = ProxyHeader(end, len(header))
    assert read_proxy_header(header) == expected
    assert read_proxy_header(header + b"\x16\x03\x01") == expected


@pytest.mark.parametrize("kind", BAD)
def test_what_breaks_a_rule_is_no_header(kind: str) -> None:
    with pytest.raises(BadProxyHeader):
        read_proxy_header(BAD[kind])


@pytest.mark.parametrize("kind", GOOD)
def test_a_header_cut_short_asks_for_more(kind: str) -> None:
    header, _ = GOOD[kind]
    assert {read_proxy_header(header[:size]) for size in range(len(header))} == {None}


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(bytes.__add__, st.sampled_from([b"PROXY ", b"PROXY TCP4 ", V2]), st.binary(max_size=200)),
    )
)
def test_any_bytes_are_a_header_or_not_by_a_bounded_beginning(data: bytes) -> None:
    try:
        header = read_proxy_header(data)
    except BadProxyHeader:
        return
    if header is None:
        assert len(data) < MAX_V2
        with pytest.raises(BadProxyHeader):
            # However it goes on, it does so for so long only.
            if read_proxy_header(data + b"x" * MAX_V2) is not None:
                raise BadProxyHeader
    else:
        assert header.size <= min(len(data), MAX_V2)


ends = st.builds(TransportAddress, st.ip_addresses(), st.integers(0, 65_535))


@given(ends, ends, st.binary(max_size=100))
def test_a_header_that_is_written_is_read_as_it_was_meant(
    source: TransportAddress, destination: TransportAddress, rest: bytes
) -> None:
    written = proxy_header(source, destination)
    header = read_proxy_header(written + rest)
    meant = TransportAddress(parse_address(str(source.address)), source.port)
    assert header == ProxyHeader(meant, len(written))


@pytest.mark.parametrize(
    ("source", "destination", "family", "written"),
    [
        (CLIENT, "10.0.0.1", 0x11, (CLIENT, "10.0.0.1")),
        ("2001:db8::7", "fd00::1", 0x21, ("2001:db8::7", "fd00::1")),
        (CLIENT, "fd00::1", 0x21, (f"::ffff:{CLIENT}", "fd00::1")),
        ("2001:db8::7", "10.0.0.1", 0x21, ("2001:db8::7", "::ffff:10.0.0.1")),
    ],
    ids=["IPv4", "IPv6", "IPv4 to IPv6", "IPv6 to IPv4"],
)
def test_a_header_that_is_written_has_one_family(
    source: str, destination: str, family: int, written: tuple[str, str]
) -> None:
    header = proxy_header(
        TransportAddress(ip_address(source), 4711), TransportAddress(ip_address(destination), 443)
    )
    assert header == v2(0x21, family, addresses(*written))


async def open_behind(port: int, header: bytes, *, pause_at: int | None = None) -> WebSocket:
    """Open a tunnel over a connection that begins with these bytes."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, (LOOPBACK, port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in (header[i : i + 1] for i in range(pause_at or 0)):
        await loop.sock_sendall(sock, byte)
        await asyncio.sleep(0.001)
    await loop.sock_sendall(sock, header[pause_at or 0 :])
    client = WebSocket(
        *await asyncio.open_connection(
            sock=sock, ssl=client_tls(), server_hostname="localhost", ssl_handshake_timeout=TIMEOUT
        )
    )
    client.writer.write(request())
    client.answer = await client.reader.readuntil(b"\r\n\r\n")
    assert client.answer.startswith(b"HTTP/1.1 101 "), client.answer
    return client


async def echoes(client: WebSocket) -> bool:
    await client.send(b"hello")
    return await client.receive(5) == b"hello"


@pytest.mark.parametrize("header", [V1_HEADER, V2_HEADER])
@pytest.mark.parametrize("pause_at", [0, 28], ids=["at once", "byte by byte"])
def test_a_configured_load_balancer_says_who_the_client_is(header: bytes, pause_at: int) -> None:
    async def test() -> None:
        async with echo_server(
            proxies=(
                "192.168.0.0/16",
                "127.0.0.0/8",
            )
        ) as server:
            assert await echoes(await open_behind(server.port, header, pause_at=pause_at))
            assert server.addresses == [CLIENT]

    run(test)


def test_a_header_and_what_follows_it_may_come_in_one_piece() -> None:
    async def test() -> None:
        async with echo_server(proxies=(LOOPBACK,)) as server:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_tls().wrap_bio(incoming, outgoing)
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
            writer.write(V2_HEADER + outgoing.read())
            answer = await reader.readexactly(1)
            # A TLS handshake record: the ServerHello.
            assert answer == b"\x16"
            writer.close()

    run(test)


V2_WITH_EXTENSIONS = v2(
    0x21,
    0x11,
    addresses(CLIENT, "10.0.0.1")
    # PP2_TYPE_ALPN, PP2_TYPE_AUTHORITY and Amazon's PP2_TYPE_AWS (section 2.2.1).
    + b"\x01\x00\x02h2"
    + b"\x02\x00\x07gateway"
    + b"\xea\x00\x16\x01vpce-0123456789abcdef0",
)


@pytest.mark.parametrize("header", [V1_HEADER, V2_HEADER, V2_WITH_EXTENSIONS, v2(0x20, 0x00, b"")])
@pytest.mark.parametrize(
    "cuts",
    [(), (1,), (-1,), (0,), (5,), (6,), (-3, 3), (11, 40, -1, 0, 1, 200)],
    ids=lambda cuts: "at " + ", ".join(map(str, cuts)) if cuts else "in one segment",
)
def test_wherever_a_network_cuts_header_and_hello_the_client_shakes_hands(
    header: bytes, cuts: tuple[int, ...]
) -> None:
    """A cut is counted from the end of the header; those above 10 from its beginning."""

    async def test() -> None:
        async with echo_server(proxies=(LOOPBACK,)) as server:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_tls().wrap_bio(incoming, outgoing)
            with pytest.raises(ssl.SSLWantReadError):
                tls.do_handshake()
            reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
            writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            begun = header + outgoing.read()
            ends = sorted({at if at > 10 else len(header) + at for at in cuts} & set(range(len(begun))))
            for start, end in zip([0, *ends], [*ends, len(begun)], strict=True):
                writer.write(begun[start:end])
                await asyncio.sleep(0.01)
            while True:
                incoming.write(await reader.read(1 << 16))
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    continue
            tls.write(request())
            writer.write(outgoing.read())
            incoming.write(await reader.read(1 << 16))
            assert tls.read().startswith(b"HTTP/1.1 101 ")
            assert server.addresses == [
                CLIENT if CLIENT.encode() in header or header[12:13] == b"\x21" else LOOPBACK
            ]
            writer.close()

    run(test)


@pytest.mark.parametrize("kind", ["version 1 without an end", "version 2 that says to be too long"])
def test_a_header_that_is_too_long_is_told_of_before_its_end_and_its_client_reset(kind: str) -> None:
    async def test() -> None:
        async with echo_server(proxies=(LOOPBACK,)) as server:
            reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
            for byte in BAD[kind]:
                if not writer.transport.is_closing():
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0)
            with pytest.raises(ConnectionError):
                await reader.readexactly(1)
            writer.close()
            assert (server.listener.pending, len(server.clients)) == (0, 0)
            assert server.listener.shed[BAD_PROXY_HEADER] == 1

    run(test)


def test_a_load_balancer_that_speaks_for_itself_is_the_client() -> None:
    async def test() -> None:
        async with echo_server(proxies=(LOOPBACK,)) as server:
            assert await echoes(await open_behind(server.port, b"PROXY UNKNOWN\r\n"))
            assert server.addresses == [LOOPBACK]

    run(test)


def test_a_load_balancer_must_say_who_the_client_is() -> None:
    async def test() -> None:
        async with echo_server(proxies=(LOOPBACK,)) as server:
            with pytest.raises(ConnectionError):
                await WebSocket.open(server.port)
            await until(lambda: not server.listener.pending)
            assert not server.addresses

    run(test)


def test_nobody_else_may_say_who_the_client_is() -> None:
    async def test() -> None:
        async with echo_server(proxies=("192.168.0.0/16",)) as server:
            with pytest.raises((ConnectionError, OSError)):
                await open_behind(server.port, V1_HEADER)
            assert await echoes(await WebSocket.open(server.port))
            assert server.addresses == [LOOPBACK]

    run(test)


def test_a_load_balancer_that_says_nothing_is_hung_up_on() -> None:
    async def test() -> None:
        async with echo_server(proxies=(LOOPBACK,), request_deadline=0.2) as server:
            reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
            writer.write(V2_HEADER[:14])
            with pytest.raises(ConnectionError):
                await reader.readexactly(1)
            assert not server.listener.pending

    run(test)


def test_an_ipv4_mapped_peer_is_ipv4() -> None:
    async def test() -> None:
        sock = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        async with echo_server(sock=sock) as server:
            assert await echoes(await WebSocket.open(server.port))
            assert server.addresses == [LOOPBACK]
        sock = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        async with echo_server(sock=sock, proxies=(LOOPBACK,)) as server:
            assert await echoes(await open_behind(server.port, V1_HEADER))
            assert server.addresses == [CLIENT]

    run(test)


HAPROXY = find("haproxy")

HAPROXY_CONFIGURATION = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend clients
    bind {front}
    default_backend gateway
backend gateway
    server gateway 127.0.0.1:{port} {option} source 127.0.0.2
"""


@needs("haproxy", "haproxy")
@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"])
def test_behind_a_real_haproxy_the_client_keeps_its_address(option: str, tmp_path: Path) -> None:
    assert HAPROXY is not None

    async def test() -> None:
        front = socket.create_server((LOOPBACK, 0))
        front.set_inheritable(True)
        async with echo_server(proxies=("127.0.0.2/32",)) as server:
            configuration = tmp_path / "haproxy.cfg"
            configuration.write_text(
                HAPROXY_CONFIGURATION.format(front=f"fd@{front.fileno()}", port=server.port, option=option)
            )
            haproxy = await asyncio.create_subprocess_exec(
                HAPROXY, "-f", str(configuration), "-db", pass_fds=(front.fileno(),)
            )
            try:
                loop = asyncio.get_running_loop()
                sock = socket.socket()
                sock.setblocking(False)
                sock.bind(("127.0.0.9", 0))
                await loop.sock_connect(sock, front.getsockname())
                client = WebSocket(
                    *await asyncio.open_connection(
                        sock=sock,
                        ssl=client_tls(),
                        server_hostname="localhost",
                        ssl_handshake_timeout=TIMEOUT,
                    )
                )
                client.writer.write(request())
                assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
                assert await echoes(client)
                assert server.addresses == ["127.0.0.9"]
                await client.close()
            finally:
                haproxy.kill()
                await haproxy.wait()
                front.close()

    run(test)
