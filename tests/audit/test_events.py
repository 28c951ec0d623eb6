"""An OpenTunnel event has the shape that CloudTrail gives it, and every event reaches the JSON lines."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event as sqlalchemy_event
from tests.store.migrated import new_sqlite_store

from hatchway.audit.events import ENDPOINT_RESOURCE_TYPE, EventSource, Outcome, event, event_time
from hatchway.audit.export import Export, FileNotWritten
from hatchway.audit.log import to_record
from hatchway.store import LeadershipLost, Store, Transaction, explain
from hatchway.store.trail.audit_rows import AuditRows
from hatchway.store.trail.event_bodies import Found

NOW = datetime(2026, 11, 24, 6, 17, 23, 500_000, tzinfo=UTC)
ENDPOINT_ARN = "arn:aws:ec2:us-east-1:123456789012:instance-connect-endpoint/eice-0123456789abcdef0"
ALICE = {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/alice", "userName": "alice"}
SOURCE = EventSource(
    account="123456789012",
    region="us-east-1",
    event_source="ec2-instance-connect.amazonaws.com",
    request_id="11111111-2222-3333-4444-555555555555",
    source_ip="192.0.2.7",
    user_agent="aws-cli/2.36",
    user_identity=ALICE,
)


def test_a_moment_of_any_time_zone_is_told_in_utc_to_the_second() -> None:
    assert event_time(NOW.astimezone(timezone(timedelta(hours=5)))) == "2026-11-24T06:17:23Z"


@given(st.datetimes(timezones=st.just(UTC)))
def test_whatever_moment_it_is_it_is_told_as_iso_8601_has_it(moment: datetime) -> None:
    assert event_time(moment) == moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def open_tunnel(event_id: str, outcome: Outcome) -> dict[str, Any]:
    return event(
        SOURCE,
        event_id=event_id,
        time=NOW,
        name="OpenTunnel",
        read_only=False,
        request_parameters={"remotePort": "22"},
        outcome=outcome,
        resources=((ENDPOINT_ARN, ENDPOINT_RESOURCE_TYPE),),
    )


def test_an_open_tunnel_event_has_cloudtrails_fields() -> None:
    assert open_tunnel("e-1", Outcome(additional={"authorization": {}} | {"tunnelId": "t-1"})) == {
        "eventVersion": "1.08",
        "userIdentity": ALICE,
        "eventTime": "2026-11-24T06:17:23Z",
        "eventSource": "ec2-instance-connect.amazonaws.com",
        "eventName": "OpenTunnel",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/2.36",
        "requestParameters": {"remotePort": "22"},
        "responseElements": None,
        "additionalEventData": {"authorization": {}, "tunnelId": "t-1"},
        "requestID": "11111111-2222-3333-4444-555555555555",
        "eventID": "e-1",
        "readOnly": False,
        "resources": [
            {
                "accountId": "123456789012",
                "type": "AWS::EC2::InstanceConnectEndpoint",
                "ARN": ENDPOINT_ARN,
            }
        ],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "123456789012",
        "eventCategory": "Management",
    }


def test_a_refused_call_says_so_and_an_allowed_one_has_no_error() -> None:
    refused = open_tunnel("e-1", Outcome(error_code="AccessDenied", error_message="User: …"))
    assert (refused["errorCode"], refused["errorMessage"]) == ("AccessDenied", "User: …")
    assert "errorCode" not in open_tunnel("e-2", Outcome())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = new_sqlite_store(tmp_path / "hatchway.db")
    yield opened
    opened.close()


def record(store: Store, count: int, start: int = 0) -> None:
    with store.record() as tx:
        for number in range(start, start + count):
            made = open_tunnel(f"e-{number:05}", Outcome())
            tx.audit_records.put(to_record(made, NOW + timedelta(milliseconds=number)))


def test_every_event_is_written_once_and_in_order(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    record(store, 2500)
    assert Export(store, path).run() == 2500
    assert Export(store, path).run() == 0
    record(store, 3, start=2500)
    assert Export(store, path).run() == 3
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["eventID"] for line in lines] == [f"e-{number:05}" for number in range(2503)]


def test_two_servers_write_no_event_twice(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    record(store, 3000)
    both = [Thread(target=Export(store, path).run) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["eventID"] for line in lines] == [f"e-{number:05}" for number in range(3000)]


def test_what_could_not_be_written_is_written_later(store: Store, tmp_path: Path) -> None:
    record(store, 5)
    with pytest.raises(OSError):
        Export(store, tmp_path / "missing" / "audit.jsonl").run()
    assert Export(store, tmp_path / "audit.jsonl").run() == 5


def test_a_line_that_was_torn_is_taken_away_before_the_next(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    record(store, 2)
    Export(store, path).run()
    with path.open("ab") as file:
        file.write(b'{"eventID":"e-torn","long":"' + bytes(200_000))
    record(store, 1, start=2)
    assert Export(store, path).run() == 1
    assert [json.loads(line)["eventID"] for line in path.read_text().splitlines()] == [
        "e-00000",
        "e-00001",
        "e-00002",
    ]


def test_a_full_disk_tears_no_line(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    record(store, 3)
    write = os.write
    room = 1000

    def fill(descriptor: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, bytes(data)[:room])
        room -= written
        return written

    monkeypatch.setattr(os, "write", fill)
    export = Export(store, path)
    with pytest.raises(OSError, match="No space left") as caught:
        export.run()
    assert explain(caught.value) == f"the disk is full: free some space where {path} is"
    assert path.read_bytes() == b""
    monkeypatch.undo()
    assert export.run() == 3


def test_a_file_that_may_be_read_alone_is_left_to_another_control_plane(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    shutil.copy2("/bin/sleep", path)
    record(store, 3)
    export = Export(store, path)
    # Root may write whatever its mode is, save a program that runs.
    with subprocess.Popen([path, "60"]) as program:
        with pytest.raises(FileNotWritten):
            export.run()
        assert not export.can_write()
        program.kill()
    path.unlink()
    assert export.run() == 3


def test_a_file_that_is_turned_away_once_lines_are_in_it_has_them_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, turned_away = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    record(store, 3)
    export = Export(store, path)
    fsync = os.fsync

    def turn_away(descriptor: int) -> None:
        fsync(descriptor)
        path.rename(turned_away)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", turn_away)
        assert export.run() == 3
    assert export.run() == 0
    assert len(turned_away.read_text().splitlines()) == 3
    assert path.read_text() == ""


def test_a_store_that_cannot_be_written_makes_no_line_twice(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    record(store, 3)

    @sqlalchemy_event.listens_for(store.engine, "before_cursor_execute")
    def refuse(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if failing and statement.startswith("DELETE FROM audit_unexported"):
            raise RuntimeError("locked")

    failing = True
    export = Export(store, path)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            export.run()
    failing = False
    export.run()
    assert len(path.read_text().splitlines()) == 3


def test_what_a_killed_server_wrote_and_did_not_mark_is_not_written_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    record(store, 1200)
    Export(store, path).run()
    record(store, 900, start=1200)
    killed = Export(store, path)

    class Killed(BaseException):
        """No code of its own runs after it."""

    def mark(_rows: AuditRows, events: Sequence[Found]) -> None:
        if events:
            raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(AuditRows, "mark_exported", mark)
        killed.run()
    record(store, 1, start=2100)
    assert Export(store, path).run() == 1
    lines = [json.loads(line)["eventID"] for line in path.read_text().splitlines()]
    assert lines == [f"e-{number:05}" for number in range(2101)]
    assert Export(store, path).run() == 0


@pytest.mark.parametrize("noticed", ["by its mark", "by a failure"])
def test_a_store_that_is_restored_while_it_is_written_makes_no_line_twice(
    store: Store, tmp_path: Path, noticed: str
) -> None:
    path = tmp_path / "audit.jsonl"
    failing = False

    def confirm(_tx: Transaction) -> None:
        if failing:
            raise RuntimeError("the database is away")

    export = Export(store, path, confirm)
    record(store, 2500)
    export.run()
    record(store, 5000, start=2500)
    export.run()
    # As in a backup of when the first of them were yet to be written: a dump has that table with the others.
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM audit_records WHERE event_id >= 'e-02500'")
        connection.exec_driver_sql(
            "INSERT INTO audit_unexported (event_time, event_id)"
            " SELECT event_time, event_id FROM audit_records"
        )
    if noticed == "by its mark":
        with store.write() as tx:
            tx.begin_epoch()
    else:
        failing = True
        with pytest.raises(RuntimeError):
            export.run()
        failing = False
    record(store, 1, start=9000)
    assert export.run() == 1
    lines = [json.loads(line)["eventID"] for line in path.read_text().splitlines()]
    assert lines == [f"e-{number:05}" for number in (*range(7500), 9000)]
    assert export.run() == 0


def test_one_run_goes_no_further_than_it_is_told(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    record(store, 2500)
    export = Export(store, path)
    assert export.run(most=1500) == 2000
    assert export.run() == 500


def test_what_is_read_is_confirmed_before_a_line_of_it_is_written(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    record(store, 3)

    def refuse(_tx: Transaction) -> None:
        raise LeadershipLost("another leads")

    with pytest.raises(LeadershipLost):
        Export(store, path, refuse).run()
    assert path.read_bytes() == b""
    assert Export(store, path).run() == 3
