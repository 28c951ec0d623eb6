"""Whatever text a caller sends, its refusal is answered in bounds and recorded; and no key fills the disk."""

import json
import os
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ACCOUNT, INSTANCE, SUBNET, SharedServer, World, world_in
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.audit import refusals
from hatchway.audit.export import Export
from hatchway.audit.log import LARGEST_OF_OTHERS
from hatchway.audit.refusals import AT_ONCE
from hatchway.control.bearer_tokens import BearerRefused
from hatchway.control.hosts.authorized_keys import authorized_keys
from hatchway.control.housekeeping.tasks import record_refusals
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.host_token import HOST_TOKEN, HostToken
from hatchway.protocol import LARGEST_REQUEST
from hatchway.store import Store

JSON = {"Content-Type": "application/x-amz-json-1.1"}
PUSH = {**JSON, "X-Amz-Target": "AWSEC2InstanceConnectService.SendSSHPublicKey"}
LIST = {**JSON, "X-Amz-Target": "Hatchway.ListTunnels"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
EC2 = b"Version=2016-11-15&Action="


HOSTILE = [
    ("ec2-instance-connect", PUSH, b'{"\\ud800": 1}', "InvalidArgsException"),
    ("ec2-instance-connect", PUSH, b'{"a\\u0000b": 1, "\\u2028": 2}', "InvalidArgsException"),
    ("ec2-instance-connect", PUSH, b'{"InstanceOSUser": "\\udfff"}', "SerializationException"),
    ("ec2-instance-connect", PUSH, b'{"InstanceOSUser": {"\\ud800": []}}', "SerializationException"),
    ("ec2-instance-connect", {**PUSH, "User-Agent": "\x85\xff"}, b"{}", "InvalidArgsException"),
    ("hatchway", LIST, b'{"NextToken": "AA=="}', "ValidationException"),
    ("hatchway", LIST, b'{"NextToken": "\\ud800"}', "SerializationException"),
    ("hatchway", LIST, b'{"PrincipalArn": "arn:\\u2028"}', "ValidationException"),
    ("ec2", FORM, EC2 + b"DescribeVpcs&%00=1", "UnknownParameter"),
    ("ec2", FORM, EC2 + b"DescribeVpcs&Filter.1.Value.1=%C2%85", "InvalidParameterValue"),
    ("ec2", FORM, EC2 + b"DescribeVpcs&VpcId.1=%E2%80%A8", "InvalidParameterValue"),
    ("ec2", FORM, EC2 + b"DescribeVpcs&NextToken=RGVzY3JpYmVWcGNzIHZwYy0A", "InvalidParameterValue"),
    ("ec2", FORM, EC2 + b"%00%C2%85%E2%80%A8", "InvalidAction"),
    ("ec2", FORM, EC2 + b"DescribeVpcs&a%00=1&a%00=2", "InvalidQueryParameter"),
    ("iam", FORM, b"Version=2010-05-08&Action=GetUser&UserName=%00", "ValidationError"),
    ("iam", FORM, b"Version=2010-05-08&Action=ListUsers&Marker=AA%3D%3D", "ValidationError"),
]


@pytest.mark.parametrize(
    ("action", "reads_only"),
    [(b"DescribeVpcs&Foo=1", True), (b"DeleteVpc&Foo=1", False), (b"Nothing", False)],
)
def test_a_call_that_cannot_be_read_is_recorded_as_what_its_operation_does(
    world: World, action: bytes, reads_only: bool
) -> None:
    assert world.send("POST", "/", FORM, EC2 + action, service="ec2").status == 400
    assert world.events()[-1]["readOnly"] is reads_only


def check_hostile_texts(world: World, audit_log: Path) -> None:
    """Each is refused, recorded, and one line of the exported log."""
    for service, headers, body, code in HOSTILE:
        answer = world.send("POST", "/", headers, body, service=service)
        assert answer.status == 400 and code in answer.text, (body, answer.text)
        event = world.events()[-1]
        assert event["errorCode"].endswith(code)
        assert event["requestID"] == answer.headers["x-amzn-requestid"]
    Export(world.store, audit_log).run()
    lines = audit_log.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == world.events()
    assert len(lines) == len(HOSTILE)


def test_a_hostile_text_is_refused_and_recorded(world: World, tmp_path: Path) -> None:
    check_hostile_texts(world, tmp_path / "audit.jsonl")


def test_a_hostile_text_is_refused_and_recorded_in_postgresql(
    shared_server: SharedServer, session: boto3.Session, tmp_path: Path
) -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        store = Store.open(server.new_database())
        store.migrate()
        with world_in(store, shared_server, session) as world:
            check_hostile_texts(world, tmp_path / "audit.jsonl")


@pytest.mark.parametrize("text", ["a\nb", "a\x85b", "a\u2028b", "a\u2029b", "a\x7fb"])
def test_tags_are_lines_whichever_service_takes_them(world: World, text: str) -> None:
    iam, ec2 = (world.client(name, parameter_validation=False) for name in ("iam", "ec2"))
    for key, value in ((text, "v"), ("k", text)):
        tags = [{"Key": key, "Value": value}]
        with pytest.raises(ClientError) as caught:
            iam.create_user(UserName="bob", Tags=tags)
        assert caught.value.response["Error"]["Code"] in {"ValidationError", "InvalidInput"}
        with pytest.raises(ClientError) as caught:
            ec2.create_instance_connect_endpoint(
                SubnetId=SUBNET,
                TagSpecifications=[{"ResourceType": "instance-connect-endpoint", "Tags": tags}],
            )
        assert caught.value.response["Error"]["Code"] == "InvalidParameterValue"


def test_a_host_cannot_ask_for_the_keys_of_a_user_that_no_database_can_hold(world: World) -> None:
    token = HOST_TOKEN.write(BearerToken(INSTANCE, os.urandom(SECRET_SIZE)))
    stored = HostToken(
        instance_id=INSTANCE, token_hash=HOST_TOKEN.hash(HOST_TOKEN.read(token)), created_at=world.clock()
    )
    with world.store.record() as tx:
        tx.host_tokens.put(stored)
    for user in ("\0", "a\x85", "\ud800", "\u2028"):
        with pytest.raises(BearerRefused) as refused:
            authorized_keys(
                world.plane,
                authorization=f"Bearer {token}",
                os_user=user,
                fingerprint="SHA256:" + "A" * 43,
            )
        assert refused.value.status == 400


def test_the_record_of_a_large_refusal_is_small_and_says_what_is_missing(world: World) -> None:
    nobody = world.user("nobody")
    document = json.dumps({"Version": "2012-10-17", "Statement": [], "x": "\u00e9" * 20_000})
    with pytest.raises(ClientError, match="AccessDenied"):
        world.client("iam", nobody).simulate_custom_policy(
            PolicyInputList=[document] * 2, ActionNames=["ec2:DescribeVpcs"]
        )
    with world.store.read() as tx:
        (record,) = tx.audit_records.find()
    assert len(record.body) < 4 * LARGEST_OF_OTHERS
    event = json.loads(record.body)
    assert event["requestParameters"]["actionNames"] == ["ec2:DescribeVpcs"]
    assert "characters left out)" in event["requestParameters"]["policyInputList"][0]


def test_the_message_for_the_caller_is_not_recorded_twice(world: World) -> None:
    nobody = world.user("nobody")
    with pytest.raises(ClientError) as caught:
        world.client("ec2", nobody).describe_vpcs()
    sent = caught.value.response["Error"]["Message"]
    (event,) = world.events()
    sentence = sent.partition("message: ")[0].replace(f" (request id {event['requestID']})", "")
    assert event["errorMessage"] == sentence + "message: (see additionalEventData)"
    assert event["additionalEventData"]["decision"]["checks"]


@pytest.fixture
def no_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, what is beyond the first is counted."""
    monkeypatch.setattr(refusals, "PER_SECOND", 0.0)
    monkeypatch.setattr(refusals, "UNAUTHENTICATED_PER_SECOND", 0.0)


@pytest.mark.usefixtures("no_rate")
def test_one_principal_s_refusals_fill_the_store_up_to_a_bound_and_all_are_counted(world: World) -> None:
    nobody = world.client("sts", world.user("nobody"))
    reader = world.client("sts", world.user("reader"))

    def denied() -> None:
        with pytest.raises(ClientError):
            nobody.decode_authorization_message(EncodedMessage="x")

    for _ in range(AT_ONCE + 40):
        denied()
    alone = len(world.events("DecodeAuthorizationMessage"))
    assert alone == AT_ONCE
    # What succeeds is recorded, and so is what another is refused.
    nobody.get_caller_identity()
    with pytest.raises(ClientError):
        reader.decode_authorization_message(EncodedMessage="x")
    assert len(world.events()) == alone + 2
    record_refusals(world.plane)
    record_refusals(world.plane)
    (summary,) = world.events("RefusedCalls")
    assert summary["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/nobody"
    told = summary["additionalEventData"]["refusals"]
    assert alone + told["count"] == AT_ONCE + 40
    assert told["errorCodes"] == {"AccessDenied": told["count"]}


@pytest.mark.usefixtures("no_rate")
def test_counts_that_cannot_be_written_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(AT_ONCE + 5):
        world.send(body=b"")

    def full() -> Any:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="full"):
        patch.setattr(world.store, "record", full)
        record_refusals(world.plane)
    record_refusals(world.plane)
    (summary,) = world.events("RefusedCalls")
    count = summary["additionalEventData"]["refusals"]["count"]
    assert len(world.events()) - 1 + count == AT_ONCE + 5


def test_a_request_that_nobody_looks_into_is_counted(world: World) -> None:
    assert world.send(body=bytes(LARGEST_REQUEST + 1)).status == 413
    record_refusals(world.plane)
    (summary,) = world.events()
    told = summary["additionalEventData"]["refusals"]
    assert (told["count"], told["errorCodes"]) == (1, {"RequestEntityTooLarge": 1})
