"""Whoever is no longer allowed loses the open tunnel, and an administrator may end any: with the AWS CLI."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.aws import AwsCli
from tests.e2e.commands import hatchway_on
from tests.e2e.hatchway_server import ACCOUNT, DESCRIBE, ENDPOINT, OPEN_TUNNEL, WEB_1, Hatchway, allow
from tests.e2e.openssh import Sshd, make_key
from tests.e2e.processes import Process
from tests.e2e.waiting import wait_until

from hatchway.protocol.service_models import OWN_MODELS


@pytest.fixture
def user(hatchway: Hatchway, request: pytest.FixtureRequest) -> AwsCli:
    """A user of this test's own, who may open tunnels."""
    return hatchway.user(name_of(request), DESCRIBE, OPEN_TUNNEL)


def name_of(request: pytest.FixtureRequest) -> str:
    return str(request.node.originalname).removeprefix("test_")[:60]


@pytest.fixture
def session(user: AwsCli, web_host: Sshd, tmp_path: Path) -> Iterator[Process]:
    """The user's ssh through the AWS CLI's tunnel, a few bytes having gone each way."""
    key = tmp_path / "key"
    web_host.authorize("ec2-user", make_key(key))
    proxy = f"{user.program} ec2-instance-connect open-tunnel --instance-id %h"
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", f"ProxyCommand={proxy}"]
    process = user.machine.start(
        [
            "ssh",
            "-i",
            str(key),
            *(f"-o{each}" for each in options),
            f"ec2-user@{WEB_1}",
            "echo in; sleep 300",
        ],
        tmp_path / "ssh.log",
        env=user.full_environment,
    )
    process.wait_for("in\n", timeout=60)
    yield process
    process.kill()


def principal(request: pytest.FixtureRequest) -> str:
    return f"arn:aws:iam::{ACCOUNT}:user/{name_of(request)}"


def close_of(hatchway: Hatchway, arn: str) -> dict[str, Any]:
    """What the audit trail tells of the end of the tunnel of this principal."""

    def found() -> list[dict[str, Any]]:
        return [each for each in hatchway.events("CloseTunnel") if each["userIdentity"]["arn"] == arn]

    (event,) = wait_until(found)
    told: dict[str, Any] = event["additionalEventData"]
    return told


def test_a_policy_taken_away_cuts_the_open_tunnel(
    hatchway: Hatchway, session: Process, request: pytest.FixtureRequest
) -> None:
    other_port = {"ec2-instance-connect:remotePort": "23"}
    hatchway.permit(
        name_of(request), DESCRIBE, allow("ec2-instance-connect:OpenTunnel", NumericEquals=other_port)
    )
    assert session.wait(60) == 255
    assert "Websocket Closure Reason: Access revoked" in session.output()
    told = close_of(hatchway, principal(request))
    assert told["closeCode"] == 4003
    assert "no identity-based policy allows" in told["revocation"]["reason"]
    (miss,) = [each for check in told["revocation"]["decision"]["checks"] for each in check["nearMisses"]]
    assert miss["why"] == "Condition NumericEquals ec2-instance-connect:remotePort: request 22, policy 23"


def test_a_key_deactivated_cuts_the_open_tunnel(
    hatchway: Hatchway, user: AwsCli, session: Process, request: pytest.FixtureRequest
) -> None:
    key_id = user.environment["AWS_ACCESS_KEY_ID"]
    hatchway.root.run(
        "iam", "update-access-key", "--user-name", name_of(request), "--access-key-id", key_id,
        "--status", "Inactive", check=True,
    )  # fmt: skip
    assert session.wait(60) == 255
    assert "Websocket Closure Reason: Access revoked" in session.output()
    told = close_of(hatchway, principal(request))
    assert told["revocation"] == {"reason": f"access key {key_id} is no longer valid"}


def test_what_concerns_somebody_else_leaves_the_tunnel_alone(
    hatchway: Hatchway, session: Process, request: pytest.FixtureRequest
) -> None:
    other = f"{name_of(request)[:50]}-other"
    hatchway.user(other, DESCRIBE, OPEN_TUNNEL)
    hatchway.permit(other, DESCRIBE)
    hatchway.root.run("iam", "delete-user-policy", "--user-name", other, "--policy-name", "only", check=True)
    time.sleep(2)
    assert session.running(), session.output()


def test_an_administrator_lists_tunnels_and_ends_one(
    hatchway: Hatchway, session: Process, request: pytest.FixtureRequest
) -> None:
    arn = principal(request)
    administrator = hatchway.root.having(AWS_DATA_PATH=str(OWN_MODELS))

    def open_tunnels() -> Any:
        answer = administrator.json("hatchway", "list-tunnels", "--principal-arn", arn)
        return [each for each in answer["Tunnels"] if each["BytesIn"] and each["BytesOut"]]

    # The bytes of ssh's handshake are told of within a few seconds.
    (tunnel,) = wait_until(open_tunnels, 20)
    assert (tunnel["InstanceId"], tunnel["RemotePort"]) == (WEB_1, 22)
    assert tunnel["InstanceConnectEndpointId"] == ENDPOINT
    (listed,) = json.loads(_command(hatchway, "tunnels", "list", "--principal-arn", arn, "--json"))["tunnels"]
    assert listed["tunnel_id"] == tunnel["TunnelId"]
    table = _command(hatchway, "tunnels", "list")
    assert f"{tunnel['TunnelId']}  user/{name_of(request)} " in table

    _command(hatchway, "tunnels", "terminate", tunnel["TunnelId"])
    assert session.wait(60) == 255
    assert "Websocket Closure Reason: Tunnel terminated by an administrator" in session.output()
    told = close_of(hatchway, arn)
    assert told["closeCode"] == 4004
    assert told["termination"]["requestedBy"] == f"arn:aws:iam::{ACCOUNT}:root"
    assert not administrator.json("hatchway", "list-tunnels", "--principal-arn", arn)["Tunnels"]
    gone = administrator.run("hatchway", "terminate-tunnel", "--tunnel-id", tunnel["TunnelId"])
    assert "ResourceNotFoundException" in gone.stderr


def _command(hatchway: Hatchway, *arguments: str) -> str:
    """What `hatchway ARGUMENTS…` prints to the administrator, who has the root user's key."""
    environment = hatchway.root.full_environment
    return hatchway_on(hatchway.machine, *arguments, env=environment, check=True).stdout
