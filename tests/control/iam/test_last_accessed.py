"""Which services somebody may use and when he last did, as boto3 gets it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, ARNS, REGION, World

from hatchway.audit.service_uses import ServiceUses
from hatchway.control.housekeeping.purges import purge_last_accessed_jobs
from hatchway.control.iam.last_accessed import RETENTION

READ = {"Effect": "Allow", "Action": ["ec2:Describe*", "iam:ListUsers"], "Resource": "*"}
EC2 = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
)


def note(world: World) -> None:
    ServiceUses(world.store, world.clock).note()


def ask(world: World, arn: str, **more: Any) -> str:
    return str(world.client("iam").generate_service_last_accessed_details(Arn=arn, **more)["JobId"])


def report(world: World, arn: str, **more: Any) -> Mapping[str, Any]:
    answer = world.client("iam").get_service_last_accessed_details(JobId=ask(world, arn, **more))
    assert answer["JobStatus"] == "COMPLETED" and answer["JobCompletionDate"] >= answer["JobCreationDate"]
    return {each["ServiceNamespace"]: each for each in answer["ServicesLastAccessed"]}


def test_a_user_s_report_has_each_service_that_he_may_use_and_his_last_use_of_it(world: World) -> None:
    alice = world.user("alice", READ)
    world.client("ec2", alice).describe_vpcs()
    world.client("ec2", alice).describe_subnets()
    # Tried is used, as in AWS.
    with pytest.raises(ClientError):
        world.client("iam", alice).list_roles()
    note(world)
    found = report(world, ARNS.user("alice"))
    assert list(found) == ["ec2", "iam"]
    last = world.events("DescribeSubnets")[0]["eventTime"]
    assert found["ec2"].pop("LastAuthenticated").strftime("%Y-%m-%dT%H:%M:%SZ") == last
    assert found["ec2"] == {
        "ServiceName": "Amazon Elastic Compute Cloud",
        "ServiceNamespace": "ec2",
        "LastAuthenticatedEntity": ARNS.user("alice"),
        "LastAuthenticatedRegion": REGION,
        "TotalAuthenticatedEntities": 1,
    }
    assert found["iam"]["TotalAuthenticatedEntities"] == 1
    by_action = report(world, ARNS.user("alice"), Granularity="ACTION_LEVEL")
    tracked = {each["ActionName"]: each for each in by_action["ec2"]["TrackedActionsLastAccessed"]}
    used = {name for name, each in tracked.items() if "LastAccessedTime" in each}
    assert used == {"DescribeVpcs", "DescribeSubnets"}
    assert tracked["DescribeVpcs"]["LastAccessedEntity"] == ARNS.user("alice")
    assert "DescribeInstances" in tracked and "CreateVpc" not in tracked
    (listed,) = by_action["iam"]["TrackedActionsLastAccessed"]
    assert listed == {"ActionName": "ListUsers"}


def test_a_service_that_was_never_used_has_no_time(world: World) -> None:
    world.user("bob", READ)
    found = report(world, ARNS.user("bob"))
    assert found["ec2"] == {
        "ServiceName": "Amazon Elastic Compute Cloud",
        "ServiceNamespace": "ec2",
        "TotalAuthenticatedEntities": 0,
    }


def test_groups_and_policies_tell_of_all_who_have_them(world: World) -> None:
    iam = world.client("iam")
    arn = iam.create_policy(PolicyName="compute", PolicyDocument=EC2)["Policy"]["Arn"]
    iam.create_group(GroupName="ops", Path="/teams/")
    iam.attach_group_policy(GroupName="ops", PolicyArn=arn)
    people = {name: world.user(name, path="/staff/") for name in ("alice", "bob", "carol")}
    for name in ("alice", "bob"):
        iam.add_user_to_group(GroupName="ops", UserName=name)
    iam.attach_user_policy(UserName="carol", PolicyArn=arn)
    for name in ("alice", "carol"):
        world.client("ec2", people[name]).describe_vpcs()
    note(world)
    of_group = report(world, ARNS.group("ops", "/teams/"))["ec2"]
    of_policy = report(world, arn)["ec2"]
    assert of_group["TotalAuthenticatedEntities"] == 1
    assert of_policy["TotalAuthenticatedEntities"] == 2
    assert of_policy["LastAuthenticatedEntity"] == ARNS.user("carol", "/staff/")

    job = ask(world, arn)
    entities: list[Any] = []
    asked: dict[str, Any] = {"JobId": job, "ServiceNamespace": "ec2", "MaxItems": 2}
    while True:
        page = iam.get_service_last_accessed_details_with_entities(**asked)
        entities += page["EntityDetailsList"]
        if not page["IsTruncated"]:
            break
        asked["Marker"] = page["Marker"]
    assert [each["EntityInfo"]["Name"] for each in entities][-1] == "bob"
    assert "LastAuthenticated" not in entities[-1]
    assert {each["EntityInfo"]["Name"] for each in entities if "LastAuthenticated" in each} == {
        "alice",
        "carol",
    }
    carol = next(each["EntityInfo"] for each in entities if each["EntityInfo"]["Name"] == "carol")
    assert (carol["Type"], carol["Path"], carol["Arn"]) == ("USER", "/staff/", ARNS.user("carol", "/staff/"))
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_service_last_accessed_details_with_entities(JobId=job, ServiceNamespace="s3")


def test_what_another_did_who_had_the_name_before_is_not_told(world: World) -> None:
    world.client("ec2", world.user("alice", READ)).describe_vpcs()
    note(world)
    assert report(world, ARNS.user("alice"))["ec2"]["TotalAuthenticatedEntities"] == 1
    with world.store.write() as tx:
        alice = tx.users.get("alice")
        assert alice is not None
        tx.users.put(replace(alice, created_at=alice.created_at + timedelta(minutes=1)))
    assert report(world, ARNS.user("alice"))["ec2"]["TotalAuthenticatedEntities"] == 0


def test_a_report_is_for_whoever_asked_for_it_and_for_a_day(world: World) -> None:
    world.user("bob")
    boss = world.user("boss", {"Effect": "Allow", "Action": "iam:*", "Resource": "*"})
    job = ask(world, ARNS.user("bob"))
    for iam, job_id in ((world.client("iam", boss), job), (world.client("iam"), "0" * 36)):
        with pytest.raises(ClientError, match="NoSuchEntity"):
            iam.get_service_last_accessed_details(JobId=job_id)
    assert world.client("iam").get_service_last_accessed_details(JobId=job)["ServicesLastAccessed"] == []
    with world.store.write() as tx:
        assert purge_last_accessed_jobs(tx, world.clock()) == 0
        (made,) = tx.last_accessed_jobs.find()
        tx.last_accessed_jobs.put(
            replace(made, created_at=made.created_at - RETENTION - timedelta(seconds=1))
        )
    with pytest.raises(ClientError, match="NoSuchEntity"):
        world.client("iam").get_service_last_accessed_details(JobId=job)
    with world.store.write() as tx:
        assert purge_last_accessed_jobs(tx, world.clock()) == 1


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (ARNS.user("nobody"), "NoSuchEntity"),
        (ARNS.user("alice", "/other/"), "NoSuchEntity"),
        (ARNS.managed_policy("none"), "NoSuchEntity"),
        (f"arn:aws:iam::{ACCOUNT}:root", "InvalidInput"),
        ("arn:aws:iam::999999999999:user/alice", "InvalidInput"),
        (ARNS.vpc("vpc-0000000000000000a"), "InvalidInput"),
    ],
)
def test_an_arn_that_no_report_is_about_is_refused(world: World, arn: str, code: str) -> None:
    world.user("alice")
    with pytest.raises(ClientError, match=code):
        ask(world, arn)


def test_asking_takes_the_permission_on_what_it_is_about(world: World) -> None:
    may = {"Effect": "Allow", "Action": "iam:GenerateServiceLastAccessedDetails"}
    asker = world.client("iam", world.user("asker", {**may, "Resource": ARNS.user("asker")}))
    assert asker.generate_service_last_accessed_details(Arn=ARNS.user("asker"))["JobId"]
    for other in (ARNS.user("nobody"), ARNS.group("ops")):
        with pytest.raises(ClientError, match="AccessDenied"):
            asker.generate_service_last_accessed_details(Arn=other)
    with pytest.raises(ClientError, match="AccessDenied"):
        asker.get_service_last_accessed_details(JobId="0" * 36)
