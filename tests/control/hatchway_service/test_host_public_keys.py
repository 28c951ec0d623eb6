"""A host says itself which keys it has; nobody else says it, and everybody who may see the host reads it."""

import base64
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.control.harness import ARNS, INSTANCE, STOPPED_INSTANCE, Answer, World
from tests.control.hatchway_service.refusals import allow, refused
from tests.control.test_ssh_keys import announced, ask, enrolled, new_key
from tests.programs import needs

from hatchway.control.hosts.key_reports import LARGEST_REPORT, PAUSE
from hatchway.domain.public_key import parse_public_key
from hatchway.domain.ssh_key import MOST_HOST_KEYS


def report(world: World, token: str | None, *keys: str) -> Answer:
    headers = {} if token is None else {"Authorization": f"Bearer {token}", "User-Agent": "curl/8"}
    return world.send("POST", "/host/v1/host-keys", headers, "".join(f"{key}\n" for key in keys).encode())


def known(world: World, *instance_ids: str) -> list[tuple[str, list[str]]]:
    answer = world.client("hatchway").describe_host_keys(InstanceIds=list(instance_ids or [INSTANCE]))
    return [(each["InstanceId"], each["PublicKeys"]) for each in answer["HostKeys"]]


def bare(key: str) -> str:
    return " ".join(key.split()[:2])


def test_a_host_s_keys_are_those_that_it_reported_last(world: World) -> None:
    token, first, second = enrolled(world), new_key(), new_key("")
    assert known(world) == []
    answer = report(world, token, first)
    assert (answer.status, answer.text) == (200, parse_public_key(first).fingerprint + "\n")
    assert known(world) == [(INSTANCE, [bare(first)])]
    world.clock.ahead = PAUSE
    assert report(world, token, first).status == 200
    assert report(world, token, second, first).status == 200
    assert known(world) == [(INSTANCE, [second, bare(first)])]
    # What did not change is no event.
    latest, earliest = world.events("ReportHostKeys")[::-1]
    fingerprints = [parse_public_key(key).fingerprint for key in (second, first)]
    assert earliest["requestParameters"] == {"instanceId": INSTANCE, "fingerprints": fingerprints[1:]}
    assert earliest["responseElements"] == {"formerFingerprints": []}
    assert latest["requestParameters"]["fingerprints"] == fingerprints
    assert latest["responseElements"] == {"formerFingerprints": fingerprints[1:]}
    assert latest["resources"][0]["ARN"] == ARNS.instance(INSTANCE)
    assert (latest["sourceIPAddress"], latest["userAgent"]) == ("127.0.0.1", "curl/8")
    assert token not in json.dumps(world.events())


def test_a_host_speaks_of_itself_alone(world: World) -> None:
    own, other = new_key(""), new_key("")
    report(world, enrolled(world), own)
    report(world, enrolled(world, STOPPED_INSTANCE), other)
    assert known(world, STOPPED_INSTANCE, INSTANCE, STOPPED_INSTANCE, "i-0000000000000000f") == sorted(
        [(INSTANCE, [own]), (STOPPED_INSTANCE, [other])]
    )


def test_who_has_no_good_token_reports_nothing(world: World) -> None:
    old, token = enrolled(world), enrolled(world)
    for wrong in (None, "x", old, token + "x"):
        answer = report(world, wrong, new_key())
        assert answer.status == 401, wrong
        assert answer.headers["www-authenticate"] == "Bearer"
    assert known(world) == []


def test_a_report_with_the_next_token_ends_the_former(world: World) -> None:
    old, new = enrolled(world), announced(world)
    assert report(world, new, new_key()).status == 200
    assert [ask(world, each)[0] for each in (old, new)] == [401, 200]


@needs("ssh-keygen", "openssh-client")
def test_keys_that_no_client_checks_are_passed_over(world: World, tmp_path: Path) -> None:
    weak = tmp_path / "weak"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", str(weak)], check=True, timeout=60
    )
    blob = b"".join(
        len(part).to_bytes(4, "big") + part for part in (b"sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:")
    )
    on_security_key = f"sk-ssh-ed25519@openssh.com {base64.b64encode(blob).decode()}"
    parse_public_key(on_security_key)
    key, others = new_key(), [weak.with_suffix(".pub").read_text().strip(), on_security_key, "ssh-dss AAAA"]
    token = enrolled(world)
    for nothing in (others, [], ["é"], [new_key() for _ in range(MOST_HOST_KEYS + 1)]):
        assert report(world, token, *nothing).status == 400
    assert report(world, token, "x" * LARGEST_REPORT).status == 413
    assert known(world) == []
    assert report(world, token, *others, key, key).status == 200
    assert known(world) == [(INSTANCE, [bare(key)])]


def test_a_host_changes_its_keys_so_often_and_no_more(world: World) -> None:
    token, first = enrolled(world), new_key("")
    report(world, token, first)
    with world.store.write():
        # Who reports too often waits for no lock, nor anybody for him.
        assert report(world, token, new_key()).status == 429
    assert known(world) == [(INSTANCE, [first])]
    world.clock.ahead = PAUSE + timedelta(seconds=1)
    assert report(world, token, new_key()).status == 200


def test_a_host_that_is_taken_out_has_no_keys(world: World) -> None:
    report(world, enrolled(world), new_key())
    world.client("hatchway").deregister_instance(InstanceId=INSTANCE)
    assert known(world) == []


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([allow("ec2:DescribeInstances")], True),
        ([allow("hatchway:DescribeHostKeys")], False),
        ([allow("*"), {**allow("hatchway:DescribeHostKeys"), "Effect": "Deny"}], False),
        (
            [
                allow("*"),
                {**allow("hatchway:DescribeHostKeys", resource=ARNS.instance(INSTANCE)), "Effect": "Deny"},
            ],
            False,
        ),
        (
            [
                allow("*"),
                {
                    **allow(
                        "hatchway:DescribeHostKeys", StringEquals={"aws:ResourceTag/env": ["dev", "prod"]}
                    ),
                    "Effect": "Deny",
                },
            ],
            False,
        ),
        (
            [
                allow("*"),
                {
                    **allow("hatchway:DescribeHostKeys", resource=ARNS.instance(STOPPED_INSTANCE)),
                    "Effect": "Deny",
                },
            ],
            True,
        ),
    ],
)
def test_who_may_describe_instances_reads_their_keys_unless_it_is_denied(
    world: World, statements: list[Any], allowed: bool
) -> None:
    report(world, enrolled(world), new_key())
    client = world.client("hatchway", world.user("alice", *statements))
    if allowed:
        assert client.describe_host_keys(InstanceIds=[INSTANCE])["HostKeys"]
    else:
        refused(lambda: client.describe_host_keys(InstanceIds=[INSTANCE]), "AccessDeniedException")
