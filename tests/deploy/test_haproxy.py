"""HAProxy takes the configuration that is there for it, and real clients come through it to a real server.

The page is docs/deploy.md.
"""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.cli.commands import COMMAND, environment, hatchway
from tests.deploy.site import ACCOUNT, ANSWER, CLIENT, ENDPOINT, FLEET, HOST, answers, start, through_a_tunnel
from tests.e2e.waiting import free_port, wait_until
from tests.programs import find, needs
from tests.trail_files import events_in
from tests.transport.harness import request

from hatchway.sigv4.signing import presign

CONFIGURATION = Path(__file__).parents[2] / "deploy/haproxy/haproxy.cfg"
SERVER = "127.0.41.1"
NO_SERVER = "127.0.41.2"
FRONT = "127.0.41.10"
HAPROXY = "127.0.0.1"
"""What the kernel has HAProxy come from on loopback."""

pytestmark = needs("haproxy", "haproxy")


def program() -> str:
    found = find("haproxy")
    assert found is not None
    return found


def as_whoever_runs_it(text: str) -> str:
    """The configuration without the user that HAProxy is to become: only root can have it do so."""
    for line in ("    user haproxy\n", "    group haproxy\n"):
        assert line in text
        text = text.replace(line, "")
    return text


def test_haproxy_finds_nothing_wrong_with_its_configuration(tmp_path: Path) -> None:
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(as_whoever_runs_it(CONFIGURATION.read_text()))
    command = [program(), "-c", "-f", str(configuration)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@dataclass(frozen=True)
class Site:
    """A server behind HAProxy, whose second server is not there.

    `behind` are the ports of the server's gateway, and of what it says of that; `log` is HAProxy's.
    """

    directory: Path
    api: str
    gateway_port: int
    key: tuple[str, str]
    behind: dict[str, int]
    log: Path

    def client(self, service: str, source: str = CLIENT) -> Any:
        """A client of boto3's, whose connections come from that address."""
        client = boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.api,
            aws_access_key_id=self.key[0],
            aws_secret_access_key=self.key[1],
            verify=str(self.directory / "ca.pem"),
            config=Config(retries={"total_max_attempts": 1}),
        )
        client._endpoint.http_session._manager.connection_pool_kw["source_address"] = (source, 0)
        return client

    def events(self, name: str) -> list[dict[str, Any]]:
        return events_in(self.directory / "audit.jsonl", name)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("haproxy")
    data, fleet = place / "data", place / "fleet.yaml"
    fleet.write_text(FLEET)
    variables = {"HATCHWAY_DATA_DIR": str(data)}
    said = ""
    for command in (
        ("init", "--account", ACCOUNT),
        ("apply", str(fleet)),
        ("access-key", "create", "alice", "--json"),
    ):
        done = hatchway(*command, variables=variables)
        assert done.returncode == 0, done.stderr
        said = done.stdout
    key = json.loads(said)
    metrics = free_port(SERVER)
    front = {name: free_port(FRONT) for name in ("api", "gateway")}
    with ExitStack() as down:
        options = ["--api", f"{SERVER}:0", "--gateway", f"{SERVER}:0", "--drain-timeout", "0"]
        options += ["--proxy-protocol-from", HAPROXY, "--api-proxy-protocol-from", HAPROXY]
        options += ["--api-name", FRONT, "--metrics", f"{SERVER}:{metrics}", "--never-target", HAPROXY]
        log = place / "server.log"
        server = start(down, log, [*COMMAND, "serve", *options], environment(variables))
        ports = dict(re.findall(r"(api|gateway)=\w+://[\d.]+:(\d+)", server.line()))
        assert ports, log.read_text()
        text = as_whoever_runs_it(CONFIGURATION.read_text())
        for shown, here in (
            ("bind :443", f"bind {FRONT}:{front['gateway']}"),
            ("bind :8443", f"bind {FRONT}:{front['api']}"),
            ("10.0.0.21:443", f"{SERVER}:{ports['gateway']}"),
            ("10.0.0.21:8443", f"{SERVER}:{ports['api']}"),
            ("10.0.0.22:443", f"{NO_SERVER}:{ports['gateway']}"),
            ("10.0.0.22:8443", f"{NO_SERVER}:{ports['api']}"),
            ("check port 9464", f"check port {metrics}"),
            # As many files as a test may open.
            ("maxconn 20000", "maxconn 200"),
            ("timeout client-fin 30s", "timeout client-fin 3s"),
        ):
            assert shown in text
            text = text.replace(shown, here)
        configuration, log = place / "haproxy.cfg", place / "haproxy.log"
        configuration.write_text(text)
        start(down, log, [program(), "-db", "-f", str(configuration)], dict(os.environ))
        wait_until(lambda: answers(FRONT, front["api"]), message=log.read_text)
        # What is not there is found out by its checks.
        wait_until(lambda: log.read_text().count("is DOWN") >= 2, message=log.read_text)
        yield Site(
            data,
            f"https://{FRONT}:{front['api']}",
            front["gateway"],
            (key["access_key_id"], key["secret_access_key"]),
            {"gateway": int(ports["gateway"]), "metrics": metrics},
            log,
        )


