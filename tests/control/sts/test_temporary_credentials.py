"""Temporary credentials are good with their own token, until they expire, while what they are of is there."""

import json
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ssl import create_default_context
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, ARNS, Credentials, World

from hatchway.control.housekeeping.purges import SESSION_RETENTION, purge_sessions
from hatchway.domain.ids import Kind, derived_id
from hatchway.protocol.service_models import OWN_MODELS

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
TRUST = {"Principal": {"AWS": ARNS.user("alice")}}
CALLS = {"ec2": "describe_vpcs", "iam": "list_users", "sts": "get_caller_identity"}


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """With our model beside botocore's own, as AWS_DATA_PATH puts it there."""
    session = boto3.Session()
    session._loader.search_paths.append(str(OWN_MODELS))
    return session


@pytest.fixture
def role(world: World) -> str:
    return world.role("on-call", ALL, trust=TRUST)


@pytest.fixture
def alice(world: World) -> Credentials:
    return world.user("alice")


def assume(world: World, who: Credentials, role: str, name: str = "work") -> Credentials:
    return Credentials.temporary(
        world.client("sts", who).assume_role(RoleArn=role, RoleSessionName=name, DurationSeconds=900)
    )


def refusal(world: World, who: Credentials, service: str = "sts") -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        getattr(world.client(service, who), CALLS[service])()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_a_token_that_is_wrong_missing_or_another_session_s_is_as_an_unknown_key(
    world: World, role: str, alice: Credentials
) -> None:
    one, other = assume(world, alice, role), assume(world, alice, role)
    for wrong in (
        replace(one, token=other.token),
        replace(one, token=None),
        replace(one, token="x"),
        replace(one, token=f"{one.token}="),
        replace(alice, token=one.token),
        replace(one, access_key_id=other.access_key_id),
        replace(one, access_key_id=f"ASIA{'A' * 16}"),
    ):
        assert refusal(world, wrong) == ("InvalidClientTokenId", 403)
        assert refusal(world, wrong, "ec2") == ("AuthFailure", 401)
    assert refusal(world, replace(one, secret=other.secret)) == ("SignatureDoesNotMatch", 403)
    assert world.client("sts", one).get_caller_identity()["Account"] == ACCOUNT


