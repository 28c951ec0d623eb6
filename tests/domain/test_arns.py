"""ARNs are written as the Service Authorization Reference has them."""

import pytest

from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME, SERVICE_LINKED_SERVICE, Arns

ARNS = Arns("123456789012", "us-east-1")


@pytest.mark.parametrize(
    ("arn", "resource"),
    [
        (ARNS.vpc("vpc-1"), "vpc/vpc-1"),
        (ARNS.subnet("subnet-1"), "subnet/subnet-1"),
        (ARNS.security_group("sg-1"), "security-group/sg-1"),
        (ARNS.security_group_rule("sgr-1"), "security-group-rule/sgr-1"),
        (ARNS.network_interface("eni-1"), "network-interface/eni-1"),
        (ARNS.instance("i-1"), "instance/i-1"),
        (ARNS.endpoint("eice-1"), "instance-connect-endpoint/eice-1"),
        (ARNS.unnamed, "no-kind/of-resource"),
    ],
)
def test_what_is_of_ec2_has_the_region_and_the_account(arn: str, resource: str) -> None:
    assert arn == f"arn:aws:ec2:us-east-1:123456789012:{resource}"


def test_a_role_session_is_of_sts_and_has_not_the_role_s_path() -> None:
    assert ARNS.assumed_role("deploy", "alice") == "arn:aws:sts::123456789012:assumed-role/deploy/alice"


def test_tunnels_machines_and_enrollment_tokens_are_hatchways_own() -> None:
    assert ARNS.machine("m-1") == "arn:aws:hatchway:us-east-1:123456789012:machine/m-1"
    assert ARNS.tunnel("t-1") == "arn:aws:hatchway:us-east-1:123456789012:tunnel/t-1"
    assert ARNS.enrollment_token("e-1") == "arn:aws:hatchway:us-east-1:123456789012:enrollment-token/e-1"


@pytest.mark.parametrize(
    ("arn", "resource"),
    [
        (ARNS.user("alice"), "user/alice"),
        (ARNS.user("alice", "/eng/web/"), "user/eng/web/alice"),
        (ARNS.group("ops", "/eng/"), "group/eng/ops"),
        (ARNS.role("deploy"), "role/deploy"),
        (ARNS.managed_policy("p", "/a/"), "policy/a/p"),
        (
            ARNS.service_linked_role(SERVICE_LINKED_SERVICE, SERVICE_LINKED_ROLE_NAME),
            "role/aws-service-role/ec2-instance-connect.amazonaws.com/AWSServiceRoleForEC2InstanceConnect",
        ),
        (ARNS.root, "root"),
    ],
)
def test_what_is_of_iam_has_no_region_and_its_path_before_its_name(arn: str, resource: str) -> None:
    assert arn == f"arn:aws:iam::123456789012:{resource}"
