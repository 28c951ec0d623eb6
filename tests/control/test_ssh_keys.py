"""A pushed key works on its host, for its user, for 60 seconds; and nobody else's host learns of it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.control.harness import ARNS, INSTANCE, STOPPED_INSTANCE, World

from hatchway.control import instance_connect
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.host_token import HOST_TOKEN, HostToken
from hatchway.domain.public_key import parse_public_key
from hatchway.store import Store, StoreBusy


def new_key(comment: str = " me@here") -> str:
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode() + comment


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII/UQTo0IOgqf08pw8nQ30OHuyubH0fE2z5xb/DMbl1X me@here"
FINGERPRINT = parse_public_key(KEY).fingerprint


def push(client: Any, **changes: Any) -> Any:
    parameters = {"InstanceId": INSTANCE, "InstanceOSUser": "ami-username", "SSHPublicKey": KEY}
    return client.send_ssh_public_key(**(parameters | changes))


def refused(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def enrolled(world: World, instance_id: str = INSTANCE) -> str:
    """The token of a host that was enrolled just now."""
    token = HOST_TOKEN.write(BearerToken(instance_id, os.urandom(SECRET_SIZE)))
    row = HostToken(
        instance_id=instance_id,
        token_hash=HOST_TOKEN.hash(HOST_TOKEN.read(token)),
        created_at=world.clock(),
    )
    world.change(lambda tx: tx.host_tokens.put(row))
    return token


def announced(world: World) -> str:
    """A newer token of a host that was enrolled before."""
    token = HOST_TOKEN.write(BearerToken(INSTANCE, os.urandom(SECRET_SIZE)))
    with world.store.read() as tx:
        stored = tx.host_tokens.get(INSTANCE)
    assert stored is not None
    row = replace(stored, next_hash=HOST_TOKEN.hash(HOST_TOKEN.read(token)))
    world.change(lambda tx: tx.host_tokens.put(row))
    return token


def ask(
    world: World,
    token: str | None,
    user: str = "ami-username",
    fingerprint: str = FINGERPRINT,
    more: str = "",
) -> tuple[int, str]:
    query = f"user={quote(user, safe='')}&fingerprint={quote(fingerprint, safe='')}{more}"
    target = f"/host/v1/authorized-keys?{query}"
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = world.send("GET", target, headers)
    return answer.status, answer.text


def test_a_key_lets_its_user_in_for_60_seconds(world: World) -> None:
    token = enrolled(world)
    assert ask(world, token) == (200, "")
    answer = push(world.client("ec2-instance-connect"))
    assert answer["Success"] is True
    assert answer["RequestId"] == answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    # The comment is the pusher's own words: it goes no further. For the host's log there is who it is.
    assert ask(world, token) == (200, f"{KEY.removesuffix(' me@here')} {ARNS.root}\n")
    world.clock.ahead = timedelta(seconds=58)
    assert ask(world, token)[1] != ""
    world.clock.ahead = timedelta(seconds=61)
    assert ask(world, token) == (200, "")


def test_a_host_gets_its_own_keys_of_that_user_and_fingerprint_only(world: World) -> None:
    own, other = enrolled(world), enrolled(world, STOPPED_INSTANCE)
    push(world.client("ec2-instance-connect"))
    assert ask(world, other) == (200, "")
    assert ask(world, own, user="root") == (200, "")
    assert ask(world, own, fingerprint=parse_public_key(new_key()).fingerprint) == (200, "")
    assert ask(world, own)[1] != ""


def test_a_token_that_is_not_in_force_gets_nothing(world: World) -> None:
    push(world.client("ec2-instance-connect"))
    old = enrolled(world)
    new = enrolled(world)
    forged = HOST_TOKEN.write(BearerToken(INSTANCE, bytes(SECRET_SIZE)))
    unknown = HOST_TOKEN.write(BearerToken("i-0000000000000000f", bytes(SECRET_SIZE)))
    for token in (None, "", "x", old, forged, unknown, new + "x", "é" * 50):
        status, text = ask(world, token)
        assert status == 401, token
        assert "ssh-" not in text
    for header in (new, f"Basic {new}", f"Bearer  {new}"):
        answer = world.send("GET", "/host/v1/authorized-keys", {"Authorization": header})
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert ask(world, new)[0] == 200
    world.change(lambda tx: tx.instances.delete(INSTANCE))
    assert ask(world, new)[0] == 401


def test_a_host_s_former_token_is_good_until_the_new_one_is_used(world: World) -> None:
    push(world.client("ec2-instance-connect"))
    old, unused, new = enrolled(world), announced(world), announced(world)
    assert ask(world, unused)[0] == 401
    assert ask(world, new, more="&trial=yes") == (200, "")
    assert ask(world, old)[1] != ""
    assert world.events("ReplaceHostToken") == []
    assert ask(world, new)[1] != ""
    assert ask(world, old)[0] == 401
    assert ask(world, new)[1] != ""
    (event,) = world.events("ReplaceHostToken")
    assert event["requestParameters"] == {"instanceId": INSTANCE}
    assert event["resources"][0]["ARN"] == ARNS.instance(INSTANCE)


def test_a_host_has_its_answer_when_the_store_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(world.client("ec2-instance-connect"))
    old, new = enrolled(world), announced(world)

    def full() -> None:
        raise StoreBusy("full")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "write", lambda _store: full())
        assert ask(world, new)[1] != ""
    assert ask(world, old)[0] == 200
    assert ask(world, new)[0] == 200
    assert ask(world, old)[0] == 401


@pytest.mark.parametrize(
    ("user", "fingerprint"),
    [
        ("", FINGERPRINT),
        ("x" * 65, FINGERPRINT),
        ("a", ""),
        ("a", "MD5:00"),
        ("a", "SHA256:*"),
        ("a", "x" * 9999),
    ],
)
def test_a_host_asks_as_sshd_does_or_not_at_all(world: World, user: str, fingerprint: str) -> None:
    assert ask(world, enrolled(world), user, fingerprint)[0] == 400


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"InstanceId": "i-0000000000000000f"}, "EC2InstanceNotFoundException"),
        ({"InstanceId": STOPPED_INSTANCE}, "EC2InstanceStateInvalidException"),
        ({"InstanceId": "host-1"}, "InvalidArgsException"),
        ({"InstanceOSUser": "a b"}, "InvalidArgsException"),
        ({"InstanceOSUser": "-oProxyCommand=x"}, "InvalidArgsException"),
        ({"InstanceOSUser": "x" * 33}, "InvalidArgsException"),
        ({"SSHPublicKey": "ssh-ed25519 AAAA"}, "InvalidArgsException"),
        ({"SSHPublicKey": "ssh-ed25519 " + "A" * 100}, "InvalidArgsException"),
        ({"SSHPublicKey": 'command="id" ' + KEY}, "InvalidArgsException"),
        ({"SSHPublicKey": KEY + "\n" + KEY}, "InvalidArgsException"),
        ({"SSHPublicKey": "k" * 4097}, "InvalidArgsException"),
        ({"AvailabilityZone": "x"}, "InvalidArgsException"),
    ],
)
def test_a_push_that_cannot_be_is_refused(world: World, changes: Mapping[str, str], code: str) -> None:
    client = world.client("ec2-instance-connect", parameter_validation=False)
    assert refused(lambda: push(client, **changes)) == (code, 400)
    with world.store.read() as tx:
        assert tx.pushed_keys.count() == 0
    (event,) = world.events("SendSSHPublicKey")
    assert event["errorCode"] == code


OS_USER = {
    "Effect": "Allow",
    "Action": "ec2-instance-connect:SendSSHPublicKey",
    "Resource": "*",
    "Condition": {"StringEquals": {"ec2:osuser": "ami-username"}},
}


def test_an_availability_zone_that_is_named_must_be_the_instance_s(world: World) -> None:
    client = world.client("ec2-instance-connect")
    assert push(client, AvailabilityZone="us-east-1a")["Success"]
    elsewhere = refused(lambda: push(client, AvailabilityZone="us-east-1f"))
    assert elsewhere[0] == "EC2InstanceNotFoundException"


def test_a_policy_for_one_os_user_takes_that_user_s_key_and_refuses_root_s(world: World) -> None:
    client = world.client("ec2-instance-connect", world.user("alice", OS_USER))
    assert push(client)["Success"]
    with pytest.raises(ClientError) as caught:
        push(client, InstanceOSUser="root")
    assert caught.value.response["Error"] == {
        "Code": "AuthException",
        "Message": "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: "
        f"ec2-instance-connect:SendSSHPublicKey on resource: {ARNS.instance(INSTANCE)} because no "
        "identity-based policy allows the ec2-instance-connect:SendSSHPublicKey action"
        f" (request id {caught.value.response['ResponseMetadata']['RequestId']})",
    }
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    allowed, denied = world.events("SendSSHPublicKey")
    assert allowed["requestParameters"] == {
        "instanceId": INSTANCE,
        "instanceOSUser": "ami-username",
        "sSHPublicKey": KEY,
    }
    assert allowed["resources"][0]["ARN"] == ARNS.instance(INSTANCE)
    assert denied["errorCode"] == "AccessDenied"
    (miss,) = denied["additionalEventData"]["decision"]["checks"][0]["nearMisses"]
    assert "ec2:osuser" in miss["why"]


@pytest.mark.parametrize(
    ("changes", "allowed"),
    [
        ({"Resource": ARNS.instance(INSTANCE)}, True),
        ({"Resource": ARNS.instance(STOPPED_INSTANCE)}, False),
        ({"Condition": {"StringEquals": {"aws:ResourceTag/env": "dev"}}}, True),
        ({"Condition": {"StringEquals": {"ec2:ResourceTag/env": "prod"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}, False),
    ],
)
def test_policies_restrict_who_pushes_where_and_from_where(
    world: World, changes: Mapping[str, Any], allowed: bool
) -> None:
    client = world.client("ec2-instance-connect", world.user("alice", {**OS_USER, **changes}))
    if allowed:
        assert push(client)["Success"]
    else:
        assert refused(lambda: push(client)) == ("AuthException", 403)
        assert refused(lambda: push(client, InstanceId="i-0000000000000000f")) == ("AuthException", 403)


def test_one_user_of_one_host_has_so_many_keys_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance_connect, "MOST_KEYS", 3)
    client = world.client("ec2-instance-connect")
    for _ in range(2):
        push(client, SSHPublicKey=new_key())
    push(client)
    push(client)  # The same key again is the same key.
    assert refused(lambda: push(client, SSHPublicKey=new_key())) == ("ThrottlingException", 400)
    push(client, SSHPublicKey=new_key(), InstanceOSUser="root")
    with world.store.write() as tx:
        for key in tx.pushed_keys.find():
            tx.pushed_keys.put(replace(key, expires_at=world.clock()))
    push(client, SSHPublicKey=new_key())
