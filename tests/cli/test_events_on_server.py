"""`hatchway events` on the server itself, where nobody needs a profile: the store tells what has happened."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.audit.test_events import open_tunnel
from tests.cli.conftest import Installed

from hatchway.audit.events import Outcome
from hatchway.audit.log import to_record
from hatchway.installation.installation import open_installation
from hatchway.settings import DataDirectory

INSTANCE = "i-0123456789abcdef0"


def told(installed: Installed, *arguments: str) -> list[dict[str, Any]]:
    done = installed.run("events", "--since", "7d", "--output", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def enter(installed: Installed, event_id: str, **parts: object) -> None:
    now = datetime.now(UTC)
    made = {**open_tunnel(event_id, Outcome()), "eventTime": f"{now:%Y-%m-%dT%H:%M:%SZ}", **parts}
    with open_installation(DataDirectory(installed.directory), None) as opened, opened.store.record() as tx:
        tx.audit_records.add(to_record(made, now))


def test_the_store_tells_without_a_profile_what_has_happened(installed: Installed) -> None:
    assert "ApplyFleet" in {event["eventName"] for event in told(installed)}
    done = installed.run("events", "--since", "7d")
    assert done.returncode == 0
    assert done.stdout.startswith("TIME ")
    assert " ApplyFleet " in done.stdout


def test_a_host_is_meant_by_its_name_its_id_or_its_address(installed: Installed) -> None:
    arn = f"arn:aws:ec2:us-east-1:123456789012:instance/{INSTANCE}"
    enter(installed, "e-1", resources=[{"type": "AWS::EC2::Instance", "ARN": arn}])
    enter(installed, "e-2", requestParameters={"privateIpAddress": "127.0.40.1"})
    for host, ids in (("web-1", ["e-1"]), (INSTANCE, ["e-1"]), ("127.0.40.1", ["e-2"])):
        assert [event["eventID"] for event in told(installed, "--host", host)] == ids
    done = installed.run("events", "--host", "web-9")
    assert (done.returncode, done.stderr) == (2, "hatchway: there is no host 'web-9'\n")


def test_of_a_user_all_is_told_however_many_others_there_are_and_no_text_that_is_no_event(
    installed: Installed,
) -> None:
    enter(installed, "e-1", userIdentity={"type": "IAMUser", "userName": "bob"})
    enter(installed, "e-2", userIdentity={"type": "IAMUser", "userName": "bob"}, readOnly="no")
    assert [event["eventID"] for event in told(installed, "--user", "bob")] == ["e-1"]


def test_one_who_has_neither_a_profile_nor_the_store_is_told_of_both(installed: Installed) -> None:
    variables = {**installed.variables, "HATCHWAY_DATA_DIR": "", "AWS_PROFILE": ""}
    done = Installed(installed.directory, variables).run(
        "events", "--endpoint-url", "", "--region", "us-east-1"
    )
    assert done.returncode == 2
    assert "run this on the server, and give --data-dir DIR" in done.stderr
