"""A server that is killed loses nothing that it confirmed."""

import signal
from typing import Any

from tests.e2e.hatchway_server import Hatchway, allow


def users(hatchway: Hatchway) -> Any:
    with hatchway.machine.joined():
        return hatchway.iam.list_users()["Users"]


def test_what_was_confirmed_survives_kill_9(hatchway: Hatchway) -> None:
    user = hatchway.user("survivor", allow("ec2:DescribeVpcs"))
    hatchway.root.run("ec2", "describe-vpcs", check=True)
    before = users(hatchway)
    hatchway.process.signal(signal.SIGKILL)
    hatchway.process.wait()
    hatchway.start()
    assert users(hatchway) == before
    assert user.json("sts", "get-caller-identity")["Arn"].endswith(":user/survivor")
    assert user.run("ec2", "describe-vpcs").returncode == 0
    assert "UnauthorizedOperation" in user.run("ec2", "describe-subnets").stderr
    assert hatchway.events("CreateUser", lambda event: event["requestParameters"]["userName"] == "survivor")
