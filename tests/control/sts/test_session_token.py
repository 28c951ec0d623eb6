"""GetSessionToken gives a user temporary credentials of its own, which may do less."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, ARNS, Credentials, World

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def session(world: World, who: Credentials | None, **more: Any) -> Credentials:
    return Credentials.temporary(world.client("sts", who).get_session_token(**more))


def refusal(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    code: str = caught.value.response["Error"]["Code"]
    return code


def test_a_session_of_a_user_is_that_user_and_needs_no_permission(world: World) -> None:
    who = session(world, world.user("alice"))
    identity = world.client("sts", who).get_caller_identity()
    assert identity["Arn"] == ARNS.user("alice") and identity["UserId"].startswith("AIDA")

    world.allow("alice", ALL)
    assert world.client("ec2", who).describe_vpcs()["Vpcs"]
    (event,) = world.events("DescribeVpcs")
    told = event["userIdentity"]
    assert (told["type"], told["userName"], told["accessKeyId"]) == ("IAMUser", "alice", who.access_key_id)
    assert told["sessionContext"]["attributes"]["mfaAuthenticated"] == "false"
    assert "sessionIssuer" not in told["sessionContext"]


def test_it_may_not_call_iam_without_a_second_factor_nor_most_of_sts(world: World) -> None:
    role = world.role("on-call", ALL, trust={"Principal": {"AWS": ARNS.user("alice")}})
    alice = world.user("alice", ALL)
    of_user, of_root = session(world, alice), session(world, None)
    of_role = Credentials.temporary(
        world.client("sts", alice).assume_role(RoleArn=role, RoleSessionName="work")
    )
    for who in (of_user, of_root):
        assert refusal(world.client("iam", who).list_users) == "InvalidClientTokenId"
        sts = world.client("sts", who)
        assert sts.get_caller_identity()["Account"] == ACCOUNT
        assert refusal(sts.get_session_token) == "AccessDenied"
        info = partial(sts.get_access_key_info, AccessKeyId=alice.access_key_id)
        assert refusal(info) == "AccessDenied"
        # What IAM's calls do, a fleet file does too.
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Hatchway.ApplyFleet"}
        answer = world.send(headers=headers, body=b'{"FleetFile": "e30="}', service="hatchway", who=who)
        assert (answer.status, "AccessDeniedException" in answer.text) == (403, True)
    assumed = world.client("sts", of_user).assume_role(RoleArn=role, RoleSessionName="work")
    assert world.client("iam", Credentials.temporary(assumed)).list_users()["Users"]
    sts = world.client("sts", of_role)
    assert refusal(sts.get_session_token) == "AccessDenied"
    assert sts.get_access_key_info(AccessKeyId=of_user.access_key_id)["Account"] == ACCOUNT
    assert refusal(lambda: sts.get_access_key_info(AccessKeyId="AKIANOBODYHASTHISONE")) == "ValidationError"


def test_it_lasts_twelve_hours_or_as_asked_and_the_root_user_s_an_hour(world: World) -> None:
    def lasts(who: Credentials | None, **more: Any) -> int:
        answer = world.client("sts", who).get_session_token(**more)
        left: timedelta = answer["Credentials"]["Expiration"] - datetime.now(UTC)
        return round(left / timedelta(minutes=1)) * 60

    alice = world.user("alice")
    assert lasts(alice) == 43_200
    assert lasts(alice, DurationSeconds=129_600) == 129_600
    assert lasts(None) == lasts(None, DurationSeconds=129_600) == 3_600
    assert lasts(None, DurationSeconds=900) == 900
    unchecked = world.client("sts", alice, parameter_validation=False)
    for seconds in (899, 129_601):
        with pytest.raises(ClientError, match="ValidationError"):
            unchecked.get_session_token(DurationSeconds=seconds)


def test_a_second_factor_that_nobody_has_is_refused(world: World) -> None:
    mfa = {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/alice", "TokenCode": "123456"}
    assert refusal(lambda: session(world, world.user("alice"), **mfa)) == "AccessDenied"
