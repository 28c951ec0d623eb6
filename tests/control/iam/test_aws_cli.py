"""Groups and policies as the AWS CLI 2 knows them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.control.harness import ARNS, World
from tests.e2e.aws import AwsCliMissingError, find_aws_cli


def test_the_aws_cli_gives_a_group_a_policy_and_reads_it_back(world: World, tmp_path: Path) -> None:
    try:
        program = find_aws_cli()
    except AwsCliMissingError as missing:
        pytest.skip(str(missing))
    environment = {
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": world.shared_server.url,
        "AWS_CA_BUNDLE": str(world.shared_server.ca),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": world.root.access_key_id,
        "AWS_SECRET_ACCESS_KEY": world.root.secret,
        "AWS_PAGER": "",
    }
    document = tmp_path / "policy.json"
    document.write_text(
        json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
        )
    )

    def iam(*arguments: str) -> Any:
        printed = subprocess.run(
            [program, "iam", *arguments, "--output", "json"], env=environment, capture_output=True, text=True,
            check=True, timeout=120,
        ).stdout  # fmt: skip
        return json.loads(printed) if printed.strip() else None

    world.client("iam").create_group(GroupName="ops")
    arn = iam("create-policy", "--policy-name", "reader", "--policy-document", f"file://{document}")
    assert arn["Policy"]["Arn"] == ARNS.managed_policy("reader")
    iam("attach-group-policy", "--group-name", "ops", "--policy-arn", ARNS.managed_policy("reader"))
    # The CLI itself goes through all pages, and decodes the documents.
    details = iam("get-account-authorization-details", "--filter", "Group", "LocalManagedPolicy",
                  "--page-size", "1")  # fmt: skip
    (group,) = details["GroupDetailList"]
    assert group["AttachedManagedPolicies"][0]["PolicyName"] == "reader"
    (policy,) = details["Policies"]
    assert policy["PolicyVersionList"][0]["Document"] == json.loads(document.read_text())
