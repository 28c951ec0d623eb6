"""The trail as the official AWS CLI 2 reads it."""

import json
import os
import subprocess

import pytest
from tests.control.harness import REGION, World
from tests.e2e.aws import AwsCliMissingError, find_aws_cli


def test_the_aws_cli_looks_events_up_over_all_pages(world: World) -> None:
    try:
        program = find_aws_cli()
    except AwsCliMissingError as missing:
        pytest.skip(str(missing))
    for number in range(3):
        world.client("iam").create_user(UserName=f"user-{number}")
    asked = "cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=CreateUser"
    done = subprocess.run(
        [program, *asked.split(), "--page-size", "2", "--output", "json"],
        env={
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": world.shared_server.url,
            "AWS_CA_BUNDLE": str(world.shared_server.ca),
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": world.root.access_key_id,
            "AWS_SECRET_ACCESS_KEY": world.root.secret,
            "AWS_CONFIG_FILE": os.devnull,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    events = json.loads(done.stdout)["Events"]
    assert [event["Resources"] for event in events] == [
        [{"ResourceType": "AWS::IAM::User", "ResourceName": f"user-{number}"}] for number in (2, 1, 0)
    ]
    assert {event["Username"] for event in events} == {"root"}
