"""Permissions boundaries, what they keep from happening, and renaming, as boto3 knows them."""

import json
from typing import Any

import boto3
import pytest
from tests.control.harness import ARNS, Credentials, World, refused

ALL = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
EC2 = ALL.replace('"Action": "*"', '"Action": "ec2:*"')
BOUND = ARNS.managed_policy("bound")
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
})  # fmt: skip


@pytest.fixture(scope="module")
def iam(module_world: World) -> Any:
    iam = module_world.client("iam")
    iam.create_policy(PolicyName="bound", PolicyDocument=EC2)
    return iam


def key_of(iam: Any, user_name: str) -> Credentials:
    key = iam.create_access_key(UserName=user_name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def test_a_boundary_bounds_a_user_from_the_next_call_on_until_it_is_taken_away(
    module_world: World, iam: Any
) -> None:
    iam.create_user(UserName="bounded")
    iam.put_user_policy(UserName="bounded", PolicyName="all", PolicyDocument=ALL)
    own = module_world.client("iam", key_of(iam, "bounded"))
    assert own.list_users()["Users"]
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=BOUND)
    boundary = iam.get_user(UserName="bounded")["User"]["PermissionsBoundary"]
    assert boundary == {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": BOUND}
    assert refused(own.list_users) == ("AccessDenied", 403)
    iam.delete_user_permissions_boundary(UserName="bounded")
    assert own.list_users()["Users"]


def test_a_role_s_boundary_is_set_told_and_taken_away(iam: Any) -> None:
    iam.create_role(RoleName="bounded", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=BOUND)
    told = iam.get_role(RoleName="bounded")["Role"]["PermissionsBoundary"]
    assert told["PermissionsBoundaryArn"] == BOUND
    iam.delete_role_permissions_boundary(RoleName="bounded")
    assert "PermissionsBoundary" not in iam.get_role(RoleName="bounded")["Role"]
    iam.put_role_permissions_boundary(RoleName="bounded", PermissionsBoundary=BOUND)
    assert iam.get_role(RoleName="bounded")["Role"]["PermissionsBoundary"] == told


def test_who_may_make_only_bounded_users_cannot_make_one_that_may_more(module_world: World, iam: Any) -> None:
    """AWS: "Delegating responsibility to others using permissions boundaries"."""
    guarded = ["CreateUser", "AttachUserPolicy", "DetachUserPolicy", "PutUserPolicy", "DeleteUserPolicy",
               "PutUserPermissionsBoundary"]  # fmt: skip
    delegate = module_world.user(
        "delegate",
        {
            "Effect": "Allow",
            "Action": [f"iam:{action}" for action in guarded],
            "Resource": "*",
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": BOUND}},
        },
        {"Effect": "Allow", "Action": ["iam:DeleteUser", "iam:CreatePolicy"], "Resource": "*"},
    )
    his = module_world.client("iam", delegate)
    iam.create_policy(PolicyName="all", PolicyDocument=ALL)
    every = ARNS.managed_policy("all")
    denied = ("AccessDenied", 403)

    assert refused(lambda: his.create_user(UserName="free")) == denied
    assert refused(lambda: his.create_user(UserName="free", PermissionsBoundary=every)) == denied
    his.create_user(UserName="minion", PermissionsBoundary=BOUND)
    his.attach_user_policy(UserName="minion", PolicyArn=every)
    his.put_user_policy(UserName="minion", PolicyName="all", PolicyDocument=ALL)
    minion = module_world.client("iam", key_of(iam, "minion"))
    assert refused(minion.list_users) == denied

    def change_boundary(user_name: str, boundary: str) -> Any:
        return his.put_user_permissions_boundary(UserName=user_name, PermissionsBoundary=boundary)

    assert refused(lambda: change_boundary("minion", every)) == denied
    change_boundary("minion", BOUND)
    assert refused(lambda: his.delete_user_permissions_boundary(UserName="minion")) == denied
    # Not himself either, nor one who has no boundary.
    for name in ("delegate", "minion-of-nobody"):
        put = lambda name=name: his.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=ALL)  # noqa: E731
        assert refused(put) == denied
    his.detach_user_policy(UserName="minion", PolicyArn=every)
    his.delete_user_policy(UserName="minion", PolicyName="all")