def test_expired_credentials_are_told_so_and_forgotten_later(
    world: World, role: str, alice: Credentials
) -> None:
    who = assume(world, alice, role)
    with world.store.write() as tx:
        (session,) = tx.sessions.find()
        tx.sessions.put(replace(session, expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert refusal(world, who) == ("ExpiredToken", 403)
    assert refusal(world, who, "iam") == ("ExpiredToken", 403)
    assert refusal(world, who, "ec2") == ("RequestExpired", 400)
    # To whoever has not the whole of them, they are what they always were: unknown.
    assert refusal(world, replace(who, token="x"))[0] == "InvalidClientTokenId"
    assert refusal(world, replace(who, secret="x" * 40))[0] == "SignatureDoesNotMatch"

    with world.store.write() as tx:
        assert purge_sessions(tx, datetime.now(UTC)) == 0
        assert purge_sessions(tx, datetime.now(UTC) + SESSION_RETENTION) == 1
        assert not tx.sessions.count() and not tx.sealed_signing_keys.count()
        assert tx.sealed_secrets.get(who.access_key_id) is None
        assert tx.sealed_secrets.get(alice.access_key_id) is not None
    assert refusal(world, who) == ("InvalidClientTokenId", 403)


def test_a_session_ends_with_its_role_and_is_not_that_of_another_of_the_name(
    world: World, role: str, alice: Credentials
) -> None:
    who = assume(world, alice, role)
    with world.store.write() as tx:
        former = tx.roles.get("on-call")
        assert former is not None
        tx.roles.delete("on-call")
    assert refusal(world, who) == ("InvalidClientTokenId", 403)
    world.change(lambda tx: tx.roles.put(replace(former, id=derived_id(Kind.ROLE, ACCOUNT, "another"))))
    assert refusal(world, who) == ("InvalidClientTokenId", 403)


def test_a_users_session_ends_with_the_user(world: World, alice: Credentials) -> None:
    who = Credentials.temporary(world.client("sts", alice).get_session_token())
    with world.store.write() as tx:
        user = tx.users.get("alice")
        assert user is not None
        tx.users.put(replace(user, id=derived_id(Kind.USER, ACCOUNT, "another")))
    assert refusal(world, who) == ("InvalidClientTokenId", 403)
    world.change(lambda tx: tx.users.delete("alice"))
    assert refusal(world, who) == ("InvalidClientTokenId", 403)


def test_sessions_end_for_good_when_their_role_or_user_is_deleted(
    world: World, role: str, alice: Credentials
) -> None:
    """One whom the fleet file makes anew has the former's id."""
    of_role = assume(world, alice, role)
    of_user = Credentials.temporary(world.client("sts", alice).get_session_token())
    iam = world.client("iam")
    with world.store.read() as tx:
        former_role, former_user = tx.roles.get("on-call"), tx.users.get("alice")
        assert former_role is not None and former_user is not None
    iam.delete_role_policy(RoleName="on-call", PolicyName="given")
    iam.delete_role(RoleName="on-call")
    iam.delete_access_key(UserName="alice", AccessKeyId=alice.access_key_id)
    iam.delete_user(UserName="alice")
    world.change(lambda tx: tx.roles.put(former_role))
    world.change(lambda tx: tx.users.put(former_user))
    for who in (of_role, of_user):
        assert refusal(world, who) == ("InvalidClientTokenId", 403)


def test_older_sessions_are_revoked_as_aws_does_it(world: World, role: str, alice: Credentials) -> None:
    """(AWS IAM User Guide, "Revoke IAM role temporary security credentials".)"""
    old = assume(world, alice, role)
    assert world.client("ec2", old).describe_vpcs()["Vpcs"]
    revoked = datetime.now(UTC) + timedelta(seconds=1)
    deny = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": f"{revoked:%Y-%m-%dT%H:%M:%SZ}"}},
    }
    world.allow_role("on-call", ALL, deny)
    assert refusal(world, old, "ec2")[0] == "UnauthorizedOperation"
    world.clock.ahead = timedelta(seconds=2)
    assert world.client("ec2", assume(world, alice, role)).describe_vpcs()["Vpcs"]


def test_a_secret_that_was_swapped_in_the_store_verifies_nothing(
    world: World, role: str, alice: Credentials
) -> None:
    one, other = assume(world, alice, role), assume(world, alice, role)
    with world.store.write() as tx:
        sealed = tx.sealed_secrets.get(one.access_key_id)
        assert sealed is not None
        tx.sealed_secrets.put(replace(sealed, access_key_id=other.access_key_id))
    forged = replace(other, secret=one.secret)
    with pytest.raises(ClientError):
        world.client("sts", forged).get_caller_identity()
    with world.store.write() as tx:
        session = tx.sessions.get(one.access_key_id)
        assert session is not None
        tx.sessions.put(replace(session, token_hash=b""))
    assert refusal(world, one) == ("InvalidClientTokenId", 403)
    assert refusal(world, replace(one, token=None)) == ("InvalidClientTokenId", 403)


def test_a_role_has_no_access_keys_and_is_not_taken_for_the_root_user(
    world: World, role: str, alice: Credentials
) -> None:
    iam = world.client("iam", assume(world, alice, role))
    calls: list[Any] = [
        iam.create_access_key,
        iam.list_access_keys,
        iam.get_user,
        lambda: iam.delete_access_key(AccessKeyId=world.root.access_key_id),
        lambda: iam.update_access_key(AccessKeyId=world.root.access_key_id, Status="Inactive"),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="Must specify userName"):
            call()
    with world.store.read() as tx:
        assert tx.access_keys.count(user_name=None) == 1


def test_a_role_s_session_is_told_why_it_was_denied_and_not_why_its_namesake_was(world: World) -> None:
    own = {"Effect": "Allow", "Action": "hatchway:ExplainDenial", "Resource": f"arn:aws:sts::{ACCOUNT}:*"}
    role = world.role("on-call", own, trust=TRUST)
    alice = world.user("alice", {**own, "Resource": ARNS.user("alice")})
    who = assume(world, alice, role, "alice")
    with pytest.raises(ClientError):
        world.client("ec2", who).describe_vpcs()
    with pytest.raises(ClientError):
        world.client("ec2", alice).describe_subnets()
    told = world.client("hatchway", who).explain_denial()["Denial"]
    assert told["PrincipalArn"] == ARNS.assumed_role("on-call", "alice")
    assert told["EventName"] == "DescribeVpcs"


# --- presigned URLs ---------------------------------------------------------------------------------------


def presigned(world: World, who: Credentials, method: str = "GET", expires: int = 60) -> str:
    client = world.client("sts", who)
    url: str = client.generate_presigned_url("get_caller_identity", ExpiresIn=expires, HttpMethod=method)
    return url


def fetch(world: World, url: str, method: str = "GET") -> tuple[int, str]:
    context = create_default_context(cafile=str(world.shared_server.ca))
    request = urllib.request.Request(url, method=method)
    try:
        with urllib.request.urlopen(request, context=context) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_presigned_get_caller_identity_tells_who_signed_it(
    world: World, role: str, alice: Credentials, method: str
) -> None:
    for who, arn in (
        (assume(world, alice, role), ARNS.assumed_role("on-call", "work")),
        (alice, ARNS.user("alice")),
    ):
        url = presigned(world, who, method)
        status, text = fetch(world, url, method)
        assert status == 200 and f"<Arn>{arn}</Arn>" in text

        status, text = fetch(world, url.replace("Action=GetCallerIdentity", "Action=GetSessionToken"), method)
        assert status == 403 and "SignatureDoesNotMatch" in text


def test_a_presigned_url_needs_the_token_of_its_session(world: World, role: str, alice: Credentials) -> None:
    one, other = assume(world, alice, role), assume(world, alice, role)
    swapped = replace(one, token=other.token)
    status, text = fetch(world, presigned(world, swapped))
    assert status == 403 and "InvalidClientTokenId" in text


def test_a_presigned_url_is_good_for_a_quarter_of_an_hour_whatever_it_says(
    world: World, alice: Credentials
) -> None:
    url = presigned(world, alice, expires=604_800)
    for minutes, status in ((19, 200), (21, 400)):
        world.clock.ahead = timedelta(minutes=minutes)
        assert fetch(world, url)[0] == status


def test_what_a_presigned_url_asks_for_is_recorded_as_any_call(world: World, alice: Credentials) -> None:
    fetch(world, presigned(world, alice))
    (event,) = world.events("GetCallerIdentity")
    assert event["userIdentity"]["userName"] == "alice"
    assert event["requestParameters"] is None
    assert "X-Amz" not in json.dumps(event)
