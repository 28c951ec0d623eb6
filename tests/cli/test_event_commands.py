"""`hatchway events`: what has happened, read through the API with ordinary credentials."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import structlog
from botocore.exceptions import ClientError
from tests.cli.in_process import Ran, run
from tests.control.conftest import empty_database, session, shared_server  # noqa: F401
from tests.control.harness import ACCOUNT, INSTANCE, REGION, Credentials, SharedServer, World, new_world

from hatchway.audit.events import ENDPOINT_RESOURCE_TYPE, INSTANCE_RESOURCE_TYPE, EventSource, Outcome, event
from hatchway.audit.log import to_record
from hatchway.client.api.events import LATE, Sought, Trail
from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.store.trail import audit_rows

ENDPOINT = "eice-0123456789abcdef0"
ALICE = {
    "type": "IAMUser",
    "userName": "alice",
    "arn": f"arn:aws:iam::{ACCOUNT}:user/staff/alice",
    "accessKeyId": "AKIAALICE",
}
DENIED = {
    "outcome": "implicitDeny",
    "layer": "identity",
    "action": "ec2-instance-connect:OpenTunnel",
    "resources": [ENDPOINT],
    "denyAlso": [],
    "layers": [],
    "deciding": [],
    "applied": [],
    "nearMisses": [
        {
            "policy": "connect",
            "layer": "identity",
            "sid": "Ssh",
            "index": 0,
            "effect": "Allow",
            "element": "Condition NumericEquals ec2-instance-connect:remotePort",
            "request": ["3389"],
            "expected": ["22"],
            "note": "",
        }
    ],
    "named": None,
}
AUDITOR = [
    {"Effect": "Allow", "Action": ["cloudtrail:LookupEvents", "ec2:DescribeInstances"], "Resource": "*"},
]


@pytest.fixture(scope="module")
def world(
    shared_server: SharedServer,  # noqa: F811
    empty_database: Path,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    session: boto3.Session,  # noqa: F811
) -> Iterator[World]:
    # The server's log goes to the standard output of this process, which is the command's too.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with new_world(shared_server, empty_database, tmp_path_factory.mktemp("events"), session) as world:
        yield world
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def auditor(world: World) -> Credentials:
    return world.user("auditor", *AUDITOR)


@pytest.fixture(scope="module")
def told(world: World, auditor: Credentials) -> None:
    """Two hours of tunnels, an hour ago and before, and a hostile one."""
    now = datetime.now(UTC)
    tunnel(world, now - timedelta(hours=3), "opened before")
    tunnel(world, now - timedelta(minutes=40), "opened", port="22")
    refusal = Outcome(
        error_code="AccessDeniedException",
        error_message="User: … is not authorized",
        additional={"decision": {"checks": [DENIED]}},
    )
    tunnel(world, now - timedelta(minutes=30), "refused", port="3389", outcome=refusal)
    unreachable = Outcome(additional={"network": "no rule of sg-1 lets it through"})
    tunnel(world, now - timedelta(minutes=20), "unreachable", outcome=unreachable, address="10.0.1.9")
    hostile = {**ALICE, "userName": "mallory\x1b[2J\n", "arn": "arn:\x1b]0;x\x07"}
    tunnel(world, now - timedelta(minutes=10), "hostile", identity=hostile, address="\x1b[31m10.0.1.1")


def tunnel(
    world: World,
    time: datetime,
    request_id: str,
    *,
    port: str = "22",
    address: str = "10.0.1.1",
    outcome: Outcome | None = None,
    identity: dict[str, str] = ALICE,
    event_id: str | None = None,
) -> None:
    source = EventSource(
        account=ACCOUNT,
        region=REGION,
        event_source="ec2-instance-connect.amazonaws.com",
        request_id=request_id,
        source_ip="192.0.2.7",
        user_agent="aws-cli",
        user_identity=identity,
    )
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
    instance = ((f"{arn}:instance/{INSTANCE}", INSTANCE_RESOURCE_TYPE),) if address == "10.0.1.1" else ()
    body = event(
        source,
        event_id=event_id or str(uuid.uuid4()),
        time=time,
        name="OpenTunnel",
        read_only=False,
        request_parameters={
            "instanceConnectEndpointId": ENDPOINT,
            "remotePort": port,
            "privateIpAddress": address,
        },
        outcome=outcome or Outcome(additional={"tunnelId": "tun-1"}),
        resources=((f"{arn}:instance-connect-endpoint/{ENDPOINT}", ENDPOINT_RESOURCE_TYPE), *instance),
    )
    with world.store.record() as tx:
        tx.audit_records.add(to_record(body, time))


def variables(world: World, who: Credentials) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": world.shared_server.url,
        "AWS_CA_BUNDLE": str(world.shared_server.ca),
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": who.access_key_id,
        "AWS_SECRET_ACCESS_KEY": who.secret,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@pytest.fixture
def events(world: World, auditor: Credentials, told: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in variables(world, auditor).items():
        monkeypatch.setenv(name, value)

    def ask(*arguments: str) -> Ran:
        return run("events", *arguments)

    return ask


def request_ids(ran: Ran) -> list[str]:
    assert ran.code == 0, ran.errors
    return [json.loads(line)["requestID"] for line in ran.output.splitlines()]


def test_people_read_who_did_what_where_what_came_of_it_and_why_not(events: Any) -> None:
    ran = events("--user", "alice")
    assert ran.code == 0, ran.errors
    lines = [line.split(None, 2)[2].split("  ") for line in ran.output.splitlines()[1:]]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert ran.output.split()[:6] == ["TIME", "WHO", "WHAT", "ON", "OUTCOME", "WHY"]
    assert rows == [
        ["alice", "OpenTunnel", f"{INSTANCE}:22 by {ENDPOINT}", "ok"],
        [
            "alice",
            "OpenTunnel",
            f"{INSTANCE}:3389 by {ENDPOINT}",
            "denied",
            "connect Ssh does not allow ec2-instance-connect:OpenTunnel: Condition NumericEquals"
            " ec2-instance-connect:remotePort: request 3389, policy 22",
        ],
        [
            "alice",
            "OpenTunnel",
            f"10.0.1.9:22 by {ENDPOINT}",
            "denied",
            "the network: no rule of sg-1 lets it through",
        ],
    ]


def test_a_terminal_is_told_no_orders_by_names(events: Any) -> None:
    ran = events()
    assert "\\u001b[2J\\n" in ran.output and "\\u001b[31m10.0.1.1" in ran.output
    assert all(line.isprintable() for line in ran.output.splitlines())


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--user", "alice", "--since", "4h"], ["opened before", "opened", "refused", "unreachable"]),
        (["--user", str(ALICE["arn"])], ["opened", "refused", "unreachable"]),
        (["--user", f"arn:aws:iam::{ACCOUNT}:user/alice"], []),
        (["--user", "bob"], []),
        (["--user", "alice", "--outcome", "denied"], ["refused", "unreachable"]),
        (["--user", "alice", "--outcome", "ok"], ["opened"]),
        (["--user", "alice", "--limit", "1"], ["unreachable"]),
        (["--host", INSTANCE], ["opened", "refused"]),
        (["--instance", "web-1"], ["opened", "refused"]),
        (["--host", "10.0.1.9"], ["unreachable"]),
        (["--host", ENDPOINT, "--outcome", "denied"], ["refused", "unreachable"]),
        (["--host", "web-1", "--user", "alice", "--outcome", "denied"], ["refused"]),
    ],
)
def test_events_are_chosen_by_person_host_outcome_and_time(
    events: Any, arguments: list[str], found: list[str]
) -> None:
    assert request_ids(events("--output", "json", *arguments)) == found


def test_more_than_the_limit_is_said_to_be_left_out(events: Any) -> None:
    assert "only the newest 2" in events("--user", "alice", "--limit", "2").errors
    assert events("--user", "alice", "--limit", "3").errors == ""


@pytest.mark.parametrize("since", ["yesterday", "2x", "-1h", "999999d", "2026-13-01"])
def test_a_time_that_is_none_is_refused(events: Any, since: str) -> None:
    ran = events("--since", since)
    assert ran.code == 2
    assert "give a span such as 30m" in ran.errors


def test_the_beginning_of_several_hosts_ids_is_told_with_them(events: Any) -> None:
    ran = events("--host", INSTANCE[:-2])
    assert (ran.code, ran.output) == (1, "")
    assert f"may be any of 2 hosts, {INSTANCE} at" in ran.errors


def test_an_unknown_host_and_a_lacking_permission_are_one_line_each(
    events: Any, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = events("--host", "web-9")
    assert (ran.code, len(ran.errors.splitlines())) == (1, 1)
    assert "there is no host 'web-9'" in ran.errors
    nobody = world.user("nobody")
    for name, value in variables(world, nobody).items():
        monkeypatch.setenv(name, value)
    ran = events()
    assert (ran.code, len(ran.errors.splitlines())) == (1, 1)
    assert "LookupEvents: AccessDeniedException" in ran.errors


def trail(world: World, who: Credentials, monkeypatch: pytest.MonkeyPatch, sought: Sought) -> Trail:
    for name, value in variables(world, who).items():
        monkeypatch.setenv(name, value)
    return Trail(Profile(ProfileOptions()).api("cloudtrail"), sought)


def test_each_new_event_is_told_once_also_one_that_comes_late_and_none_of_one_s_own_lookups(
    world: World, auditor: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = trail(world, auditor, monkeypatch, Sought())
    now = datetime.now(UTC)
    tunnel(world, now - timedelta(seconds=3), "seen before")
    seen, _ = following.newest(now, now - timedelta(seconds=10), 100)
    assert "seen before" in [each["requestID"] for each in seen]
    told: list[str] = []
    for step in range(6):
        if step == 1:
            for number in range(120):
                tunnel(world, now + timedelta(milliseconds=number), f"many {number}")
        if step == 3:
            # Committed after others that are later.
            tunnel(world, now - timedelta(seconds=2), "late")
        told += [e["requestID"] for e in following.new(datetime.now(UTC) + step * timedelta(seconds=31))]
    assert sorted(told) == sorted([*(f"many {number}" for number in range(120)), "late"])


def test_a_new_event_is_told_at_once_also_behind_pages_that_have_none(
    world: World, auditor: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = trail(world, auditor, monkeypatch, Sought(user="erin"))
    now = datetime.now(UTC)
    assert following.new(now) == []
    monkeypatch.setattr(audit_rows, "_LOOKED_THROUGH", 4)
    tunnel(world, now, "erin's", identity={**ALICE, "userName": "erin"})
    for number in range(10):
        tunnel(world, now + timedelta(milliseconds=number + 1), f"after erin's {number}")
    assert [each["requestID"] for each in following.new(now)] == ["erin's"]


def test_what_was_left_out_by_the_limit_is_not_told_as_new(
    world: World, auditor: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    carol = {**ALICE, "userName": "carol"}
    now = datetime.now(UTC)
    for number in range(5):
        tunnel(world, now - number * timedelta(seconds=10), f"carol {number}", identity=carol)
    following = trail(world, auditor, monkeypatch, Sought(user="carol"))
    seen, more = following.newest(now, now - LATE, 2)
    assert ([each["requestID"] for each in seen], more) == (["carol 1", "carol 0"], True)
    assert following.new(now) == []


def test_following_goes_on_until_it_is_stopped(world: World, auditor: Credentials) -> None:
    command = [sys.executable, "-m", "hatchway", "events", "--user", "dave", "--follow", "--output", "json"]
    environment = {**os.environ, **variables(world, auditor)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        dave = {**ALICE, "userName": "dave"}
        tunnel(world, datetime.now(UTC), "first", identity=dave)
        try:
            assert json.loads(following.stdout.readline())["requestID"] == "first"
            tunnel(world, datetime.now(UTC), "second", identity=dave)
            assert json.loads(following.stdout.readline())["requestID"] == "second"
        finally:
            following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130


def test_a_call_that_policies_allowed_and_that_failed_has_failed(events: Any, world: World) -> None:
    with pytest.raises(ClientError):
        world.client("iam").delete_user(UserName="nobody-there")
    ran = events("--user", "root", "--outcome", "failed")
    assert "NoSuchEntity: The user with name nobody-there cannot be found." in ran.output
