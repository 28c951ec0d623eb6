"""A host that expects the PROXY protocol: HAProxy learns who the client is, and hands sshd the rest."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.aws import AwsCli
from tests.e2e.hatchway_server import (
    DESCRIBE,
    DNS_NAME,
    ENDPOINT,
    FLEET,
    OPEN_TUNNEL,
    WEB_1,
    Hatchway,
)
from tests.e2e.machines import Machine
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd, make_key
from tests.e2e.processes import Process
from tests.e2e.waiting import wait_until

LAPTOP = "10.0.9.9"
PORT = 2222

HAPROXY = f"""
global
    log stdout format raw local0
defaults
    log global
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen ssh
    # docs/gateway.md: nobody but the gateway may say who the client is.
    bind :{PORT}
    tcp-request connection reject unless {{ src {Network.GATEWAY} }}
    tcp-request connection expect-proxy layer4
    # The client's address, and the one that it was led to.
    log-format "from %ci to %fi:%fp"
    server sshd 127.0.0.1:22
"""


@pytest.fixture(scope="module")
def laptop(network: Network, hatchway: Hatchway) -> Iterator[AwsCli]:
    """A user's AWS CLI on a machine of its own."""
    user = hatchway.user("erin", DESCRIBE, OPEN_TUNNEL)
    machine = network.machine("laptop-3", LAPTOP)
    machine.add_name(Network.GATEWAY, DNS_NAME)
    machine.trust((hatchway.directory / "ca.pem").read_text())
    yield replace(user, machine=machine)
    network.remove(machine)


@pytest.fixture
def haproxy(network: Network, web_host: Sshd, tmp_path: Path) -> Iterator[Process]:
    """HAProxy in front of the host's sshd."""
    web_host.machine.write("/etc/haproxy/ssh.cfg", HAPROXY)
    process = web_host.machine.start(
        ["haproxy", "-db", "-f", "/etc/haproxy/ssh.cfg"], tmp_path / "haproxy.log"
    )

    def listens() -> bool:
        with network.gateway.joined(), socket.socket() as sock:
            return sock.connect_ex(("10.0.1.1", PORT)) == 0

    wait_until(listens, message=process.output)
    yield process
    process.stop()


def fleet_with(**endpoint: Any) -> dict[str, Any]:
    """The fleet with more said of its endpoint."""
    endpoints: dict[str, Any] = {"office": {"id": ENDPOINT, "subnet": "office/web", **endpoint}}
    return {**FLEET, "endpoints": endpoints}


def ssh(user: AwsCli, key: Path, port: int) -> subprocess.CompletedProcess[str]:
    proxy = (
        f"{user.program} ec2-instance-connect open-tunnel --instance-id {WEB_1} "
        f"--instance-connect-endpoint-id {ENDPOINT} --remote-port {port}"
    )
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", f"ProxyCommand={proxy}"]
    argv = ["ssh", "-i", str(key), *(part for option in options for part in ("-o", option))]
    return user.machine.run([*argv, f"ec2-user@{WEB_1}", "echo in"], env=user.full_environment, timeout=90)


def test_a_proxy_on_the_host_learns_who_the_client_is_and_ssh_goes_through_it(
    hatchway: Hatchway, web_host: Sshd, laptop: AwsCli, haproxy: Process, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    web_host.authorize("ec2-user", make_key(key))
    hatchway.apply(fleet_with(proxy_protocol="v2"))
    try:
        assert "proxy_protocol: v2" in hatchway.command("export")
        answer = ssh(laptop, key, PORT)
        assert answer.stdout == "in\n", answer.stderr
        haproxy.wait_for(f"from {LAPTOP} to 10.0.1.1:{PORT}")
        # sshd itself does not expect a header, and lets nobody in after one.
        assert ssh(laptop, key, 22).returncode == 255
        web_host.process.wait_for('invalid protocol identifier ""')
    finally:
        hatchway.apply(FLEET)
    assert ssh(laptop, key, PORT).returncode == 255
    haproxy.wait_for("does not look like a PROXY protocol header")
    assert ssh(laptop, key, 22).stdout == "in\n"


def test_a_proxy_on_the_host_takes_nobodys_word_but_the_gateways(
    network: Network, laptop: AwsCli, haproxy: Process
) -> None:
    header = b"PROXY TCP4 203.0.113.1 10.0.1.1 4711 2222\r\nSSH-2.0-test\r\n"

    def answer_to(machine: Machine) -> bytes:
        with suppress(ConnectionError), machine.joined(), socket.socket() as sock:
            sock.settimeout(60)
            sock.connect(("10.0.1.1", PORT))
            sock.sendall(header)
            return sock.recv(8)
        return b""

    assert answer_to(network.gateway) == b"SSH-2.0-"
    assert answer_to(laptop.machine) == b""
