"""Who proves nothing gets nothing, is told so in the service's own words, and is recorded within bounds."""

import json
import socket
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import Credentials, SharedServer, World

from hatchway.audit import refusals
from hatchway.audit.refusals import AT_ONCE
from hatchway.control.housekeeping.tasks import record_refusals
from hatchway.domain.identity import AccessKey, KeyStatus
from hatchway.transport.listening.sources import Sources

CALLS = {
    "ec2": "describe_vpcs",
    "iam": "list_users",
    "sts": "get_caller_identity",
    "ec2-instance-connect": "send_ssh_public_key",
}
ARGUMENTS = {
    "ec2-instance-connect": {
        "InstanceId": "i-0000000000000000a",
        "InstanceOSUser": "root",
        "SSHPublicKey": "k" * 80,
    }
}


def refusal(world: World, service: str, credentials: Credentials) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        getattr(world.client(service, credentials), CALLS[service])(**ARGUMENTS.get(service, {}))
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("service", "unknown_key", "wrong_secret", "expired"),
    [
        ("ec2", ("AuthFailure", 401), ("AuthFailure", 401), ("AuthFailure", 401)),
        ("iam", ("InvalidClientTokenId", 403), ("SignatureDoesNotMatch", 403), ("RequestExpired", 400)),
        ("sts", ("InvalidClientTokenId", 403), ("SignatureDoesNotMatch", 403), ("RequestExpired", 400)),
        (
            "ec2-instance-connect",
            ("InvalidClientTokenId", 403),
            ("SignatureDoesNotMatch", 403),
            ("RequestExpired", 400),
        ),
    ],
)
def test_each_service_refuses_a_bad_signature_in_its_own_words(
    world: World,
    service: str,
    unknown_key: tuple[str, int],
    wrong_secret: tuple[str, int],
    expired: tuple[str, int],
) -> None:
    assert refusal(world, service, Credentials("AKIAAAAAAAAAAAAAAAAA", "x")) == unknown_key
    assert refusal(world, service, Credentials(world.root.access_key_id, "x")) == wrong_secret
    world.clock.ahead = timedelta(minutes=6)
    assert refusal(world, service, world.root) == expired


def test_an_operation_that_nobody_signs_and_that_is_not_here_is_said_not_to_be(world: World) -> None:
    sts = world.client("sts")
    with pytest.raises(ClientError) as caught:
        sts.assume_role_with_web_identity(
            RoleArn="arn:aws:iam::123456789012:role/on-call", RoleSessionName="work", WebIdentityToken="t" * 8
        )
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidAction"
    assert "does not have the operation AssumeRoleWithWebIdentity" in error["Message"]
    (event,) = world.events()
    assert (event["eventName"], event["errorCode"]) == ("AssumeRoleWithWebIdentity", "InvalidAction")
    assert event["userIdentity"]["type"] == "Unknown"
    # Of others it is the signature that is missing.
    for action in ("GetCallerIdentity", "GetFederationToken"):
        answer = world.send(body=f"Action={action}&Version=2011-06-15".encode())
        assert (answer.status, "MissingAuthenticationToken" in answer.text) == (403, True)


def test_a_refused_stranger_is_recorded_with_what_it_claims(world: World) -> None:
    refusal(world, "iam", Credentials(world.root.access_key_id, "x"))
    (event,) = world.events()
    assert event["eventName"] == "ListUsers"
    assert event["eventSource"] == "iam.amazonaws.com"
    assert event["errorCode"] == "SignatureDoesNotMatch"
    assert event["userIdentity"] == {"type": "Unknown", "accessKeyId": world.root.access_key_id}
    assert event["requestParameters"] is None


def test_a_flood_of_strangers_fills_the_store_up_to_a_bound_and_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "UNAUTHENTICATED_PER_SECOND", 0.0)
    for _ in range(AT_ONCE + 60):
        assert world.send(body=b"Action=GetCallerIdentity&Version=2011-06-15").status == 403
    alone = len(world.events())
    assert alone == AT_ONCE
    # Those who are somebody are recorded all the same.
    world.client("sts").get_caller_identity()
    assert world.events()[-1]["userIdentity"]["type"] == "Root"
    record_refusals(world.plane)
    (summary,) = world.events("RefusedCalls")
    assert summary["userIdentity"] == {"type": "Unknown"}
    told = summary["additionalEventData"]["refusals"]
    assert alone + told["count"] == AT_ONCE + 60
    assert told["eventNames"] == {"GetCallerIdentity": told["count"]}
    assert told["errorCodes"] == {"MissingAuthenticationToken": told["count"]}


@pytest.mark.parametrize("service", CALLS)
def test_an_inactive_key_is_unknown(world: World, service: str) -> None:
    with world.store.write() as tx:
        (key,) = tx.access_keys.find()
        tx.access_keys.put(
            AccessKey(id=key.id, user_name=None, status=KeyStatus.INACTIVE, created_at=key.created_at)
        )
    assert refusal(world, service, world.root)[0] in {"InvalidClientTokenId", "AuthFailure"}


