"""A profile with `role_arn` and `source_profile` works for every client, and asks nobody but this API."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.control.harness import ACCOUNT, ARNS, REGION, Credentials, World
from tests.e2e.aws import AwsCliMissingError, find_aws_cli

from hatchway.client.api import profile as client_profile
from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.errors import ApiError, NotConfigured

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
TRUST = {
    "Principal": {"AWS": ARNS.user("alice")},
    "Condition": {"StringEquals": {"sts:ExternalId": "customer-7"}},
}
ARN = ARNS.assumed_role("on-call", "alice@laptop")


@pytest.fixture
def home(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the profiles `alice`, a user, and `on-call`, a role that she assumes."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    alice = world.user("alice")
    world.role("on-call", ALL, trust=TRUST, max_session_duration=7200)
    home = tmp_path / "home"
    home.joinpath(".aws").mkdir(parents=True)
    where = f"endpoint_url = {world.shared_server.url}\nca_bundle = {world.shared_server.ca}\n"
    home.joinpath(".aws/config").write_text(
        f"[profile alice]\nregion = {REGION}\n{where}"
        f"[profile on-call]\nregion = {REGION}\n{where}"
        f"role_arn = {ARNS.role('on-call')}\nsource_profile = alice\nrole_session_name = alice@laptop\n"
        "external_id = customer-7\nduration_seconds = 7200\nservices = hatchway\n"
        f"[services hatchway]\nsts =\n  endpoint_url = {world.shared_server.url}\n"
        f"[profile elsewhere]\nrole_arn = {ARNS.role('on-call')}\nsource_profile = alice\n"
    )
    home.joinpath(".aws/credentials").write_text(
        f"[alice]\naws_access_key_id = {alice.access_key_id}\naws_secret_access_key = {alice.secret}\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return home


def assumptions(world: World) -> list[dict[str, Any]]:
    return world.events("AssumeRole")


def test_with_boto3(world: World, home: Path) -> None:
    session = boto3.Session(profile_name="on-call")
    assert session.client("sts").get_caller_identity()["Arn"] == ARN
    assert session.client("ec2").describe_vpcs()["Vpcs"]
    (assumed,) = assumptions(world)
    assert assumed["requestParameters"]["durationSeconds"] == 7200


@pytest.fixture(scope="session")
def aws() -> Path:
    """The AWS CLI, found while the home directory is the user's own, where it is kept."""
    try:
        return find_aws_cli()
    except AwsCliMissingError as missing:
        pytest.skip(str(missing))


def test_with_the_aws_cli_which_keeps_what_it_was_given(world: World, aws: Path, home: Path) -> None:
    def run(*arguments: str) -> Any:
        command = [str(aws), *arguments, "--profile", "on-call", "--output", "json"]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(ran.stdout)

    assert run("sts", "get-caller-identity")["Arn"] == ARN
    assert run("ec2", "describe-vpcs")["Vpcs"]
    assert len(assumptions(world)) == 1


def test_with_hatchway_s_own_client_which_keeps_them_for_their_owner_alone(world: World, home: Path) -> None:
    profile = Profile(ProfileOptions(profile="on-call"))
    given = profile.credentials()
    assert given.access_key_id.startswith("ASIA") and given.session_token
    assert profile.api("sts").get_caller_identity()["Arn"] == ARN
    # The next command assumes nothing anew.
    assert Profile(ProfileOptions(profile="on-call")).credentials() == given
    assert len(assumptions(world)) == 1
    (kept,) = home.joinpath(".aws/hatchway/cache").rglob("*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    kept.write_text("half of a fi")
    assert Profile(ProfileOptions(profile="on-call")).credentials() != given
    assert len(assumptions(world)) == 2


def test_hatchway_s_own_client_does_without_a_place_to_keep_them(
    world: World, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.joinpath("no-directory").touch()
    monkeypatch.setattr(client_profile, "ROLE_CACHE", str(home / "no-directory" / "cache"))
    assert Profile(ProfileOptions(profile="on-call")).credentials().session_token


def test_hatchway_s_own_client_assumes_the_role_where_the_options_say(world: World, home: Path) -> None:
    world.role("on-call", ALL, trust={"Principal": {"AWS": ARNS.user("alice")}})
    options = ProfileOptions(
        profile="elsewhere",
        region=REGION,
        endpoint_url=world.shared_server.url,
        ca_bundle=str(world.shared_server.ca),
    )
    assert Profile(options).api("sts").get_caller_identity()["Account"] == ACCOUNT
    with pytest.raises(NotConfigured, match="no endpoint URL is configured"):
        Profile(ProfileOptions(profile="elsewhere", region=REGION)).credentials()


def test_a_role_that_may_not_be_assumed_is_told_as_a_refused_call(world: World, home: Path) -> None:
    world.role("on-call", ALL, trust={"Principal": {"AWS": ARNS.user("bob")}})
    with pytest.raises(ApiError, match=r"AssumeRole.*not authorized to perform: sts:AssumeRole"):
        Profile(ProfileOptions(profile="on-call")).credentials()


def test_session_tokens_come_from_the_environment_and_the_shared_files(
    world: World, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Credentials.temporary(
        world.client("sts", world.user("bob", ALL)).get_session_token(DurationSeconds=900)
    )
    options = ProfileOptions(
        region=REGION, endpoint_url=world.shared_server.url, ca_bundle=str(world.shared_server.ca)
    )
    with home.joinpath(".aws/credentials").open("a") as credentials:
        credentials.write(
            f"[default]\naws_access_key_id = {session.access_key_id}\n"
            f"aws_secret_access_key = {session.secret}\naws_session_token = {session.token}\n"
        )
    assert Profile(options).api("sts").get_caller_identity()["Arn"] == ARNS.user("bob")
    assert Profile(options).credentials().session_token == session.token
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", session.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", session.secret)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    with pytest.raises(Exception, match="InvalidClientTokenId"):
        Profile(options).api("sts").get_caller_identity()
