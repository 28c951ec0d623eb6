"""Roles, as boto3 knows them."""

import json
from datetime import datetime, timedelta

from tests.control.harness import World, refused

from hatchway.domain.identity import OwnerKind, ServiceUse

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
    ],
}


def test_a_role_is_made_found_changed_listed_and_deleted(module_world: World) -> None:
    iam = module_world.client("iam")
    made = iam.create_role(
        RoleName="deploy", Path="/ci/", AssumeRolePolicyDocument=json.dumps(TRUST), Description="for CI",
        MaxSessionDuration=7200, Tags=[{"Key": "team", "Value": "web"}],
    )["Role"]  # fmt: skip
    assert made["Arn"] == "arn:aws:iam::123456789012:role/ci/deploy"
    assert made["RoleId"].startswith("AROA") and len(made["RoleId"]) == 21
    assert made["AssumeRolePolicyDocument"] == TRUST
    assert (made["MaxSessionDuration"], made["Description"]) == (7200, "for CI")
    assert iam.get_role(RoleName="deploy")["Role"] == {**made, "RoleLastUsed": {}}
    listed = {key: value for key, value in made.items() if key != "Tags"}
    assert iam.list_roles(PathPrefix="/ci/")["Roles"] == [listed]
    assert iam.list_roles(PathPrefix="/other/")["Roles"] == []

    iam.update_role(RoleName="deploy", Description="")
    role = iam.get_role(RoleName="deploy")["Role"]
    assert "Description" not in role and role["MaxSessionDuration"] == 7200
    iam.update_role(RoleName="deploy", MaxSessionDuration=3600)
    changed = iam.update_role_description(RoleName="deploy", Description="again")["Role"]
    assert (changed["Description"], changed["MaxSessionDuration"]) == ("again", 3600)
    other = {**TRUST, "Statement": {**TRUST["Statement"][0], "Principal": {"AWS": "*"}}}  # type: ignore[dict-item]
    iam.update_assume_role_policy(RoleName="deploy", PolicyDocument=json.dumps(other))
    assert iam.get_role(RoleName="deploy")["Role"]["AssumeRolePolicyDocument"] == other

    iam.put_role_policy(RoleName="deploy", PolicyName="p", PolicyDocument=json.dumps({
        "Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"},
    }))  # fmt: skip
    assert refused(lambda: iam.delete_role(RoleName="deploy")) == ("DeleteConflict", 409)
    iam.delete_role_policy(RoleName="deploy", PolicyName="p")
    iam.delete_role(RoleName="deploy")
    assert refused(lambda: iam.get_role(RoleName="deploy")) == ("NoSuchEntity", 404)


def test_a_new_role_lasts_an_hour_and_a_trust_policy_has_its_quota(module_world: World) -> None:
    iam = module_world.client("iam")
    made = iam.create_role(RoleName="plain", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    assert made["MaxSessionDuration"] == 3600
    large = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Sid": "x" * 2000}]}  # type: ignore[dict-item]
    too_large = refused(
        lambda: iam.update_assume_role_policy(RoleName="plain", PolicyDocument=json.dumps(large))
    )
    assert too_large == ("LimitExceeded", 409)
    assert iam.list_instance_profiles_for_role(RoleName="plain")["InstanceProfiles"] == []


def test_a_role_tells_when_it_was_last_used_and_not_when_a_former_one_of_its_name_was(
    module_world: World,
) -> None:
    iam = module_world.client("iam")
    made = iam.create_role(RoleName="used", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]

    def used(*moments: datetime) -> None:
        uses = [
            ServiceUse(
                owner_kind=OwnerKind.ROLE,
                owner_name="used",
                service="ec2",
                action=f"Do{number}",
                used_at=moment,
            )
            for number, moment in enumerate(moments)
        ]
        module_world.change(lambda tx: tx.service_uses.put_all(uses))

    used(made["CreateDate"] - timedelta(hours=1))
    assert iam.get_role(RoleName="used")["Role"]["RoleLastUsed"] == {}
    latest = made["CreateDate"] + timedelta(seconds=20)
    used(latest, latest - timedelta(seconds=5))
    told = iam.get_role(RoleName="used")["Role"]["RoleLastUsed"]
    assert told == {"LastUsedDate": latest, "Region": "us-east-1"}
    details = iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
    assert {role["RoleLastUsed"].get("LastUsedDate") for role in details if role["RoleName"] == "used"} == {
        latest
    }
    assert all(role["RoleLastUsed"] == {} for role in details if role["RoleName"] != "used")
