"""CreateTags, DeleteTags, DescribeTags."""

from typing import Any

import pytest
from tests.control.ec2.refusals import refused
from tests.control.harness import (
    ARNS,
    DEFAULT_GROUP,
    INSTANCE,
    OTHER_SUBNET,
    OTHER_VPC,
    SSH_GROUP,
    STOPPED_INSTANCE,
    SUBNET,
    SUBNET_ELSEWHERE,
    VPC,
    World,
)

from hatchway.control import operations
from hatchway.control.ec2 import tagging


def tags_of(ec2: Any, resource_id: str) -> dict[str, str]:
    filters = [{"Name": "resource-id", "Values": [resource_id]}]
    return {tag["Key"]: tag["Value"] for tag in ec2.describe_tags(Filters=filters)["Tags"]}


@pytest.fixture(scope="module")
def endpoint(ec2: Any) -> Any:
    return ec2.create_instance_connect_endpoint(SubnetId=SUBNET_ELSEWHERE)["InstanceConnectEndpoint"]


@pytest.mark.parametrize("kind", ["vpc", "subnet", "group", "instance", "interface", "endpoint"])
def test_everything_that_can_have_tags_gets_and_loses_them(ec2: Any, endpoint: Any, kind: str) -> None:
    resource_id = {
        "vpc": OTHER_VPC,
        "subnet": SUBNET_ELSEWHERE,
        "group": DEFAULT_GROUP,
        "instance": STOPPED_INSTANCE,
        "interface": endpoint["NetworkInterfaceIds"][0],
        "endpoint": endpoint["InstanceConnectEndpointId"],
    }[kind]
    before = tags_of(ec2, resource_id)
    ec2.create_tags(
        Resources=[resource_id], Tags=[{"Key": "team", "Value": "web"}, {"Key": "x", "Value": ""}]
    )
    assert tags_of(ec2, resource_id) == {**before, "team": "web", "x": ""}
    ec2.create_tags(Resources=[resource_id], Tags=[{"Key": "team", "Value": "db"}])
    assert tags_of(ec2, resource_id) == {**before, "team": "db", "x": ""}
    ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": "team", "Value": "web"}, {"Key": "x"}])
    assert tags_of(ec2, resource_id) == {**before, "team": "db"}
    ec2.delete_tags(Resources=[resource_id], Tags=[{"Key": "team", "Value": "db"}, {"Key": "absent"}])
    assert tags_of(ec2, resource_id) == before


def test_one_call_tags_many_things_or_none(ec2: Any) -> None:
    ec2.create_tags(Resources=[VPC, SUBNET], Tags=[{"Key": "many", "Value": "1"}])
    assert tags_of(ec2, VPC)["many"] == tags_of(ec2, SUBNET)["many"] == "1"
    absent = "subnet-0000000000000000f"
    call = lambda: ec2.create_tags(Resources=[VPC, absent], Tags=[{"Key": "many", "Value": "2"}])  # noqa: E731
    assert refused(call) == "InvalidSubnetID.NotFound"
    assert tags_of(ec2, VPC)["many"] == "1"


