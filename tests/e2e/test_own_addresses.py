"""Tunnels to the gateway's own machine: who had one would call the API, or read the metrics, from there."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.aws import AwsCli
from tests.e2e.hatchway_server import DESCRIBE, ENDPOINT, FLEET, OPEN_TUNNEL, Hatchway
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd

from hatchway.domain.addresses import parse_address

API_PORT, GATEWAY_PORT = 8443, 443
LATER, BY_ROUTE = "10.0.1.253", "10.0.77.9"

OWN_ADDRESSES = [
    Network.GATEWAY,
    Network.GATEWAY6,
    "FD00:10:0:1:0:0:0:FE",
    f"::ffff:{Network.GATEWAY}",
    LATER,
    BY_ROUTE,
]
"""The gateway machine's, in several ways to write them; one that it gets later, and one that it has by a
route alone."""


def tunnel(user: AwsCli, address: str, port: int, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """What the AWS CLI says of a tunnel to an address and port, and what comes out of it."""
    return user.run(
        "ec2-instance-connect", "open-tunnel", "--private-ip-address", address,
        "--instance-connect-endpoint-id", ENDPOINT, "--remote-port", str(port), timeout=timeout,
    )  # fmt: skip


@pytest.fixture(scope="module")
def mallory(hatchway: Hatchway, web_host: Sshd) -> Iterator[AwsCli]:
    """One who may open tunnels to whatever the network has, on a gateway machine with more addresses.

    It has those of the network since there is another machine in it.
    """
    hatchway.machine.run(["ip", "addr", "add", f"{LATER}/32", "dev", "lo"], check=True)
    hatchway.machine.run(["ip", "route", "add", "local", f"{BY_ROUTE}/32", "dev", "lo"], check=True)
    yield hatchway.user("mallory", DESCRIBE, OPEN_TUNNEL)
    hatchway.machine.run(["ip", "route", "del", "local", f"{BY_ROUTE}/32", "dev", "lo"], check=True)
    hatchway.machine.run(["ip", "addr", "del", f"{LATER}/32", "dev", "lo"], check=True)


@pytest.mark.parametrize(
    ("address", "port"), [(Network.GATEWAY, GATEWAY_PORT), *((each, API_PORT) for each in OWN_ADDRESSES)]
)
def test_no_tunnel_leads_to_the_gateways_own_machine(
    hatchway: Hatchway, mallory: AwsCli, address: str, port: int
) -> None:
    answer = tunnel(mallory, address, port)
    assert answer.returncode != 0
    assert "Websocket Closure Reason: Unable to connect to target" in answer.stderr
    assert answer.stdout == ""

    written = str(parse_address(address))

    def this(event: dict[str, Any]) -> bool:
        return bool(event["requestParameters"]["privateIpAddress"] == written)

    for event in hatchway.events("OpenTunnel", this):
        assert event["additionalEventData"]["network"] == (
            f"{written} is the gateway's own machine: no target unless an instance is registered there"
        )


def test_a_gateway_machine_that_is_registered_is_a_target_by_the_rules_of_its_groups(
    hatchway: Hatchway, mallory: AwsCli
) -> None:
    def register(state: str) -> None:
        registered = {"subnet": "office/web", "private_ip": LATER, "security_groups": ["office/open"]}
        hatchway.apply({**FLEET, "instances": {"gateway-1": {**registered, "state": state}}})

    register("running")
    # The tunnel is there: the API waits for a TLS handshake in it.
    with pytest.raises(subprocess.TimeoutExpired):
        tunnel(mallory, LATER, API_PORT, timeout=3)
    register("terminated")
    assert "Unable to connect to target" in tunnel(mallory, LATER, API_PORT).stderr