def test_who_may_attach_only_some_policies_attaches_no_other(module_world: World, iam: Any) -> None:
    attacher = module_world.user(
        "attacher",
        {
            "Effect": "Allow",
            "Action": ["iam:AttachGroupPolicy", "iam:DetachGroupPolicy"],
            "Resource": ARNS.group("*"),
            "Condition": {"ArnLike": {"iam:PolicyARN": ARNS.managed_policy("bou*")}},
        },
    )
    his = module_world.client("iam", attacher)
    iam.create_group(GroupName="crew")
    other = ARNS.managed_policy("other")
    assert refused(lambda: his.attach_group_policy(GroupName="crew", PolicyArn=other)) == (
        "AccessDenied", 403,
    )  # fmt: skip
    his.attach_group_policy(GroupName="crew", PolicyArn=BOUND)
    his.detach_group_policy(GroupName="crew", PolicyArn=BOUND)


def test_a_user_that_is_renamed_keeps_all_that_it_has(module_world: World, iam: Any) -> None:
    made = iam.create_user(UserName="maiden", Tags=[{"Key": "team", "Value": "web"}])["User"]
    iam.create_group(GroupName="brides")
    iam.add_user_to_group(GroupName="brides", UserName="maiden")
    iam.put_user_policy(UserName="maiden", PolicyName="own", PolicyDocument=EC2)
    iam.attach_user_policy(UserName="maiden", PolicyArn=BOUND)
    key = key_of(iam, "maiden")
    session = module_world.client("sts", key).get_session_token()["Credentials"]
    iam.update_user(UserName="maiden", NewUserName="Married", NewPath="/staff/")
    user = iam.get_user(UserName="Married")["User"]
    assert (user["UserId"], user["Tags"]) == (made["UserId"], made["Tags"])
    assert user["Arn"] == "arn:aws:iam::123456789012:user/staff/Married"
    assert iam.list_groups_for_user(UserName="Married")["Groups"][0]["GroupName"] == "brides"
    assert iam.list_user_policies(UserName="Married")["PolicyNames"] == ["own"]
    attached = iam.list_attached_user_policies(UserName="Married")["AttachedPolicies"]
    assert attached[0]["PolicyArn"] == BOUND
    assert module_world.client("sts", key).get_caller_identity()["Arn"] == user["Arn"]
    temporary = boto3.client(
        "ec2", region_name="us-east-1", endpoint_url=module_world.shared_server.url,
        verify=str(module_world.shared_server.ca), aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"], aws_session_token=session["SessionToken"],
    )  # fmt: skip
    for ec2 in (module_world.client("ec2", key), temporary):
        assert ec2.describe_vpcs()["Vpcs"]
    assert refused(lambda: iam.get_user(UserName="maiden")) == ("NoSuchEntity", 404)
    # The case of its own name alone may change; another's name may not be taken, whatever the case.
    iam.update_user(UserName="Married", NewUserName="married")
    iam.create_user(UserName="single")
    taken = refused(lambda: iam.update_user(UserName="single", NewUserName="MARRIED"))
    assert taken == ("EntityAlreadyExists", 409)


def test_to_rename_a_user_takes_the_permission_on_both_names(module_world: World, iam: Any) -> None:
    iam.create_user(UserName="old")
    renamer = module_world.user("renamer", {
        "Effect": "Allow", "Action": "iam:UpdateUser", "Resource": [ARNS.user("old"), ARNS.user("new")],
    })  # fmt: skip
    his = module_world.client("iam", renamer)
    denied = ("AccessDenied", 403)
    assert refused(lambda: his.update_user(UserName="old", NewUserName="admin")) == denied
    assert refused(lambda: his.update_user(UserName="old", NewPath="/admins/")) == denied
    his.update_user(UserName="old", NewUserName="new")