def test_without_tags_named_all_are_deleted(ec2: Any) -> None:
    ec2.create_tags(Resources=[OTHER_SUBNET], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ec2.delete_tags(Resources=[OTHER_SUBNET])
    assert tags_of(ec2, OTHER_SUBNET) == {}


def test_gateways_follow_a_change_of_tags(account: World, ec2: Any) -> None:
    with account.store.read() as tx:
        before = tx.revision()
    ec2.create_tags(Resources=[INSTANCE], Tags=[{"Key": "seen", "Value": "yes"}])
    with account.store.read() as tx:
        (changed,) = tx.instances.since(before)
    assert (changed.id, changed.tags["seen"]) == (INSTANCE, "yes")


@pytest.mark.parametrize(
    ("resources", "tags", "code"),
    [
        ([VPC], [{"Key": "aws:x", "Value": "1"}], "InvalidParameterValue"),
        ([VPC], [{"Key": "AWS:x", "Value": "1"}], "InvalidParameterValue"),
        ([VPC], [{"Key": "", "Value": "1"}], "InvalidParameterValue"),
        ([VPC], [{"Key": "k" * 129, "Value": "1"}], "InvalidParameterValue"),
        ([VPC], [{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue"),
        ([VPC], [{"Key": "k\n", "Value": "1"}], "InvalidParameterValue"),
        ([VPC], [{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "InvalidParameterValue"),
        ([VPC], [{"Key": "k", "Value": "1"}, {"Key": "K", "Value": "2"}], "InvalidParameterValue"),
        ([VPC], [{"Key": "NAME", "Value": "2"}], "InvalidParameterValue"),
        ([VPC], [{"Key": f"k{number}", "Value": ""} for number in range(50)], "TagLimitExceeded"),
        (["vpc-0000000000000000f"], [{"Key": "k", "Value": "1"}], "InvalidVpcID.NotFound"),
        (["i-0000000000000000f"], [{"Key": "k", "Value": "1"}], "InvalidInstanceID.NotFound"),
        (["vpc-<b>"], [{"Key": "k", "Value": "1"}], "InvalidVpcID.Malformed"),
        (["ami-0000000000000000f"], [{"Key": "k", "Value": "1"}], "InvalidID"),
        (["x" * 2000], [{"Key": "k", "Value": "1"}], "InvalidID"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_tag_or_a_resource_is_refused(
    ec2: Any, resources: list[str], tags: list[dict[str, str]], code: str
) -> None:
    assert refused(lambda: ec2.create_tags(Resources=resources, Tags=tags)) == code


def test_a_deleted_endpoint_cannot_be_tagged(ec2: Any) -> None:
    made = ec2.create_instance_connect_endpoint(
        SubnetId=SUBNET,
        TagSpecifications=[
            {"ResourceType": "instance-connect-endpoint", "Tags": [{"Key": "a", "Value": "b"}]}
        ],
    )
    gone = made["InstanceConnectEndpoint"]["InstanceConnectEndpointId"]
    ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=gone)
    call = lambda: ec2.create_tags(Resources=[gone], Tags=[{"Key": "k", "Value": "1"}])  # noqa: E731
    assert refused(call) == "InvalidInstanceConnectEndpointId.NotFound"
    assert tags_of(ec2, gone) == {}


def test_a_dry_run_changes_nothing(ec2: Any) -> None:
    before = tags_of(ec2, SSH_GROUP)
    tags = [{"Key": "dry", "Value": "1"}]
    assert (
        refused(lambda: ec2.create_tags(Resources=[SSH_GROUP], Tags=tags, DryRun=True)) == "DryRunOperation"
    )
    assert tags_of(ec2, SSH_GROUP) == before


def test_a_page_of_tags_goes_on_where_the_one_before_ended(ec2: Any) -> None:
    several = [{"Key": f"page-{number}", "Value": ""} for number in range(6)]
    ec2.create_tags(Resources=[VPC, SUBNET], Tags=several)
    whole = ec2.describe_tags()["Tags"]
    assert len({(tag["ResourceId"], tag["Key"]) for tag in whole}) == len(whole) > 5
    paginator = ec2.get_paginator("describe_tags")
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 5}))
    assert len(pages) > 1 and all(len(page["Tags"]) <= 5 for page in pages)
    assert [tag for page in pages for tag in page["Tags"]] == whole
    ec2.delete_tags(Resources=[VPC, SUBNET], Tags=several)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"resource-type": ["instance"], "key": ["Name"]}, {(INSTANCE, "Name")}),
        ({"key": ["Na*"], "value": ["web-?"]}, {(INSTANCE, "Name")}),
        ({"tag:env": ["dev"]}, {(INSTANCE, "env")}),
        ({"tag:tier": ["web"], "resource-id": [SUBNET, "subnet-*"]}, {(SUBNET, "tier")}),
        ({"resource-id": ["vpc-0000000000000000f"]}, set()),
        ({"resource-type": ["image"]}, set()),
    ],
)
def test_tags_are_found_by_every_documented_filter(
    ec2: Any, filters: dict[str, list[str]], expected: set[tuple[str, str]]
) -> None:
    asked = [{"Name": name, "Values": values} for name, values in filters.items()]
    found = ec2.describe_tags(Filters=asked)["Tags"]
    assert {(tag["ResourceId"], tag["Key"]) for tag in found} == expected


def test_a_filter_that_ec2_does_not_know_is_an_error(ec2: Any) -> None:
    call = lambda: ec2.describe_tags(Filters=[{"Name": "tag-key", "Values": ["a"]}])  # noqa: E731
    assert refused(call) == "InvalidParameterValue"


def test_who_tags_is_judged_by_the_resource_its_tags_and_those_asked_for(account: World) -> None:
    credentials = account.user(
        "tagger",
        {
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": ARNS.instance("*"),
            "Condition": {
                "StringEquals": {"aws:ResourceTag/env": "dev", "aws:RequestTag/owner": "${aws:username}"},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["owner", "note"]},
            },
        },
        {
            "Effect": "Allow",
            "Action": "ec2:DeleteTags",
            "Resource": "*",
            "Condition": {
                "ForAllValues:StringEquals": {"aws:TagKeys": "note"},
                "Null": {"aws:TagKeys": "false"},
            },
        },
        {
            "Effect": "Deny",
            "Action": "ec2:CreateTags",
            "Resource": "*",
            "Condition": {"Null": {"ec2:CreateAction": "false"}},
        },
    )
    ec2 = account.client("ec2", credentials)
    mine = [{"Key": "owner", "Value": "tagger"}, {"Key": "note", "Value": "hello"}]
    ec2.create_tags(Resources=[INSTANCE], Tags=mine)
    denied = "UnauthorizedOperation"
    assert refused(lambda: ec2.create_tags(Resources=[INSTANCE, STOPPED_INSTANCE], Tags=mine)) == denied
    assert refused(lambda: ec2.create_tags(Resources=[VPC], Tags=mine)) == denied
    theirs = [{"Key": "owner", "Value": "alice"}]
    assert refused(lambda: ec2.create_tags(Resources=[INSTANCE], Tags=theirs)) == denied
    others = [*mine, {"Key": "env", "Value": "prod"}]
    assert refused(lambda: ec2.create_tags(Resources=[INSTANCE], Tags=others)) == denied
    assert refused(lambda: ec2.create_tags(Resources=["i-0000000000000000f"], Tags=mine)) == denied
    ec2.delete_tags(Resources=[INSTANCE], Tags=[{"Key": "note"}])
    assert refused(lambda: ec2.delete_tags(Resources=[INSTANCE], Tags=[{"Key": "env"}])) == denied
    assert refused(lambda: ec2.delete_tags(Resources=[INSTANCE])) == denied
    assert refused(ec2.describe_tags) == denied


