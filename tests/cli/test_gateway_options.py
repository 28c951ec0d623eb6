"""The gateway's options, given to `hatchway serve` as a real process (docs/gateway.md)."""

import json
import socket
import ssl
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest
from tests.cli.conftest import Installed, Serve, Server
from tests.e2e.waiting import free_port

from hatchway.cli.options import read_proxies
from hatchway.errors import BadUsage
from hatchway.server.gateway_options import GatewayOptions
from hatchway.settings import Address, ranges_of


def ask(server: Server, header: bytes = b"") -> bytes:
    """What the gateway answers to a request that nobody signed, on a connection that begins with `header`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    port = int(server.urls["gateway"].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        plain.sendall(header)
        with context.wrap_socket(plain) as tls:
            tls.sendall(
                b"GET /openTunnel HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            return tls.recv(12)


def last_source(installed: Installed) -> str:
    """The client's address in the last event, once there is one in the exported trail."""
    lines = (installed.directory / "audit.jsonl").read_text().splitlines()
    return str(json.loads(lines[-1])["sourceIPAddress"])


def test_a_load_balancer_named_on_the_command_line_says_who_the_client_is(
    installed: Installed, serve: Serve
) -> None:
    server = serve(installed, "--proxy-protocol-from", "10.0.0.0/8", "--proxy-protocol-from", "127.0.0.1")
    assert ask(server, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n") == b"HTTP/1.1 403"
    with pytest.raises(OSError):
        ask(server)
    assert server.stop() == 0
    assert last_source(installed) == "192.0.2.7"


def test_each_worker_tells_prometheus_at_a_port_of_its_own(installed: Installed, serve: Serve) -> None:
    port = free_port(following=1)
    server = serve(installed, "--gateway-workers", "2", "--metrics", f"127.0.0.1:{port}")
    assert ask(server) == b"HTTP/1.1 403"
    told = []
    for worker in (port, port + 1):
        with urllib.request.urlopen(f"http://127.0.0.1:{worker}/metrics", timeout=60) as answer:
            told.append(answer.read())
    assert all(b"hatchway_snapshot_revision " in text for text in told)
    # One of the two took the connection.
    assert sum(b"hatchway_tunnels_refused_total{" in text for text in told) == 1


def test_a_load_balancer_may_be_anywhere_when_that_is_said(installed: Installed, serve: Serve) -> None:
    server = serve(installed, "--proxy-protocol-from", "anywhere")
    assert ask(server, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n") == b"HTTP/1.1 403"
    with pytest.raises(OSError):
        ask(server)


@pytest.mark.parametrize("option", ["--proxy-protocol-from", "--api-proxy-protocol-from"])
@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "128.0.0.0/1", "10.0.0.0/7", "2000::/3"])
def test_a_load_balancer_is_not_by_mistake_whoever_connects(option: str, text: str) -> None:
    with pytest.raises(BadUsage, match=f"{option} '{text}': whoever connects from there may claim any"):
        read_proxies(option, [text])


def test_ranges_of_private_addresses_are_load_balancers() -> None:
    given = ["10.0.0.0/8", "fc00::/7", "192.0.2.1", "anywhere"]
    read = read_proxies("--proxy-protocol-from", given)
    assert read == ("10.0.0.0/8", "fc00::/7", "192.0.2.1/32", "anywhere")
    assert ranges_of(read) == ("10.0.0.0/8", "fc00::/7", "192.0.2.1/32", "0.0.0.0/0", "::/0")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/33"])
def test_a_load_balancer_is_an_address_or_a_range(text: str, tmp_path: Path, installed: Installed) -> None:
    done = installed.run("serve", "--proxy-protocol-from", text)
    assert done.returncode == 2
    assert f"--proxy-protocol-from '{text}' is not an address or a CIDR range" in done.stderr


@pytest.mark.parametrize(
    ("option", "text", "problem"),
    [
        ("--never-target", "10.0.0.1/8", "is not a CIDR range"),
        ("--never-target", "a b", "is neither a host's name nor an address or CIDR range"),
        ("--vpc", " ", "is not the name or id of a VPC"),
        ("--endpoint", " ", "is not the name or id of an endpoint"),
    ],
)
def test_an_option_of_the_gateways_that_cannot_be_is_refused(
    option: str, text: str, problem: str, installed: Installed
) -> None:
    done = installed.run("serve", option, text)
    assert done.returncode == 2
    assert f"{option} '{text}' {problem}" in done.stderr


def drain_ports(options: GatewayOptions, worker: int, workers: int) -> list[int]:
    words = options.arguments(worker, workers)
    return [int(port) for option, port in pairwise(words) if option == "--drain-port"]


def test_each_worker_knows_where_all_of_them_are_drained() -> None:
    options = GatewayOptions(metrics=Address("127.0.0.1", 9464), drain_ports=(9470,))
    assert drain_ports(options, 2, 3) == [9470, 9464, 9465, 9466]
    # One alone knows its own port; where the kernel chooses, or there is none, nobody knows another's.
    assert drain_ports(options, 1, 1) == [9470]
    for metrics in (None, Address("127.0.0.1", 0)):
        assert drain_ports(GatewayOptions(metrics=metrics), 1, 3) == []
