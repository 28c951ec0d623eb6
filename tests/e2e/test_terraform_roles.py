"""Terraform assumes a role, by a profile as by its provider's own block (docs/temporary-credentials.md)."""

from collections.abc import Iterator

import pytest
from tests.control.harness import ARNS, World
from tests.e2e.terraform import Terraform, TerraformMissingError, terraform
from tests.programs import NOT_FETCHED

PROFILES = """
[profile alice]
region = us-east-1
endpoint_url = %(url)s
services = hatchway
[profile on-call]
role_arn = arn:aws:iam::123456789012:role/on-call
source_profile = alice
role_session_name = terraform
external_id = customer-7
region = us-east-1
endpoint_url = %(url)s
services = hatchway
[services hatchway]
sts =
  endpoint_url = %(url)s
"""
BY_PROFILE = 'profile = "on-call"'
BY_BLOCK = """
profile = "alice"
assume_role {
  role_arn     = "arn:aws:iam::123456789012:role/on-call"
  session_name = "terraform"
  external_id  = "customer-7"
}
"""
CONFIGURATION = """
data "aws_caller_identity" "me" {}
output "me" { value = data.aws_caller_identity.me.arn }
"""


@pytest.fixture(scope="module")
def by_profile(terraform_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Terraform with a home where alice, a user, and on-call, a role that she may assume, are profiles."""
    home = tmp_path_factory.mktemp("terraform")
    alice = terraform_world.user("alice")
    trust = {
        "Principal": {"AWS": ARNS.user("alice")},
        "Condition": {"StringEquals": {"sts:ExternalId": "customer-7"}},
    }
    terraform_world.role("on-call", {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}, trust=trust)
    server = terraform_world.shared_server
    config, credentials = home / "config", home / "credentials"
    config.write_text(PROFILES % {"url": server.url})
    credentials.write_text(
        f"[alice]\naws_access_key_id = {alice.access_key_id}\naws_secret_access_key = {alice.secret}\n"
    )
    files = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    try:
        with terraform(home, ca_certificate=server.ca, aws=files) as found:
            yield found
    except TerraformMissingError as missing:
        pytest.skip(f"{NOT_FETCHED}{missing}")


@pytest.mark.parametrize("provider", [BY_PROFILE, BY_BLOCK])
def test_who_calls_is_the_role(by_profile: Terraform, terraform_world: World, provider: str) -> None:
    by_profile.write(CONFIGURATION, provider)
    before = len(terraform_world.events("AssumeRole"))
    assert by_profile.apply().outputs["me"] == ARNS.assumed_role("on-call", "terraform")
    assert len(terraform_world.events("AssumeRole")) > before