@pytest.mark.parametrize(
    "statements",
    [
        [{"Effect": "Allow", "Condition": {"ForAllValues:StringEquals": {"aws:TagKeys": "note"}}}],
        [
            {"Effect": "Allow"},
            {"Effect": "Deny", "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": "owner"}}},
        ],
    ],
    ids=["allows one key", "denies one key"],
)
def test_whoever_may_not_delete_a_tag_cannot_delete_it_with_all_others(
    account: World, ec2: Any, statements: list[dict[str, Any]]
) -> None:
    credentials = account.user(
        "cleaner", *({"Action": "ec2:DeleteTags", "Resource": "*", **each} for each in statements)
    )
    cleaner = account.client("ec2", credentials)
    before = tags_of(ec2, STOPPED_INSTANCE)
    ec2.delete_tags(Resources=[STOPPED_INSTANCE])
    ec2.create_tags(
        Resources=[STOPPED_INSTANCE], Tags=[{"Key": "owner", "Value": "alice"}, {"Key": "note", "Value": "x"}]
    )
    assert refused(lambda: cleaner.delete_tags(Resources=[STOPPED_INSTANCE])) == "UnauthorizedOperation"
    cleaner.delete_tags(Resources=[STOPPED_INSTANCE], Tags=[{"Key": "note"}])
    assert tags_of(ec2, STOPPED_INSTANCE) == {"owner": "alice"}
    ec2.delete_tags(Resources=[STOPPED_INSTANCE], Tags=[{"Key": "owner"}])
    ec2.create_tags(Resources=[STOPPED_INSTANCE], Tags=[{"Key": "note", "Value": "x"}])
    cleaner.delete_tags(Resources=[STOPPED_INSTANCE])
    assert tags_of(ec2, STOPPED_INSTANCE) == {}
    if before:
        ec2.create_tags(
            Resources=[STOPPED_INSTANCE], Tags=[{"Key": key, "Value": value} for key, value in before.items()]
        )


def test_a_call_about_more_than_its_policies_can_be_asked_in_time_is_refused_and_does_nothing(
    ec2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MOST_SECONDS_OF_CHECKS", 0.0)
    tags = [{"Key": "late", "Value": "1"}]
    call = lambda: ec2.create_tags(Resources=[VPC, SUBNET], Tags=tags)  # noqa: E731
    assert refused(call) == "RequestResourceCountExceeded"
    assert "late" not in tags_of(ec2, VPC)
    ec2.create_tags(Resources=[VPC], Tags=tags)
    assert tags_of(ec2, VPC)["late"] == "1"
    ec2.delete_tags(Resources=[VPC], Tags=tags)


def test_a_call_that_would_write_too_many_tags_is_refused_and_what_changes_nothing_does_not_count(
    ec2: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ec2.create_tags(Resources=[VPC, SUBNET], Tags=[{"Key": "heavy", "Value": "1"}])
    before = tags_of(ec2, VPC), tags_of(ec2, SUBNET)
    monkeypatch.setattr(tagging, "MOST_WRITTEN", sum(map(len, before)) - 1)
    many = {"Resources": [VPC, SUBNET], "Tags": [{"Key": "heavy", "Value": "2"}]}
    assert refused(lambda: ec2.create_tags(**many)) == "RequestResourceCountExceeded"
    assert refused(lambda: ec2.delete_tags(**many | {"Tags": [{"Key": "heavy"}]})) == (
        "RequestResourceCountExceeded"
    )
    assert (tags_of(ec2, VPC), tags_of(ec2, SUBNET)) == before
    ec2.create_tags(Resources=[VPC], Tags=many["Tags"])
    ec2.create_tags(**many)
    ec2.delete_tags(Resources=[VPC], Tags=[{"Key": "heavy"}])
    ec2.delete_tags(Resources=[VPC, SUBNET], Tags=[{"Key": "heavy"}])
    assert "heavy" not in tags_of(ec2, VPC) | tags_of(ec2, SUBNET)