def test_calls_come_from_the_clients_address_for_policies_and_in_the_audit_trail(site: Site) -> None:
    subnet = site.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    site.client("ec2").create_tags(Resources=[subnet], Tags=[{"Key": "by", "Value": "haproxy"}])
    (event,) = wait_until(lambda: site.events("CreateTags"))
    assert event["sourceIPAddress"] == CLIENT
    with pytest.raises(ClientError, match="not authorized"):
        site.client("ec2", "127.0.9.8").describe_subnets()


def test_a_tunnel_comes_from_the_clients_address_for_policies_and_in_the_audit_trail(site: Site) -> None:
    where = ("--gateway-address", FRONT, "--gateway-port", str(site.gateway_port))
    ca = ("--endpoint-url", site.api, "--ca-bundle", str(site.directory / "ca.pem"))
    done = through_a_tunnel(*where, *ca, key=site.key)
    assert done.stdout == ANSWER, done.stderr
    (event,) = wait_until(lambda: site.events("OpenTunnel"))
    assert event["sourceIPAddress"] == CLIENT


def test_nobody_but_haproxy_says_at_the_api_whose_a_connection_is(site: Site) -> None:
    location = json.loads((site.directory / "api.json").read_text())["url"]
    port = int(location.rpartition(":")[2])
    with socket.create_connection((SERVER, port), 10, source_address=("127.0.9.8", 0)) as sock:
        sock.sendall(b"PROXY TCP4 127.0.9.9 127.0.41.1 4711 8443\r\nGET /healthz HTTP/1.1\r\n\r\n")
        with suppress(ConnectionResetError):
            # An alert of TLS (RFC 8446 section 6), or nothing.
            assert sock.recv(1) in (b"\x15", b"")


def test_who_does_not_close_his_end_of_a_connection_that_is_over_does_not_keep_it(site: Site) -> None:
    port = int(site.api.rpartition(":")[2])
    with socket.create_connection((FRONT, port), 30) as raw:
        client = ssl._create_unverified_context().wrap_socket(raw)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while client.recv(4096):
            pass
        # TLS is over at both ends then, and the server has closed.
        with client.unwrap() as ours:
            number = ours.getsockname()[1]
            assert is_kept(port, number)
            wait_until(lambda: not is_kept(port, number))


def opens(site: Site, target: int) -> bytes:
    """The first line of what the gateways' address answers to a request for a tunnel."""
    path = presign(
        "localhost",
        "/openTunnel",
        {
            "instanceConnectEndpointId": ENDPOINT,
            "remotePort": str(target),
            "privateIpAddress": HOST,
        },
        access_key_id=site.key[0],
        secret_access_key=site.key[1],
        now=datetime.now(UTC),
        region="us-east-1",
        service="ec2-instance-connect",
        expires=60,
    )
    where = (FRONT, site.gateway_port)
    with socket.create_connection(where, 30, source_address=(CLIENT, 0)) as raw:
        client = ssl._create_unverified_context().wrap_socket(raw)
        client.sendall(request(path, Host="localhost"))
        return client.recv(4096).partition(b"\r\n")[0]


def test_no_opening_is_lost_while_one_of_two_gateways_drains_and_is_stopped(
    site: Site, tmp_path: Path
) -> None:
    metrics = site.behind["metrics"]
    with ExitStack() as down:
        options = ["--gateway", f"{NO_SERVER}:{site.behind['gateway']}", "--proxy-protocol-from", HAPROXY]
        options += ["--metrics", f"{NO_SERVER}:{metrics}", "--never-target", HAPROXY]
        log = tmp_path / "gateway.log"
        variables = environment({"HATCHWAY_DATA_DIR": str(site.directory)})
        second = start(down, log, [*COMMAND, "gateway", *options], variables)
        assert second.line().startswith("ready "), log.read_text()
        port = down.enter_context(socket.create_server((HOST, 0), backlog=100)).getsockname()[1]
        told = Counter[bytes]()

        def goes_on(until: Callable[[], bool]) -> None:
            """Tunnels are opened, one after the other, until something is so."""

            def one_more() -> bool:
                told.update([opens(site, port)])
                return until()

            wait_until(one_more, message=site.log.read_text)

        def asked(path: str, method: str = "GET") -> tuple[int, str]:
            asking = HTTPConnection(NO_SERVER, metrics, timeout=30)
            asking.request(method, path)
            answer = asking.getresponse()
            return answer.status, answer.read().decode()

        goes_on(lambda: "hatchway_tunnels_opened_total 0.0" not in asked("/metrics")[1])
        before = site.log.read_text().count("gateways/two is DOWN")
        assert asked("/drain", "POST")[0] == 200
        assert asked("/readyz")[0] == 503
        goes_on(lambda: site.log.read_text().count("gateways/two is DOWN") > before)
        second.process.send_signal(signal.SIGTERM)
        goes_on(lambda: second.process.poll() is not None)
        assert list(told) == [b"HTTP/1.1 101 Switching Protocols"]
        assert second.process.returncode == 0


def is_kept(port: int, clients: int) -> bool:
    """Whether a process still has its end of a connection to a port from a client's (proc_pid_net(5))."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, *_, inode = line.split()[:10]
        if (local[-5:], remote[-5:]) == (f":{port:04X}", f":{clients:04X}"):
            return inode != "0"
    return False
