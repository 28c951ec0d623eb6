"""What IAM cannot do it refuses with AWS's codes, changing nothing and recording the code."""

import json
from typing import Any

import pytest
from tests.control.harness import ARNS, World, refused

from hatchway.audit import refusals
from hatchway.domain.service_linked_role import service_linked_role

EC2_INSTANCE_CONNECT = "ec2-instance-connect.amazonaws.com"
LINKED = "AWSServiceRoleForEC2InstanceConnect"
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
)
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
})  # fmt: skip
NO_KEY = "AKIAAAAAAAAAAAAAAAAA"
NOPE = ARNS.managed_policy("nope")
READER = ARNS.managed_policy("reader")
OF_AWS = "arn:aws:iam::aws:policy/ReadOnlyAccess"
MISSING, INVALID = ("NoSuchEntity", 404), ("ValidationError", 400)
TAKEN, CONFLICT = ("EntityAlreadyExists", 409), ("DeleteConflict", 409)
BAD_INPUT, MALFORMED = ("InvalidInput", 400), ("MalformedPolicyDocument", 400)
PROTECTED = ("UnmodifiableEntity", 400)


@pytest.fixture(scope="module")
def furnished(module_world: World) -> World:
    """A user in a group, a role, a policy attached to all three, with two versions; the linked role."""
    world = module_world
    world.user("bob")
    iam = world.client("iam")
    iam.create_group(GroupName="ops")
    iam.add_user_to_group(GroupName="ops", UserName="bob")
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=TRUST)
    iam.create_policy(PolicyName="reader", PolicyDocument=POLICY)
    iam.create_policy_version(PolicyArn=READER, PolicyDocument=POLICY)
    iam.create_policy(PolicyName="spare", PolicyDocument=POLICY)
    iam.create_policy_version(PolicyArn=ARNS.managed_policy("spare"), PolicyDocument=POLICY)
    iam.attach_group_policy(GroupName="ops", PolicyArn=READER)
    iam.attach_role_policy(RoleName="deploy", PolicyArn=READER)
    iam.attach_user_policy(UserName="bob", PolicyArn=READER)
    iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=READER)
    world.change(lambda tx: tx.roles.put(service_linked_role("123456789012", world.clock())))
    return world


