"""Groups and their members, as boto3 knows them."""

import json

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import World, refused

EC2 = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}


def test_a_group_is_made_found_changed_listed_and_deleted(module_world: World) -> None:
    iam = module_world.client("iam")
    made = iam.create_group(GroupName="writers", Path="/staff/")["Group"]
    assert made["Arn"] == "arn:aws:iam::123456789012:group/staff/writers"
    assert made["GroupId"].startswith("AGPA") and len(made["GroupId"]) == 21
    found = iam.get_group(GroupName="writers")
    assert (found["Group"], found["Users"]) == (made, [])
    iam.update_group(GroupName="writers", NewGroupName="Writers", NewPath="/")
    moved = iam.get_group(GroupName="Writers")["Group"]
    assert moved == {**made, "GroupName": "Writers", "Path": "/",
                     "Arn": "arn:aws:iam::123456789012:group/Writers"}  # fmt: skip
    assert iam.list_groups()["Groups"] == [moved]
    assert iam.list_groups(PathPrefix="/staff/")["Groups"] == []
    iam.delete_group(GroupName="Writers")
    assert refused(lambda: iam.get_group(GroupName="Writers")) == ("NoSuchEntity", 404)
    assert module_world.events("CreateGroup")[-1]["resources"][0]["type"] == "AWS::IAM::Group"


def test_members_have_their_group_s_policies_as_long_as_they_are_in_it(module_world: World) -> None:
    bob = module_world.user("bob")
    iam, ec2 = module_world.client("iam"), module_world.client("ec2", bob)
    iam.create_group(GroupName="readers")
    iam.put_group_policy(GroupName="readers", PolicyName="p", PolicyDocument=json.dumps(EC2))
    assert refused(ec2.describe_vpcs)[0] == "UnauthorizedOperation"
    for _ in range(2):
        iam.add_user_to_group(GroupName="readers", UserName="bob")
    assert ec2.describe_vpcs()["Vpcs"]
    (group,) = iam.list_groups_for_user(UserName="bob")["Groups"]
    assert group["GroupName"] == "readers"
    iam.update_group(GroupName="readers", NewGroupName="viewers")
    assert ec2.describe_vpcs()["Vpcs"]
    iam.remove_user_from_group(GroupName="viewers", UserName="bob")
    assert refused(ec2.describe_vpcs)[0] == "UnauthorizedOperation"
    assert iam.list_groups_for_user(UserName="bob")["Groups"] == []
    again = refused(lambda: iam.remove_user_from_group(GroupName="viewers", UserName="bob"))
    assert again == ("NoSuchEntity", 404)


def test_members_come_in_pages_in_the_order_of_their_names(module_world: World) -> None:
    iam = module_world.client("iam")
    iam.create_group(GroupName="many")
    names = [f"member-{number}" for number in range(5)]
    for name in reversed(names):
        iam.create_user(UserName=name, Tags=[{"Key": "a", "Value": "b"}])
        iam.add_user_to_group(GroupName="many", UserName=name)
    pages = list(iam.get_paginator("get_group").paginate(GroupName="many", PaginationConfig={"PageSize": 2}))
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    assert len(pages) == 3
    assert "Tags" not in pages[0]["Users"][0]


def test_a_user_is_in_ten_groups_at_most_and_a_group_with_something_is_not_deleted(
    module_world: World,
) -> None:
    iam = module_world.client("iam")
    iam.create_user(UserName="joiner")
    for number in range(11):
        iam.create_group(GroupName=f"g{number}")
    for number in range(10):
        iam.add_user_to_group(GroupName=f"g{number}", UserName="joiner")
    eleventh = refused(lambda: iam.add_user_to_group(GroupName="g10", UserName="joiner"))
    assert eleventh == ("LimitExceeded", 409)
    with pytest.raises(ClientError, match="remove users from group first"):
        iam.delete_group(GroupName="g0")
    iam.put_group_policy(GroupName="g10", PolicyName="p", PolicyDocument=json.dumps(EC2))
    with pytest.raises(ClientError, match="delete policies first"):
        iam.delete_group(GroupName="g10")
