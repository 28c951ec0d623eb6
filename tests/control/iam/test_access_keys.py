"""Access keys, as boto3 knows them."""

import json
from functools import partial

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ARNS, Credentials, World, refused

from hatchway.audit.key_uses import KeyUses


def test_an_access_key_works_until_it_is_inactive_or_gone(world: World) -> None:
    world.user("bob")
    iam = world.client("iam")
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    assert key["UserName"] == "bob" and key["Status"] == "Active"
    assert len(key["AccessKeyId"]) == 20 and len(key["SecretAccessKey"]) == 40
    sts = world.client("sts", Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    assert sts.get_caller_identity()["Arn"].endswith(":user/bob")

    about = {"UserName": "bob", "AccessKeyId": key["AccessKeyId"]}
    iam.update_access_key(**about, Status="Inactive")
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    iam.update_access_key(**about, Status="Active")
    sts.get_caller_identity()
    iam.delete_access_key(**about)
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    with world.store.read() as tx:
        assert tx.sealed_secrets.get(key["AccessKeyId"]) is None
        assert tx.sealed_signing_keys.find(access_key_id=key["AccessKeyId"]) == []


def test_a_key_has_what_gateways_verify_with_when_it_is_told_and_so_it_has_when_it_is_active_again(
    world: World,
) -> None:
    def verified(key_id: str) -> int:
        with world.store.read() as tx:
            return tx.sealed_signing_keys.count(access_key_id=key_id)

    tunnels = {"Effect": "Allow", "Action": "ec2-instance-connect:OpenTunnel", "Resource": "*"}
    iam = world.client("iam")
    iam.create_user(UserName="bob")
    early = iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"]
    assert verified(early) == 0
    document = json.dumps({"Version": "2012-10-17", "Statement": tunnels})
    iam.put_user_policy(UserName="bob", PolicyName="tunnels", PolicyDocument=document)
    assert verified(early) == 3
    late = iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"]
    assert verified(late) == 3
    iam.update_access_key(UserName="bob", AccessKeyId=late, Status="Inactive")
    world.change(lambda tx: tx.sealed_signing_keys.delete_where(access_key_id=late))
    iam.update_access_key(UserName="bob", AccessKeyId=late, Status="Active")
    assert verified(late) == 3


def test_a_secret_is_told_once_and_recorded_nowhere(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.user("bob")
    key = world.client("iam").create_access_key(UserName="bob")["AccessKey"]
    (event,) = world.events("CreateAccessKey")
    told = event["responseElements"]["accessKey"]
    assert set(told) == {"userName", "accessKeyId", "status", "createDate"}
    assert key["SecretAccessKey"] not in json.dumps(world.events())
    output = capfd.readouterr()
    assert key["AccessKeyId"] not in output.out or key["SecretAccessKey"] not in output.out
    assert key["SecretAccessKey"] not in output.err


def test_a_user_has_at_most_two_keys_and_so_has_the_root_user(world: World) -> None:
    world.user("bob")
    iam = world.client("iam")
    iam.create_access_key(UserName="bob")
    assert refused(lambda: iam.create_access_key(UserName="bob")) == ("LimitExceeded", 409)
    second = iam.create_access_key()["AccessKey"]
    assert "UserName" not in second
    assert refused(iam.create_access_key) == ("LimitExceeded", 409)
    listed = iam.list_access_keys()["AccessKeyMetadata"]
    assert {key["AccessKeyId"] for key in listed} == {world.root.access_key_id, second["AccessKeyId"]}
    iam.delete_access_key(AccessKeyId=second["AccessKeyId"])
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 1


def test_when_a_key_was_last_used_is_told_to_who_may_know_of_its_user(world: World) -> None:
    own = {"Effect": "Allow", "Action": "iam:GetAccessKeyLastUsed", "Resource": ARNS.user("bob")}
    bob, carol = world.user("bob", own), world.user("carol")
    iam = world.client("iam", bob)
    never = iam.get_access_key_last_used(AccessKeyId=bob.access_key_id)
    assert never["UserName"] == "bob"
    assert never["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    KeyUses(world.store, world.clock).note()
    used = iam.get_access_key_last_used(AccessKeyId=bob.access_key_id)["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("iam", "us-east-1")
    event = world.events("GetAccessKeyLastUsed")[0]
    assert used["LastUsedDate"].strftime("%Y-%m-%dT%H:%M:%SZ") == event["eventTime"]

    # A stranger's key and no key at all are answered alike.
    answers = set()
    for key_id in (carol.access_key_id, world.root.access_key_id, "AKIAAAAAAAAAAAAAAAAA"):
        with pytest.raises(ClientError) as caught:
            iam.get_access_key_last_used(AccessKeyId=key_id)
        said = str(caught.value).replace(key_id, "KEY")
        answers.add(said.replace(caught.value.response["ResponseMetadata"]["RequestId"], "ID"))
    assert len(answers) == 1
    assert "AccessDenied" in answers.pop()

    all_keys = {"Effect": "Allow", "Action": "iam:GetAccessKeyLastUsed", "Resource": "*"}
    but_carols = {"Effect": "Deny", "Action": "iam:GetAccessKeyLastUsed", "Resource": ARNS.user("carol")}
    world.allow("bob", all_keys, but_carols)
    for key_id in (carol.access_key_id, "AKIAAAAAAAAAAAAAAAAA"):
        assert refused(partial(iam.get_access_key_last_used, AccessKeyId=key_id)) == ("NoSuchEntity", 404)
    roots = iam.get_access_key_last_used(AccessKeyId=world.root.access_key_id)
    assert "UserName" not in roots
