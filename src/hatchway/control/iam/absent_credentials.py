"""Credentials and devices that users and roles have in AWS, and nobody has here.

Tools ask for them before they delete a user or a role (Terraform's `force_destroy`): there are none. A user
has access keys and nothing else.
"""

from typing import Any

from hatchway.access.authorization import Check
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.targets import ROLES, KeyOwner
from hatchway.control.operations import Call, Result, operation
from hatchway.protocol import ServiceError


@operation("iam", "ListMFADevices", reads_only=True)
def list_mfa_devices(call: Call) -> Result:
    return _none_of_a_user(call, "ListMFADevices", "MFADevices")


@operation("iam", "ListSigningCertificates", reads_only=True)
def list_signing_certificates(call: Call) -> Result:
    return _none_of_a_user(call, "ListSigningCertificates", "Certificates")


@operation("iam", "ListSSHPublicKeys", reads_only=True)
def list_ssh_public_keys(call: Call) -> Result:
    return _none_of_a_user(call, "ListSSHPublicKeys", "SSHPublicKeys")


@operation(
    "iam",
    "ListServiceSpecificCredentials",
    reads_only=True,
    unsupported={"ServiceName": (), "AllUsers": (False,)},
)
def list_service_specific_credentials(call: Call) -> Result:
    return _none_of_a_user(call, "ListServiceSpecificCredentials", "ServiceSpecificCredentials")


@operation(
    "iam",
    "ListVirtualMFADevices",
    reads_only=True,
    unsupported={"AssignmentStatus": ("Assigned", "Unassigned", "Any")},
)
def list_virtual_mfa_devices(call: Call) -> Result:
    call.authorize(Check("iam:ListVirtualMFADevices"))

    return _empty(call, "VirtualMFADevices")


@operation("iam", "ListInstanceProfilesForRole", reads_only=True)
def list_instance_profiles_for_role(call: Call) -> Result:
    target = ROLES.target(call)

    call.authorize(target.check(call, "ListInstanceProfilesForRole"))

    target.existing()
    return _empty(call, "InstanceProfiles")


@operation("iam", "GetLoginProfile", reads_only=True)
def get_login_profile(call: Call) -> Result:
    return _no_login_profile(call, "GetLoginProfile")


@operation("iam", "DeleteLoginProfile", reads_only=False)
def delete_login_profile(call: Call) -> Result:
    return _no_login_profile(call, "DeleteLoginProfile")


def _none_of_a_user(call: Call, action: str, member: str) -> Result:
    owner = KeyOwner.of(call)

    call.authorize(owner.check(call, action))

    owner.require()
    return _empty(call, member)


def _no_login_profile(call: Call, action: str) -> Result:
    owner = KeyOwner.of(call)

    call.authorize(owner.check(call, action))

    owner.require()
    raise ServiceError("NoSuchEntity", f"Login Profile for User {owner.user_name} cannot be found.")


def _empty(call: Call, member: str) -> Result:
    nothing: list[Any] = []
    page = page_of(call, nothing, key=str)
    return {member: page.items, **page.result()}
