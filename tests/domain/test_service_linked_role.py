"""The service's role is the one that AWS makes."""

import json
from datetime import UTC, datetime

from hatchway.domain.service_linked_role import service_linked_role

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_it_is_the_services_and_trusts_the_service_alone() -> None:
    role = service_linked_role("123456789012", NOW)

    assert role.name == "AWSServiceRoleForEC2InstanceConnect"
    assert role.path == "/aws-service-role/ec2-instance-connect.amazonaws.com/"
    assert role.linked_service == "ec2-instance-connect.amazonaws.com"
    assert role.created_at == NOW
    (statement,) = json.loads(role.trust_policy)["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": "ec2-instance-connect.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }


def test_its_id_is_the_same_whenever_it_is_made_and_another_in_each_account() -> None:
    made = service_linked_role("123456789012", NOW).id

    assert made.startswith("AROA")
    assert service_linked_role("123456789012", datetime(2027, 1, 1, tzinfo=UTC)).id == made
    assert service_linked_role("210987654321", NOW).id != made
