"""Administration through the API, by whoever has the credentials, with no data directory at hand."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import structlog
import yaml
from tests.cli.in_process import Ran, run
from tests.control.harness import DEFAULT_GROUP, INSTANCE, SUBNET, Credentials, SharedServer, World, world_in
from tests.e2e.aws import AwsCliMissingError, find_aws_cli

from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.store import Store
from hatchway.transport.listening.sources import Sources

CONNECT = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "ec2-instance-connect:OpenTunnel", "Resource": "*"},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("api")
    now = datetime.now(UTC)
    ca = create_ca("Hatchway test CA", [], now)
    server = issue_server_certificate(ca, ["127.0.0.1"], now)
    certificate, ca_certificate = directory / "server.pem", directory / "ca.pem"
    certificate.write_bytes(server.certificate + server.key)
    ca_certificate.write_bytes(ca.certificate)
    # What the server logs, being in this process, would be among what commands print.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    shared = SharedServer(certificate, ca_certificate, Sources(time.monotonic))
    store = Store.open(f"sqlite:///{directory / 'hatchway.db'}")
    store.migrate()
    try:
        with world_in(store, shared, boto3.Session()) as world:
            yield world
    finally:
        shared.close()
        structlog.reset_defaults()


@pytest.fixture(autouse=True)
def credentials(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ours are the root user's, and nothing else of this machine's counts."""
    for name in [*os.environ]:
        if name.startswith(("AWS_", "HATCHWAY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.shared_server.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(world.shared_server.ca))
    act_as(monkeypatch, world.root)


def act_as(monkeypatch: pytest.MonkeyPatch, who: Credentials) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", who.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", who.secret)


def good(*arguments: str) -> str:
    ran = run(*arguments)
    assert ran.code == 0, ran.errors
    return ran.output


def write_fleet(tmp_path: Path, policy: object = CONNECT) -> Path:
    (tmp_path / "policies").mkdir(exist_ok=True)
    (tmp_path / "policies" / "connect.json").write_text(json.dumps(policy))
    file = tmp_path / "fleet.yaml"
    file.write_text("policies: {connect: policies/connect.json}\nusers: {carol: {policies: [connect]}}\n")
    return file


def test_a_file_is_planned_and_applied_with_the_policies_that_it_names(world: World, tmp_path: Path) -> None:
    file = write_fleet(tmp_path)
    assert good("apply", str(file), "--plan").splitlines()[-1] == "create 2, change 0, delete 0, unchanged 0"
    told = json.loads(good("apply", str(file), "--json"))
    assert (told["applied"], [change["name"] for change in told["changes"]]) == (True, ["connect", "carol"])
    with world.store.read() as tx:
        (version,) = tx.policy_versions.find()
    assert json.loads(version.document) == CONNECT
    assert good("apply", str(file)) == "create 0, change 0, delete 0, unchanged 2\n"
    event = world.events("ApplyFleet")[0]
    assert event["userIdentity"]["type"] == "Root"


def test_every_problem_is_told_in_a_line_with_the_file_s_name_and_nothing_is_done(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("instances: {a: {subnet: office/wbe, private_ip: 10.0.1.9}}\n")
    ran = run("apply", str(file))
    said = "instances.a.subnet: there is no subnet 'office/wbe' (did you mean 'office/web'?)"
    assert (ran.code, ran.errors) == (2, f"hatchway: {file}: {said}\n")
    file.write_text("users: {a: {colour: red}}\n")
    assert run("apply", str(file)).code == 2


def test_a_new_policy_in_which_lint_finds_an_error_is_not_applied_and_one_in_force_is(tmp_path: Path) -> None:
    wrong = {**CONNECT, "Statement": {**CONNECT["Statement"], "Action": "ec2-instance-connect:Open"}}  # type: ignore[dict-item]
    file = write_fleet(tmp_path, wrong)
    ran = run("apply", str(file))
    assert ran.code == 2
    assert "[unknown-action]" in ran.errors
    good("apply", str(file), "--accept-policy-errors")
    assert "unchanged 2" in good("apply", str(file))


def test_who_may_not_is_told_so_in_one_line(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    act_as(monkeypatch, world.user("dave"))
    for command in (["apply", str(write_fleet(tmp_path))], ["export"], ["host", "enroll", INSTANCE]):
        ran = run(*command)
        assert ran.code == 1
        assert ran.errors.count("\n") == 1
        assert "is not authorized to perform: hatchway:" in ran.errors


def test_without_any_address_of_an_api_it_is_told_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    ran = run("export")
    assert ran.code == 2
    assert "--data-dir" in ran.errors
    assert "--endpoint-url" in ran.errors


def test_a_file_too_large_for_the_api_says_where_to_apply_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("hatchway.administration.remote.MOST_SENT", 20)
    ran = run("apply", str(write_fleet(tmp_path)))
    assert ran.code == 2
    assert "--data-dir" in ran.errors


def test_the_account_is_exported() -> None:
    assert "web-1" in yaml.safe_load(good("export"))["instances"]


def test_a_host_is_enrolled_by_its_tag_name_and_gets_its_script() -> None:
    assert good("host", "enroll", "web-1").startswith(f"hwh_{INSTANCE}_")
    ran = run("host", "enroll", INSTANCE, "--json")
    assert json.loads(ran.output)["instance_id"] == INSTANCE
    assert "is good until the new one is first used" in ran.errors
    script = good("host", "script", INSTANCE, "--api-url", "https://hatchway.example:8443", "--at-once")
    assert "https://hatchway.example:8443" in script
    assert "BEGIN CERTIFICATE" in script
    assert "leads to the host itself" in run("host", "script", INSTANCE).errors
    assert run("host", "enroll", "nobody").code == 1


def test_a_key_is_made_into_a_profile_with_which_everything_works(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world.user("erin", {"Effect": "Allow", "Action": "hatchway:ListTunnels", "Resource": "*"})
    assert "is in profile erin" in good("access-key", "create", "erin", "--profile", "erin")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_CA_BUNDLE")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "TUNNEL" in good("tunnels", "list", "--profile", "erin")
    ran = run("access-key", "create", "erin", "--as", "erin")
    assert ran.code == 1
    assert "iam:CreateAccessKey" in ran.errors
    assert run("access-key", "create", "erin", "--bundle", str(tmp_path / "b.zip")).code == 2


def statuses(*arguments: str) -> dict[str, str]:
    listed = json.loads(good("access-key", "list", *arguments, "--json"))["access_keys"]
    return {key["access_key_id"]: key["status"] for key in listed}


def test_a_users_key_is_rotated_ended_and_taken_away_from_anywhere(world: World, tmp_path: Path) -> None:
    first = world.user("fay", {"Effect": "Allow", "Action": "sts:*", "Resource": "*"}).access_key_id
    said = good("access-key", "rotate", "fay", "--profile", "fay")
    assert f"{first} is still active" in said
    (second,) = set(statuses("fay")) - {first}
    assert second in (tmp_path / "credentials").read_text()
    ran = run("access-key", "rotate", "fay")
    assert (ran.code, "has 2 active access keys" in ran.errors) == (1, True)

    assert good("access-key", "deactivate", first) == f"{first} of fay is inactive\n"
    assert good("access-key", "deactivate", first) == f"{first} of fay was already inactive\n"
    rotated = json.loads(good("access-key", "rotate", "fay", "--at-once", "--profile", "fay", "--json"))
    third = rotated["access_key_id"]
    assert (rotated["deleted"], rotated["former"]) == (
        first,
        [{"access_key_id": second, "status": "Inactive"}],
    )
    assert statuses("fay") == {second: "Inactive", third: "Active"}
    assert third in (tmp_path / "credentials").read_text()

    assert good("access-key", "activate", second) == f"{second} of fay is active\n"
    assert good("access-key", "delete", second) == f"Deleted {second} of fay\n"
    assert statuses("fay") == {third: "Active"}
    assert {event["userIdentity"]["type"] for event in world.events("UpdateAccessKey")} == {"Root"}
    for key, command in ((first, "delete"), ("AKIANOBODYATALL00000", "activate")):
        ran = run("access-key", command, key)
        assert (ran.code, "NoSuchEntity" in ran.errors) == (1, True)
    assert "NoSuchEntity" in run("access-key", "list", "nobody").errors


def test_a_key_that_no_profile_could_be_given_is_taken_away_again(world: World, tmp_path: Path) -> None:
    world.user("gus", {"Effect": "Allow", "Action": "sts:*", "Resource": "*"})
    (tmp_path / "credentials").mkdir()
    before = statuses("gus")
    assert run("access-key", "create", "gus", "--profile", "gus").code == 1
    assert statuses("gus") == before


def test_root_alone_sees_and_makes_roots_keys_through_the_api(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = json.loads(good("access-key", "list", "--json"))["access_keys"]
    assert listed[0]["user"] is None
    assert listed[0]["last_used"] is None or listed[0]["last_used"]["service"]
    assert [key["user"] for key in listed[1:]] == sorted(key["user"] for key in listed[1:])
    made = json.loads(good("access-key", "create", "--root", "--json"))
    assert made["user"] is None
    assert good("access-key", "delete", made["access_key_id"]) == f"Deleted {made['access_key_id']} of root\n"

    act_as(monkeypatch, world.user("hal", {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}))
    users = [key["user"] for key in json.loads(good("access-key", "list", "--json"))["access_keys"]]
    assert "hal" in users
    assert None not in users
    before = statuses()
    for command in ("create", "list", "rotate"):
        ran = run("access-key", command, "--root")
        assert (ran.code, "root itself" in ran.errors) == (2, True)
    assert run("access-key", "delete", world.root.access_key_id).code == 2
    assert statuses() == before


def test_a_host_is_registered_changed_and_taken_out(world: World) -> None:
    arguments = ("--subnet", SUBNET, "--private-ip", "10.0.1.77", "--tag", "env=dev")
    told = json.loads(good("instance", "register", "web-77", *arguments, "--json"))
    assert told["tags"] == {"Name": "web-77", "env": "dev"}
    assert told["security_group_ids"] == [DEFAULT_GROUP]
    said = good("instance", "modify", "web-77", "--private-ip", "10.0.1.78")
    assert said == f"Changed web-77 ({told['instance_id']}) at 10.0.1.78\n"
    assert good("instance", "deregister", told["instance_id"][:9]).startswith("Took out web-77")
    assert run("instance", "deregister", told["instance_id"]).code == 1
    assert run("instance", "modify", "x").code == 1
    assert run("instance", "register", "a", "--subnet", SUBNET, "--tag", "x").code == 2


def test_enrollment_tokens_are_made_listed_and_ended() -> None:
    token = good("host", "token", "create", "--subnet", SUBNET, "--max-uses", "3").strip()
    made = json.loads(good("host", "token", "create", "--subnet", SUBNET, "--json"))
    assert token.startswith("hwe_et-")
    assert "0 of 3" in good("host", "token", "list")
    good("host", "token", "delete", made["id"][:8])
    left = json.loads(good("host", "token", "list", "--json"))["enrollment_tokens"]
    assert [each["id"] for each in left] == [token[4:24]]
    unknown = run("host", "token", "create", "--subnet", SUBNET, "--security-group", "office/none").errors
    assert "there is no one security group 'office/none': give its id" in unknown


def test_the_model_is_put_where_boto3_finds_it_and_taken_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    good("aws-model", "install")
    good("aws-model", "install")
    program = "import boto3; print(boto3.client('hatchway').list_tunnels()['Tunnels'])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == "[]\n", ran.stderr
    stranger = tmp_path / ".aws" / "models" / "hatchway" / "notes.txt"
    stranger.write_text("mine")
    assert run("aws-model", "install", "--uninstall").code == 1
    stranger.unlink()
    assert "is gone" in good("aws-model", "install", "--uninstall")
    assert "There was no model" in good("aws-model", "install", "--uninstall")
    assert not (tmp_path / ".aws" / "models" / "hatchway").exists()


def test_the_aws_cli_registers_a_host_by_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    try:
        aws = find_aws_cli()
    except AwsCliMissingError as missing:
        pytest.skip(str(missing))
    monkeypatch.setenv("HOME", str(tmp_path))
    good("aws-model", "install")
    place = ("--subnet-id", SUBNET, "--private-ip-address", "10.0.1.66", "--tags", "Key=env,Value=dev")
    command = [str(aws), "hatchway", "register-instance", "--name", "by-cli", *place]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["Instance"]["Tags"] == [{"Key": "env", "Value": "dev"}]


def test_the_aws_cli_makes_a_network_describes_it_and_takes_it_away() -> None:
    try:
        aws = find_aws_cli()
    except AwsCliMissingError as missing:
        pytest.skip(str(missing))

    def ec2(*arguments: str, refused: bool = False) -> Any:
        command = [str(aws), "ec2", *arguments, "--output", "json"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ran.returncode != 0) == refused, ran.stderr
        return json.loads(ran.stdout) if ran.stdout.strip() else ran.stderr

    tags = "ResourceType=vpc,Tags=[{Key=Name,Value=lab}]"
    vpc = ec2("create-vpc", "--cidr-block", "10.77.0.0/16", "--tag-specifications", tags)["Vpc"]["VpcId"]
    subnet = ec2("create-subnet", "--vpc-id", vpc, "--cidr-block", "10.77.1.0/24")["Subnet"]["SubnetId"]
    named = ("--group-name", "lab", "--description", "Lab", "--vpc-id", vpc)
    group = ec2("create-security-group", *named)["GroupId"]
    rule = ("--group-id", group, "--protocol", "tcp", "--port", "22", "--cidr", "10.77.0.0/16")
    (made,) = ec2("authorize-security-group-ingress", *rule)["SecurityGroupRules"]
    there = ec2("describe-security-group-rules", "--filters", f"Name=group-id,Values={group}")
    assert made["SecurityGroupRuleId"] in {
        each["SecurityGroupRuleId"] for each in there["SecurityGroupRules"]
    }
    assert "DependencyViolation" in ec2("delete-vpc", "--vpc-id", vpc, refused=True)
    ec2("delete-security-group", "--group-id", group)
    ec2("delete-subnet", "--subnet-id", subnet)
    ec2("delete-vpc", "--vpc-id", vpc)


def test_what_is_imported_from_hatchway_itself_renames_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = ("--subnet", SUBNET, "--private-ip", "10.0.1.88", "--tag", "Name=another")
    told = json.loads(good("instance", "register", "web-88", *place, "--json"))
    file = tmp_path / "fleet.yaml"
    good("import", "ec2", "-o", str(file))
    assert {"web-1", "web-88"} <= set(yaml.safe_load(file.read_text())["instances"])
    changes = json.loads(good("apply", str(file), "--plan", "--json"))["changes"]
    assert [each for each in changes if "name" in {field["field"] for field in each["fields"]}] == []
    assert {change["action"] for change in changes} <= {"change"}

    act_as(monkeypatch, world.user("ivy", {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}))
    ran = run("import", "ec2")
    assert "another" in yaml.safe_load(ran.output)["instances"]
    assert "the file renames" in ran.errors and "hatchway:ExportFleet" in ran.errors
    act_as(monkeypatch, world.root)
    good("instance", "deregister", told["instance_id"])


def test_instances_of_any_ec2_are_imported_with_their_networks(tmp_path: Path) -> None:
    ran = run("import", "ec2", "-o", str(tmp_path / "fleet.yaml"))
    assert ran.code == 0, ran.errors
    assert "instances. Look at the networks" in ran.errors
    fleet = yaml.safe_load((tmp_path / "fleet.yaml").read_text())
    assert fleet["instances"]["web-1"]["id"] == INSTANCE
    assert fleet["instances"]["web-1"]["private_ip"] == "10.0.1.1"
    assert len(fleet["vpcs"]) == 1
    assert run("fleet", "check", str(tmp_path / "fleet.yaml")).code == 0


def test_a_plan_has_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text("users: {frank: {}}\n")
    plain: Ran = run("apply", str(file), "--plan")
    assert "\x1b" not in plain.output
    shown: list[str] = []
    monkeypatch.setattr("hatchway.cli.plan_output.colours", lambda: True)
    monkeypatch.setattr("hatchway.cli.plan_output.typer.echo", shown.append)
    good("apply", str(file), "--plan")
    assert shown[0].startswith("\x1b[32m+ user frank")
