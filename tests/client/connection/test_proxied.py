"""Tunnels and calls of the API through proxies of every kind, each of which asks for a password."""

import os
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import suppress
from urllib.parse import quote, urlsplit

import pytest
from tests.client.carriers import Carrier, by_event_loop
from tests.client.certificates import Certificates
from tests.client.proxies import PASSWORD, USER, running_proxy
from tests.client.stubs import StubControlPlane, StubGateway, tunnel_plan
from tests.client.tunnel.test_tunnel import Echo

from hatchway.client.api.http_connection import HttpConnection
from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.connection.proxied import _ask_for, _by_thread, _Carrier
from hatchway.client.connection.proxy import CHECK, ProxyFailed
from hatchway.client.connection.tls import Trust
from hatchway.client.discovery.hosts import describe_hosts
from hatchway.client.errors import ApiError, ClientError, GatewayUnreachable
from hatchway.client.tunnel import stream_relay
from hatchway.client.tunnel.local import standard_streams

KNOWN = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}"
HIDDEN = "gateway.hidden.test"
"""A name that the proxy alone can resolve."""


def echoed(gateway: StubGateway, address: str, carry: Carrier = stream_relay.carry) -> bytes:
    """What comes back through a tunnel by the environment's proxy."""
    gateway.answer = lambda: Echo(5)
    ends = (*os.pipe(), *os.pipe())
    os.write(ends[1], b"hello")
    try:
        with standard_streams(ends[0], ends[3]) as local:
            carry(tunnel_plan(gateway, address=address), Trust(gateway.ca_bundle), local)
        return os.read(ends[2], 10)
    finally:
        for end in ends:
            os.close(end)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (f"http://{KNOWN}@127.0.0.1:PORT", HIDDEN),
        (f"{KNOWN}@127.0.0.1:PORT", HIDDEN),
        (f"https://{KNOWN}@localhost:PORT", HIDDEN),
        (f"socks5h://{KNOWN}@127.0.0.1:PORT", HIDDEN),
        (f"socks5://{KNOWN}@127.0.0.1:PORT", "127.0.0.1"),
        ("socks4a://127.0.0.1:PORT", HIDDEN),
        ("socks4://127.0.0.1:PORT", "127.0.0.1"),
    ],
)
@pytest.mark.parametrize(
    ("variable", "carry"), [("HTTPS_PROXY", by_event_loop), ("all_proxy", stream_relay.carry)]
)
def test_a_tunnel_goes_through_the_proxy_that_the_environment_names(
    gateway: StubGateway,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    *,
    variable: str,
    carry: Carrier,
    url: str,
    address: str,
) -> None:
    by_tls = url.startswith("https:")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    with running_proxy(certificates.server_context() if by_tls else None) as proxy:
        monkeypatch.setenv(variable, url.replace("PORT", str(proxy.port)))
        assert echoed(gateway, address, carry) == b"hello"
        assert proxy.asked == [address]


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_the_api_is_asked_through_it_too(
    control_plane: StubControlPlane,
    certificates: Certificates,
    aws_environment: object,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    with running_proxy(certificates.server_context() if scheme == "https" else None) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{KNOWN}@localhost:{proxy.port}")
        options = ProfileOptions(
            region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle
        )
        answer = Profile(options).api_client.describe_instances(InstanceIds=["i-0123456789abcdef0"])
        assert answer["Reservations"]
        assert proxy.asked == ["localhost"]


@pytest.mark.parametrize("url", ["http://{}", "{}", "https://{}", "socks5h://{}", "socks5://{}"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
def test_calls_of_botocore_go_through_it_as_tunnels_do(
    control_plane: StubControlPlane,
    certificates: Certificates,
    aws_environment: object,
    monkeypatch: pytest.MonkeyPatch,
    *,
    url: str,
    variable: str,
) -> None:
    by_tls = url.startswith("https")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    options = ProfileOptions(
        region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle
    )
    with running_proxy(certificates.server_context() if by_tls else None) as proxy:
        monkeypatch.setenv(variable, url.format(f"{KNOWN}@localhost:{proxy.port}"))
        assert Profile(options).api("ec2").describe_instances()["Reservations"]
        assert proxy.asked == ["127.0.0.1" if url.startswith("socks5:") else "localhost"]
        # Of an exception botocore knows names alone.
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8 localhost")
        assert Profile(options).api("ec2").describe_instances()["Reservations"]
        assert len(proxy.asked) == 1


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_calls_of_botocore_through_no_proxy_say_so_without_its_password(
    control_plane: StubControlPlane, aws_environment: object, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    options = ProfileOptions(
        region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle
    )
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:hunter2@127.0.0.1:1")
    with pytest.raises(ApiError, match=f"127.0.0.1:1 is not reached .Connection refused.: {CHECK}") as caught:
        describe_hosts(Profile(options).api("ec2", timeout=1))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_call_through_a_proxy_that_is_not_there_names_what_to_look_at_without_its_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://user:hunter2@127.0.0.1:1")
    with pytest.raises(ApiError, match=f"127.0.0.1:1 is not reached .Connection refused.: {CHECK}") as caught:
        HttpConnection("https://api.example", lambda: Trust(None)).send_all([])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("carry", [by_event_loop, stream_relay.carry])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_a_proxy_that_refuses_or_is_not_there_is_told_of_without_its_password(
    gateway: StubGateway,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    carry: Carrier,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    with running_proxy(certificates.server_context() if scheme == "https" else None) as proxy:
        for port in (proxy.port, 1):
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:hunter2@localhost:{port}")
            with pytest.raises(GatewayUnreachable, match=r"the proxy .*HTTPS_PROXY") as caught:
                echoed(gateway, HIDDEN, carry)
            assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("known", "said"),
    [
        ("", "407 Proxy Authentication Required: have HTTPS_PROXY name a user and a password, as in "),
        ("us er:p@ss", "407 Proxy Authentication Required: correct the user and the password in HTTPS_PROXY"),
    ],
)
def test_a_password_that_a_proxy_wants_is_asked_for_whatever_is_asked_through_it(
    gateway: StubGateway,
    control_plane: StubControlPlane,
    certificates: Certificates,
    aws_environment: object,
    monkeypatch: pytest.MonkeyPatch,
    *,
    scheme: str,
    known: str,
    said: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    options = ProfileOptions(
        region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle
    )
    with running_proxy(certificates.server_context() if scheme == "https" else None) as proxy:
        at = f"localhost:{proxy.port}"
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://{known}{'@' if known else ''}{at}")
        for ask in (
            lambda: Profile(options).api_client.describe_instances(InstanceIds=["i-0123456789abcdef0"]),
            lambda: describe_hosts(Profile(options).api("ec2")),
            lambda: echoed(gateway, HIDDEN),
        ):
            with pytest.raises(ClientError) as caught:
                ask()
            assert f"the proxy {at} answers {said}" in str(caught.value)
            assert f"{scheme}://USER:PASSWORD@{at}" in str(caught.value)
            assert "p@ss" not in str(caught.value)


SAYS_NO = "the proxy proxy:1 answers "
NO_PROXY = "what listens at proxy:1 is no HTTP proxy"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"\r\n\r\n", NO_PROXY),
        (b"HTTP/1.1\r\n\r\n", NO_PROXY),
        (b"SSH-2.0-x 200\r\n\r\n", NO_PROXY),
        (b"", NO_PROXY),
        (b"HTTP/1.1 403 No\r\n\r\n", f"{SAYS_NO}403 No: have it let you through to gateway.example:443"),
        (b"HTTP/1.1 502\r\n\r\n", f"{SAYS_NO}502: it does not reach gateway.example:443"),
        (
            b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: NTLM\r\n\r\n",
            f"{SAYS_NO}407 Who?: it asks for NTLM, Negotiate, and hatchway knows Basic alone",
        ),
        (
            b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic realm=x\r\n\r\n",
            f"{SAYS_NO}407 Who?: have HTTPS_PROXY name a user",
        ),
    ],
)
def test_a_proxy_that_says_anything_but_yes_is_told_with_what_to_do(said: bytes, told: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ProxyFailed, match=re.escape(told)):
            _ask_for(ours, "gateway.example", 443, urlsplit("https://proxy:1"), time.monotonic() + 30)


def test_of_a_proxy_s_answer_nothing_is_lost_or_left_though_it_comes_in_pieces_or_with_what_follows() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pieces = [b"HTTP/1.1 200", b" Connection established\r\nVia: x\r", b"\n\r", b"\nhello"]

        def say() -> None:
            for piece in pieces:
                theirs.sendall(piece)
                time.sleep(0.05)

        thread = threading.Thread(target=say)
        thread.start()
        _ask_for(ours, "fd00::1", 443, urlsplit("http://proxy:1"), time.monotonic() + 30)
        assert ours.recv(10) == b"hello"
        thread.join(30)
        assert theirs.recv(1000).startswith(b"CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\n")


def test_a_proxy_of_tls_that_says_yes_byte_by_byte_is_not_waited_for_longer_than_asked() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        theirs.sendall(b"HTTP/1.1 200 OK\r\n")
        _ask_for(ours, "gateway.example", 443, urlsplit("https://proxy:1"), time.monotonic())


def test_a_tunnel_through_a_proxy_of_tls_outlasts_silence_and_carries_both_directions_at_once(
    certificates: Certificates,
) -> None:
    near, far = socket.socketpair()
    size = 4 << 20

    def echo() -> None:
        # Whoever has all that he wants leaves.
        with (
            suppress(OSError),
            certificates.server_context().wrap_socket(far, server_side=True) as proxy,
        ):
            while data := proxy.recv(65_536):
                proxy.sendall(data)

    thread = threading.Thread(target=echo)
    thread.start()
    secure = ssl.create_default_context(cafile=certificates.ca).wrap_socket(near, server_hostname="localhost")
    secure.settimeout(0.01)
    sent = os.urandom(size)
    with _by_thread(secure) as ours:
        assert select.select([ours], [], [], 0.1)[0] == []
        sending = threading.Thread(target=ours.sendall, args=(sent,))
        sending.start()
        received = bytearray()
        while len(received) < size and (data := ours.recv(65_536)):
            received += data
        sending.join(30)
    thread.join(30)
    assert received == sent


def test_what_was_written_last_leaves_through_a_proxy_of_tls_though_the_process_ends(
    certificates: Certificates,
) -> None:
    last = b"close" * 10_000
    program = (
        "import socket, ssl, sys; from hatchway.client.connection.proxied import _by_thread;"
        "plain = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        "context = ssl.create_default_context(cafile=sys.argv[2]);"
        "ours = _by_thread(context.wrap_socket(plain, server_hostname='localhost'));"
        "ours.sendall(b'close' * 10_000); ours.close()"
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        words = [sys.executable, "-c", program, str(listening.getsockname()[1]), str(certificates.ca)]
        with subprocess.Popen(words) as client:
            near, _ = listening.accept()
            with certificates.server_context().wrap_socket(near, server_side=True) as proxy:
                # What it says meanwhile is heard by nobody.
                proxy.sendall(bytes(1000))
                received = b""
                with suppress(OSError):
                    while data := proxy.recv(65_536):
                        received += data
            assert client.wait(30) == 0
    assert received == last


def test_a_process_that_ends_waits_for_no_proxy_that_has_nothing_to_get(certificates: Certificates) -> None:
    near, far = socket.socketpair()

    def serve() -> None:
        # The client may be gone before it has all that a server says after the handshake.
        with suppress(OSError):
            certificates.server_context().wrap_socket(far, server_side=True).recv(1)

    with far:
        server = threading.Thread(target=serve)
        server.start()
        context = ssl.create_default_context(cafile=certificates.ca)
        secure = context.wrap_socket(near, server_hostname="localhost")
        with _by_thread(secure):
            (carrier,) = [each for each in threading.enumerate() if isinstance(each, _Carrier)]
            until = time.monotonic() + 30
            while carrier._has_work() and time.monotonic() < until:
                time.sleep(0.001)
            carrier.finish(time.monotonic() + 30)
            assert carrier.is_alive()
        server.join(30)