def test_a_session_token_with_a_long_term_key_is_refused(world: World) -> None:
    client = world.session.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=world.shared_server.url,
        verify=str(world.shared_server.ca),
        aws_access_key_id=world.root.access_key_id,
        aws_secret_access_key=world.root.secret,
        aws_session_token="made-up",
    )
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        client.get_caller_identity()


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"", 403, "<Code>MissingAuthenticationToken</Code>"),
        ({}, b"Action=ListUsers&Version=2010-05-08", 403, "<Code>MissingAuthenticationToken</Code>"),
        ({}, b"Action=DescribeVpcs&Version=2016-11-15", 401, "<Code>AuthFailure</Code>"),
        (
            {"X-Amz-Target": "AWSEC2InstanceConnectService.SendSSHPublicKey"},
            b"{}",
            403,
            '"__type":"MissingAuthenticationToken"',
        ),
        ({"Authorization": "Bearer hello"}, b"", 400, "<Code>IncompleteSignature</Code>"),
        ({"Authorization": "AWS4-HMAC-SHA256 Credential=a/b"}, b"", 400, "<Code>IncompleteSignature</Code>"),
    ],
)
def test_a_request_without_a_whole_signature_is_refused(
    world: World, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = world.send(headers=headers, body=body)
    assert answer.status == status
    assert code in answer.text
    assert answer.headers["x-amzn-requestid"] in answer.text or "__type" in answer.text
    (event,) = world.events()
    assert event["requestID"] == answer.headers["x-amzn-requestid"]


def test_a_signature_for_another_region_is_refused(world: World) -> None:
    answer = world.send(
        body=b"Action=GetCallerIdentity&Version=2011-06-15", service="sts", region="eu-west-1"
    )
    assert answer.status == 403
    assert "SignatureDoesNotMatch" in answer.text
    assert "scoped to region" in answer.text


@pytest.mark.parametrize("service", ["s3", "monitoring"])
def test_a_signature_for_a_service_that_is_not_here_gets_nothing_done(world: World, service: str) -> None:
    answer = world.send(body=b"Action=GetCallerIdentity&Version=2011-06-15", service=service)
    assert answer.status == 400
    assert "GetCallerIdentityResult" not in answer.text


def test_a_signature_for_one_service_does_not_reach_another(world: World) -> None:
    answer = world.send(body=b"Action=ListUsers&Version=2010-05-08", service="sts")
    assert answer.status == 400
    assert "InvalidAction" in answer.text


def test_the_signed_host_must_be_the_request_s_own(world: World) -> None:
    def other_host(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [("Host", "elsewhere.example") if name == "Host" else (name, value) for name, value in headers]

    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    assert world.send(body=body, service="sts").status == 200
    answer = world.send(body=body, service="sts", alter=other_host)
    assert answer.status == 403
    assert "SignatureDoesNotMatch" in answer.text


def test_what_a_header_says_of_the_client_s_address_is_not_believed(world: World) -> None:
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    world.send(
        body=body, headers={"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"}, service="sts"
    )
    assert world.events()[-1]["sourceIPAddress"] == "127.0.0.1"


def test_a_caller_over_ipv4_has_an_ipv4_address_where_the_server_takes_both(world: World) -> None:
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    shared_server = SharedServer(
        world.shared_server.certificate, world.shared_server.ca, Sources(time.monotonic), listener
    )
    shared_server.application = world.shared_server.application
    statement = {
        "Effect": "Allow",
        "Action": "iam:ListUsers",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceIp": "127.0.0.1"}},
    }
    try:
        replace(world, shared_server=shared_server).client("iam", world.user("alice", statement)).list_users()
    finally:
        shared_server.close()
    assert world.events()[-1]["sourceIPAddress"] == "127.0.0.1"


def test_who_is_calling_is_told_without_any_permission(world: World) -> None:
    alice = world.user("alice", {"Effect": "Deny", "Action": "*", "Resource": "*"}, path="/staff/")
    identity = world.client("sts", alice).get_caller_identity()
    assert identity["Arn"] == "arn:aws:iam::123456789012:user/staff/alice"
    assert identity["Account"] == "123456789012"
    assert identity["UserId"].startswith("AIDA")
    (event,) = world.events("GetCallerIdentity")
    assert event["readOnly"] is True
    assert event["userIdentity"] == {
        "type": "IAMUser",
        "principalId": identity["UserId"],
        "arn": identity["Arn"],
        "accountId": "123456789012",
        "accessKeyId": alice.access_key_id,
        "userName": "alice",
    }
    assert event["requestID"] == identity["ResponseMetadata"]["RequestId"]
    assert alice.secret not in json.dumps(world.events())
