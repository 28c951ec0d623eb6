"""What the calls make a fleet file holds: exported, it changes nothing here, and makes the same elsewhere."""

import json
import shutil
from pathlib import Path

from tests.control.harness import ACCOUNT, ARNS, World

from hatchway.account.fleet import apply_fleet, export_fleet, plan_fleet
from hatchway.audit.local import LocalAdministrator
from hatchway.domain.service_linked_role import service_linked_role
from hatchway.fleet import parse_fleet
from hatchway.store import Store

OPERATOR = LocalAdministrator(os_user="operator", user_agent="hatchway/test")
EC2 = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
}


def make_one_of_each(world: World) -> None:
    iam = world.client("iam")
    tags = [{"Key": "team", "Value": "web"}, {"Key": "note", "Value": "a: b @ c - "}]
    document = json.dumps(EC2, indent=4)
    reader, bound = ARNS.managed_policy("reader", "/teams/"), ARNS.managed_policy("bound")
    iam.create_policy(
        PolicyName="reader", Path="/teams/", PolicyDocument=document, Description="reads: all", Tags=tags
    )
    iam.create_policy_version(PolicyArn=reader, PolicyDocument=document, SetAsDefault=True)
    iam.create_policy(PolicyName="bound", PolicyDocument=document)
    iam.create_group(GroupName="Ops+1", Path="/staff/")
    iam.put_group_policy(GroupName="Ops+1", PolicyName="own", PolicyDocument=document)
    iam.attach_group_policy(GroupName="Ops+1", PolicyArn=reader)
    iam.create_user(UserName="bob@office", Path="/staff/x/", Tags=tags, PermissionsBoundary=bound)
    iam.create_user(UserName="0123")
    iam.add_user_to_group(GroupName="Ops+1", UserName="bob@office")
    iam.put_user_policy(UserName="bob@office", PolicyName="no", PolicyDocument=document)
    iam.attach_user_policy(UserName="bob@office", PolicyArn=reader)
    iam.create_role(
        RoleName="deploy", Path="/ci/", AssumeRolePolicyDocument=json.dumps(TRUST), Description="for CI",
        MaxSessionDuration=43200, PermissionsBoundary=bound, Tags=tags,
    )  # fmt: skip
    iam.put_role_policy(RoleName="deploy", PolicyName="own", PolicyDocument=document)
    iam.attach_role_policy(RoleName="deploy", PolicyArn=reader)
    iam.update_user(UserName="0123", NewUserName="4567", NewPath="/numbers/")


def test_an_exported_account_changes_nothing_here_and_makes_the_same_elsewhere(
    world: World, empty_database: Path, tmp_path: Path
) -> None:
    make_one_of_each(world)
    exported = export_fleet(world.store)
    file = parse_fleet(exported.encode())
    assert plan_fleet(world.store, file, now=world.clock(), prune=True).empty

    other = Store.open(f"sqlite:///{shutil.copyfile(empty_database, tmp_path / 'other.db')}")
    with world.store.read() as tx, other.write() as other_tx:
        other_tx.accounts.put(tx.account())
        other_tx.roles.put(service_linked_role(ACCOUNT, world.clock()))
    apply_fleet(other, file, now=world.clock(), administrator=OPERATOR)
    again = export_fleet(other)
    other.close()
    assert again == exported
