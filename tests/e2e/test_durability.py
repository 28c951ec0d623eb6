"""A server that is killed loses nothing that it confirmed."""

import signal

from tests.e2e.hatchway_server import Hatchway, allow


def test_what_was_confirmed_survives_kill_9(hatchway: Hatchway) -> None:
    user = hatchway.user("survivor", allow("ec2:DescribeVpcs"))
    hatchway.root.run("ec2", "describe-vpcs", check=True)
    before = hatchway.root.json("iam", "list-users")["Users"]
    hatchway.process.signal(signal.SIGKILL)
    hatchway.process.wait()
    hatchway.start()
    assert hatchway.root.json("iam", "list-users")["Users"] == before
    assert user.json("sts", "get-caller-identity")["Arn"].endswith(":user/survivor")
    assert user.run("ec2", "describe-vpcs").returncode == 0
    assert "UnauthorizedOperation" in user.run("ec2", "describe-subnets").stderr
    assert hatchway.events("CreateUser", lambda event: event["requestParameters"]["userName"] == "survivor")
