"""What users have in AWS and nobody here: lists that are empty, as boto3 knows them."""

from typing import Any

import pytest
from tests.control.harness import World


@pytest.mark.parametrize(
    ("operation", "member", "parameters"),
    [
        ("list_mfa_devices", "MFADevices", {"UserName": "bob"}),
        ("list_mfa_devices", "MFADevices", {}),
        ("list_signing_certificates", "Certificates", {"UserName": "bob"}),
        ("list_ssh_public_keys", "SSHPublicKeys", {"UserName": "bob"}),
        ("list_service_specific_credentials", "ServiceSpecificCredentials", {"UserName": "bob"}),
        ("list_virtual_mfa_devices", "VirtualMFADevices", {}),
        ("list_virtual_mfa_devices", "VirtualMFADevices", {"AssignmentStatus": "Assigned"}),
    ],
)
def test_a_list_of_what_nobody_has_is_empty(
    module_world: World, operation: str, member: str, parameters: dict[str, Any]
) -> None:
    module_world.user("bob")
    answer = getattr(module_world.client("iam"), operation)(**parameters)
    assert (answer[member], answer["IsTruncated"]) == ([], False)