CASES: list[tuple[str, dict[str, Any], tuple[str, int]]] = [
    # users
    ("create_user", {"UserName": "bob"}, TAKEN),
    ("create_user", {"UserName": "BOB"}, TAKEN),
    ("create_user", {"UserName": "b b"}, INVALID),
    ("create_user", {"UserName": "x" * 65}, INVALID),
    ("create_user", {"UserName": "x", "Path": "staff"}, INVALID),
    ("create_user", {"UserName": "x", "Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]},
     BAD_INPUT),
    ("create_user", {"UserName": "x", "Tags": [{"Key": "aws:a", "Value": ""}]}, BAD_INPUT),
    ("create_user", {"UserName": "x", "PermissionsBoundary": NOPE}, MISSING),
    ("create_user", {"UserName": "x", "PermissionsBoundary": OF_AWS}, MISSING),
    ("get_user", {"UserName": "nobody"}, MISSING),
    ("update_user", {"UserName": "nobody", "NewUserName": "somebody"}, MISSING),
    ("delete_user", {"UserName": "nobody"}, MISSING),
    ("delete_user", {"UserName": "bob"}, CONFLICT),
    ("list_users", {"Marker": "é"}, INVALID),
    ("list_users", {"Marker": "no marker"}, INVALID),
    ("list_users", {"MaxItems": 1001}, INVALID),
    ("list_groups_for_user", {"UserName": "nobody"}, MISSING),
    # access keys
    ("create_access_key", {"UserName": "nobody"}, MISSING),
    ("list_access_keys", {"UserName": "nobody"}, MISSING),
    ("update_access_key", {"UserName": "bob", "AccessKeyId": NO_KEY, "Status": "Active"}, MISSING),
    ("update_access_key", {"UserName": "bob", "AccessKeyId": NO_KEY, "Status": "Expired"}, INVALID),
    ("delete_access_key", {"UserName": "bob", "AccessKeyId": NO_KEY}, MISSING),
    # groups
    ("create_group", {"GroupName": "Ops"}, TAKEN),
    ("get_group", {"GroupName": "nope"}, MISSING),
    ("update_group", {"GroupName": "nope", "NewPath": "/a/"}, MISSING),
    ("delete_group", {"GroupName": "nope"}, MISSING),
    ("delete_group", {"GroupName": "ops"}, CONFLICT),
    ("add_user_to_group", {"GroupName": "nope", "UserName": "bob"}, MISSING),
    ("add_user_to_group", {"GroupName": "ops", "UserName": "nobody"}, MISSING),
    ("remove_user_from_group", {"GroupName": "ops", "UserName": "nobody"}, MISSING),
    ("remove_user_from_group", {"GroupName": "nope", "UserName": "bob"}, MISSING),
    # roles
    ("get_role", {"RoleName": "nope"}, MISSING),
    ("create_role", {"RoleName": "DEPLOY", "AssumeRolePolicyDocument": TRUST}, TAKEN),
    ("create_role", {"RoleName": "x", "AssumeRolePolicyDocument": POLICY}, MALFORMED),
    ("create_role", {"RoleName": "x", "AssumeRolePolicyDocument": TRUST, "MaxSessionDuration": 60}, INVALID),
    ("create_role", {"RoleName": "x", "AssumeRolePolicyDocument": TRUST, "Description": "two\nlines"},
     INVALID),
    ("create_role", {"RoleName": "x", "AssumeRolePolicyDocument": TRUST, "PermissionsBoundary": NOPE},
     MISSING),
    ("create_role", {"RoleName": "x", "AssumeRolePolicyDocument": TRUST, "Path": "/aws-service-role/s/"},
     BAD_INPUT),
    ("update_role", {"RoleName": "nope"}, MISSING),
    ("update_role", {"RoleName": LINKED, "Description": "mine"}, PROTECTED),
    ("update_role_description", {"RoleName": "nope", "Description": ""}, MISSING),
    ("update_assume_role_policy", {"RoleName": "nope", "PolicyDocument": TRUST}, MISSING),
    ("update_assume_role_policy", {"RoleName": "deploy", "PolicyDocument": "{}"}, MALFORMED),
    ("update_assume_role_policy", {"RoleName": LINKED, "PolicyDocument": TRUST}, PROTECTED),
    ("delete_role", {"RoleName": "nope"}, MISSING),
    ("delete_role", {"RoleName": "deploy"}, CONFLICT),
    ("delete_role", {"RoleName": LINKED}, PROTECTED),
    ("list_instance_profiles_for_role", {"RoleName": "nope"}, MISSING),
    ("create_service_linked_role", {"AWSServiceName": "s3.amazonaws.com"}, BAD_INPUT),
    ("create_service_linked_role", {"AWSServiceName": EC2_INSTANCE_CONNECT, "CustomSuffix": "x"}, BAD_INPUT),
    ("create_service_linked_role", {"AWSServiceName": EC2_INSTANCE_CONNECT}, BAD_INPUT),
    ("delete_service_linked_role", {"RoleName": "nope"}, MISSING),
    ("delete_service_linked_role", {"RoleName": "deploy"}, MISSING),
    ("get_service_linked_role_deletion_status", {"DeletionTaskId": "task/nope"}, MISSING),
    # inline policies
    ("put_user_policy", {"UserName": "nobody", "PolicyName": "p", "PolicyDocument": POLICY}, MISSING),
    ("put_user_policy", {"UserName": "bob", "PolicyName": "p", "PolicyDocument": "{"}, MALFORMED),
    ("put_user_policy", {"UserName": "bob", "PolicyName": "p/q", "PolicyDocument": POLICY}, INVALID),
    ("get_user_policy", {"UserName": "bob", "PolicyName": "p"}, MISSING),
    ("delete_user_policy", {"UserName": "bob", "PolicyName": "p"}, MISSING),
    ("list_user_policies", {"UserName": "nobody"}, MISSING),
    ("put_role_policy", {"RoleName": LINKED, "PolicyName": "p", "PolicyDocument": POLICY}, PROTECTED),
    ("put_role_policy", {"RoleName": "deploy", "PolicyName": "p", "PolicyDocument": TRUST}, MALFORMED),
    ("delete_role_policy", {"RoleName": LINKED, "PolicyName": "p"}, PROTECTED),
    ("get_group_policy", {"GroupName": "ops", "PolicyName": "p"}, MISSING),
    ("get_group_policy", {"GroupName": "nope", "PolicyName": "p"}, MISSING),
    # managed policies
    ("create_policy", {"PolicyName": "READER", "Path": "/other/", "PolicyDocument": POLICY}, TAKEN),
    ("create_policy", {"PolicyName": "x", "PolicyDocument": TRUST}, MALFORMED),
    ("create_policy", {"PolicyName": "x", "PolicyDocument": POLICY, "Description": "a\tb"}, INVALID),
    ("get_policy", {"PolicyArn": NOPE}, MISSING),
    ("get_policy", {"PolicyArn": OF_AWS}, MISSING),
    ("get_policy", {"PolicyArn": "x"}, INVALID),
    ("get_policy", {"PolicyArn": ARNS.user("a-policy")}, BAD_INPUT),
    ("attach_user_policy", {"UserName": "bob", "PolicyArn": "arn:aws:iam:policy/reader"}, BAD_INPUT),
    ("delete_policy", {"PolicyArn": NOPE}, MISSING),
    ("delete_policy", {"PolicyArn": READER}, CONFLICT),
    ("delete_policy", {"PolicyArn": ARNS.managed_policy("spare")}, CONFLICT),
    ("create_policy_version", {"PolicyArn": NOPE, "PolicyDocument": POLICY}, MISSING),
    ("create_policy_version", {"PolicyArn": READER, "PolicyDocument": "no"}, MALFORMED),
    ("get_policy_version", {"PolicyArn": READER, "VersionId": "v9"}, MISSING),
    ("get_policy_version", {"PolicyArn": NOPE, "VersionId": "v1"}, MISSING),
    ("get_policy_version", {"PolicyArn": READER, "VersionId": "1"}, INVALID),
    ("list_policy_versions", {"PolicyArn": NOPE}, MISSING),
    ("set_default_policy_version", {"PolicyArn": READER, "VersionId": "v9"}, MISSING),
    ("delete_policy_version", {"PolicyArn": READER, "VersionId": "v9"}, MISSING),
    ("delete_policy_version", {"PolicyArn": READER, "VersionId": "v1"}, CONFLICT),
    # attachments
    ("attach_user_policy", {"UserName": "bob", "PolicyArn": NOPE}, MISSING),
    ("attach_group_policy", {"GroupName": "ops", "PolicyArn": OF_AWS}, MISSING),
    ("attach_role_policy", {"RoleName": "nope", "PolicyArn": READER}, MISSING),
    ("attach_role_policy", {"RoleName": LINKED, "PolicyArn": READER}, PROTECTED),
    ("detach_role_policy", {"RoleName": LINKED, "PolicyArn": READER}, PROTECTED),
    ("detach_user_policy", {"UserName": "bob", "PolicyArn": NOPE}, MISSING),
    ("list_attached_role_policies", {"RoleName": "nope"}, MISSING),
    ("list_entities_for_policy", {"PolicyArn": NOPE}, MISSING),
    ("list_entities_for_policy", {"PolicyArn": READER, "EntityFilter": "Robot"}, INVALID),
    ("list_entities_for_policy", {"PolicyArn": READER, "Marker": "Um9ib3Q6eA=="}, INVALID),
    # boundaries
    ("put_user_permissions_boundary", {"UserName": "bob", "PermissionsBoundary": NOPE}, MISSING),
    ("put_user_permissions_boundary", {"UserName": "nobody", "PermissionsBoundary": READER}, MISSING),
    ("put_role_permissions_boundary", {"RoleName": LINKED, "PermissionsBoundary": READER}, PROTECTED),
    ("delete_role_permissions_boundary", {"RoleName": "deploy"}, MISSING),
    # tags
    ("tag_user", {"UserName": "nobody", "Tags": [{"Key": "a", "Value": ""}]}, MISSING),
    ("tag_role", {"RoleName": "deploy", "Tags": [{"Key": "AWS:a", "Value": ""}]}, BAD_INPUT),
    ("tag_role", {"RoleName": "deploy", "Tags": [{"Key": "a\tb", "Value": ""}]}, INVALID),
    ("tag_policy", {"PolicyArn": READER,
                    "Tags": [{"Key": f"k{number}", "Value": ""} for number in range(51)]}, INVALID),
    ("untag_policy", {"PolicyArn": NOPE, "TagKeys": ["a"]}, MISSING),
    ("list_role_tags", {"RoleName": "nope"}, MISSING),
    # the account
    ("delete_account_alias", {"AccountAlias": "nope"}, MISSING),
    ("create_account_alias", {"AccountAlias": "-office"}, INVALID),
    ("get_account_authorization_details", {"Marker": "Um9ib3Q6eA=="}, INVALID),
    # what nobody has
    ("get_login_profile", {"UserName": "bob"}, MISSING),
    ("delete_login_profile", {"UserName": "bob"}, MISSING),
    ("list_mfa_devices", {"UserName": "nobody"}, MISSING),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "parameters", "expected"), CASES)
def test_what_iam_cannot_do_it_refuses_and_nothing_has_changed(
    furnished: World,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    parameters: dict[str, Any],
    expected: tuple[str, int],
) -> None:
    # On a fast machine these are more than would be recorded one by one.
    monkeypatch.setattr(refusals, "AT_ONCE", 1000)
    call = getattr(furnished.client("iam", parameter_validation=False), operation)
    before = furnished.store.revision()
    assert refused(lambda: call(**parameters)) == expected
    assert furnished.store.revision() == before
    assert furnished.events()[-1]["errorCode"] == expected[0]


def test_a_policy_of_aws_s_is_said_not_to_be_here(furnished: World) -> None:
    with pytest.raises(Exception, match=r"ReadOnlyAccess was not found\. AWS's own managed policies are not"):
        furnished.client("iam").get_policy(PolicyArn=OF_AWS)
