"""The credential report, as boto3 gets it."""

import csv
import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, ARNS, REGION, World

from hatchway.control.iam.credential_report import COLUMNS, LIFETIME
from hatchway.domain.identity import AccessKeyUse

MAY = {"Effect": "Allow", "Action": ["iam:GenerateCredentialReport"], "Resource": "*"}


def report(iam: Any) -> list[dict[str, str]]:
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    answer = iam.get_credential_report()
    assert answer["ReportFormat"] == "text/csv"
    return list(csv.DictReader(io.StringIO(answer["Content"].decode())))


def test_it_has_root_and_every_user_with_their_keys_in_aws_s_columns(world: World) -> None:
    iam = world.client("iam")
    iam.create_user(UserName="bob", Path="/staff/")
    iam.create_user(UserName="alice")
    keys = [iam.create_access_key(UserName="alice")["AccessKey"] for _ in range(2)]
    iam.update_access_key(UserName="alice", AccessKeyId=keys[1]["AccessKeyId"], Status="Inactive")
    used = world.clock().replace(microsecond=0)
    world.change(
        lambda tx: tx.access_key_uses.put(
            AccessKeyUse(access_key_id=keys[0]["AccessKeyId"], used_at=used, service="ec2", region=REGION)
        )
    )
    root, alice, bob = report(iam)
    assert list(root) == list(COLUMNS) and len(COLUMNS) == 22
    assert (root["user"], root["arn"]) == ("<root_account>", f"arn:aws:iam::{ACCOUNT}:root")
    assert (root["password_enabled"], root["access_key_1_active"], root["mfa_active"]) == (
        "not_supported", "true", "false",
    )  # fmt: skip
    assert (bob["user"], bob["arn"]) == ("bob", ARNS.user("bob", "/staff/"))
    assert bob["password_enabled"] == bob["access_key_1_active"] == bob["cert_2_active"] == "false"
    assert bob["access_key_1_last_rotated"] == bob["password_last_used"] == "N/A"
    created = iam.get_user(UserName="alice")["User"]["CreateDate"]
    assert alice["user_creation_time"] == created.isoformat()
    assert {name: value for name, value in alice.items() if name.startswith("access_key")} == {
        "access_key_1_active": "true",
        "access_key_1_last_rotated": keys[0]["CreateDate"].isoformat(),
        "access_key_1_last_used_date": used.isoformat(),
        "access_key_1_last_used_region": REGION,
        "access_key_1_last_used_service": "ec2",
        "access_key_2_active": "false",
        "access_key_2_last_rotated": keys[1]["CreateDate"].isoformat(),
        "access_key_2_last_used_date": "N/A",
        "access_key_2_last_used_region": "N/A",
        "access_key_2_last_used_service": "N/A",
    }
    (made,) = world.events("GetCredentialReport")
    assert made["responseElements"] is None


def test_it_is_kept_for_four_hours_and_then_made_anew(world: World) -> None:
    iam = world.client("iam")
    with pytest.raises(ClientError, match="ReportNotPresent"):
        iam.get_credential_report()
    assert len(report(iam)) == 1
    at = iam.get_credential_report()["GeneratedTime"]
    iam.create_user(UserName="late")
    assert len(report(iam)) == 1
    age(world, LIFETIME - timedelta(minutes=1))
    assert iam.get_credential_report()["GeneratedTime"] < at
    assert len(report(iam)) == 1
    age(world, timedelta(minutes=2))
    with pytest.raises(ClientError, match="ReportExpired"):
        iam.get_credential_report()
    assert [row["user"] for row in report(iam)] == ["<root_account>", "late"]


def age(world: World, by: timedelta) -> None:
    with world.store.write() as tx:
        (made,) = tx.credential_reports.find()
        tx.credential_reports.put(replace(made, generated_at=made.generated_at - by))


def test_making_and_getting_it_are_permissions_of_their_own(world: World) -> None:
    iam = world.client("iam", world.user("maker", MAY))
    assert iam.generate_credential_report()["State"] == "COMPLETE"
    with pytest.raises(ClientError, match="AccessDenied"):
        iam.get_credential_report()
    with pytest.raises(ClientError, match="AccessDenied"):
        world.client("iam", world.user("nobody")).generate_credential_report()


def test_it_has_every_user_of_many(world: World) -> None:
    world.user("user")
    with world.store.write() as tx:
        (user,) = tx.users.find()
        tx.users.put_all(replace(user, name=f"user-{number}", id=f"AIDA{number}") for number in range(2000))
    assert len(report(world.client("iam"))) == 2002
