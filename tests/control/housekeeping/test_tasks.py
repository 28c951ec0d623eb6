"""What is past is tidied away, and what goes wrong meanwhile does not stop the rest."""

import json
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.control.harness import INSTANCE, SUBNET, World
from tests.store.pasts import with_another_past

from hatchway.audit import export
from hatchway.audit.export import Export, FileNotWritten
from hatchway.control.housekeeping.api_addresses import ApiAddresses
from hatchway.control.housekeeping.housekeeper import Housekeeper, Task
from hatchway.control.housekeeping.purges import (
    DeletionHistory,
    purge_client_tokens,
    purge_deleted_endpoints,
    purge_pushed_keys,
)
from hatchway.control.housekeeping.tasks import export_task, export_to, lead, process_tasks, tasks
from hatchway.domain.account import ClientToken
from hatchway.domain.ssh_key import PushedKey
from hatchway.domain.tunnel import LEASE, GatewayWorker
from hatchway.store import LeadershipLost, ServerTime

MINUTE = timedelta(seconds=60)


def shared_time(world: World) -> ServerTime:
    return ServerTime(world.store.server_time, world.clock, time.monotonic)


def test_a_deleted_endpoint_goes_after_its_time_and_a_living_one_stays(world: World) -> None:
    ec2 = world.client("ec2")
    made = ec2.create_instance_connect_endpoint(SubnetId=SUBNET)["InstanceConnectEndpoint"]
    now = world.clock()
    with world.store.write() as tx:
        assert purge_deleted_endpoints(tx, now + timedelta(days=365), MINUTE) == 0
    ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=made["InstanceConnectEndpointId"])
    with world.store.write() as tx:
        assert purge_deleted_endpoints(tx, now + timedelta(seconds=59), MINUTE) == 0
        assert purge_deleted_endpoints(tx, now + timedelta(seconds=90), MINUTE) == 1
    assert ec2.describe_instance_connect_endpoints()["InstanceConnectEndpoints"] == []


def test_expired_keys_and_old_client_tokens_go(world: World) -> None:
    now = world.clock()

    def key(fingerprint: str, seconds: int) -> PushedKey:
        return PushedKey(
            instance_id=INSTANCE,
            os_user="root",
            fingerprint=fingerprint,
            public_key="ssh-ed25519 A",
            expires_at=now + timedelta(seconds=seconds),
            pushed_by="arn:aws:iam::123456789012:root",
        )

    def token(name: str, hours: int) -> ClientToken:
        return ClientToken(
            token=name,
            operation="X",
            request_hash="",
            resource_id="",
            created_at=now - timedelta(hours=hours),
        )

    with world.store.write() as tx:
        tx.pushed_keys.put(key("past", 0), key("future", 1))
        tx.client_tokens.put(token("old", 24), token("young", 23))
        assert purge_pushed_keys(tx, now) == 1
        assert purge_client_tokens(tx, now) == 1
        assert [row.fingerprint for row in tx.pushed_keys.find()] == ["future"]
        assert [row.token for row in tx.client_tokens.find()] == ["young"]


def test_deletions_are_forgotten_one_round_late(world: World) -> None:
    history = DeletionHistory()
    world.user("bob")
    with world.store.write() as tx:
        history.forget(tx)
    since = world.store.position()
    with world.store.write() as tx:
        tx.users.delete("bob")
    with world.store.write() as tx:
        history.forget(tx)
    changes = world.store.changes(since)
    assert not changes.everything and ("bob",) in changes.deleted["users"]
    with world.store.write() as tx:
        history.forget(tx)
    assert world.store.changes(since).everything


def test_what_a_restored_store_deleted_is_not_forgotten_before_anybody_has_seen_it(world: World) -> None:
    history = DeletionHistory()
    world.user("bob")
    with world.store.write() as tx:
        history.forget(tx)
    with with_another_past(world.store):
        pass
    since = world.store.position()
    with world.store.write() as tx:
        tx.users.delete("bob")
        history.forget(tx)
    assert not world.store.changes(since).everything
    with world.store.read() as tx:
        assert tx.floor() == 0


def test_every_task_of_a_control_plane_runs_and_is_idempotent(world: World, tmp_path: Path) -> None:
    world.client("sts").get_caller_identity()
    audit_log = tmp_path / "audit.jsonl"
    leadership = lead(world.plane, audit_log)
    leadership.look()
    for _ in range(2):
        for task in (
            *process_tasks(world.plane),
            *tasks(world.plane, leadership, shared_time(world)),
            export_task(export_to(audit_log, leadership), leadership),
        ):
            assert task.is_ours()
            task.run()
    (event,) = map(json.loads, audit_log.read_text().splitlines())
    assert event["eventName"] == "GetCallerIdentity"


def test_of_two_control_planes_one_does_what_is_not_about_itself(world: World, tmp_path: Path) -> None:
    planes = [lead(world.plane, tmp_path / name / "audit.jsonl") for name in ("a", "b")]
    for leadership in planes:
        leadership.look()
    first, second = (
        {
            task.name
            for task in (
                *process_tasks(world.plane),
                *tasks(world.plane, each, shared_time(world)),
                export_task(export_to(tmp_path, each), each),
            )
            if task.is_ours()
        }
        for each in planes
    )
    assert second == {"record refusals", "note the API's addresses"} < first
    assert "export audit log" in first


def test_a_task_of_another_is_left_and_one_that_was_lost_meanwhile_is_no_failure(world: World) -> None:
    ours, ran, looked = False, threading.Event(), threading.Event()

    def is_ours() -> bool:
        looked.set()
        return ours

    def run() -> None:
        ran.set()
        raise LeadershipLost("another leads")

    housekeeper = Housekeeper((Task("led", 0.01, run, is_ours),), time.monotonic)
    with capture_logs() as logs:
        housekeeper.start()
        assert looked.wait(60) and not ran.is_set()
        ours = True
        assert ran.wait(60)
        housekeeper.stop()
    assert logs == []


def test_the_trail_goes_on_in_the_next_leaders_file_and_says_so(world: World, tmp_path: Path) -> None:
    sts = world.client("sts")
    files = [tmp_path / f"{name}.jsonl" for name in ("a", "b")]
    for file in files:
        sts.get_caller_identity()
        leadership = lead(world.plane, file)
        leadership.look()
        export_task(export_to(file, leadership), leadership).run()
        leadership.resign()
    first, second = ([json.loads(line) for line in file.read_text().splitlines()] for file in files)
    assert [event["eventName"] for event in first] == ["GetCallerIdentity"]
    assert sorted(event["eventName"] for event in second) == ["GetCallerIdentity", "MoveAuditFile"]
    (move,) = (event for event in second if event["eventName"] == "MoveAuditFile")
    former, now = (move["additionalEventData"][name].partition(":")[2] for name in ("from", "to"))
    assert [former, now] == [str(file) for file in files]


def test_who_cannot_write_the_trails_file_leaves_it_to_another_until_he_can(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PATIENCE", 0.0)
    sts = world.client("sts")
    files = [tmp_path / name / "audit.jsonl" for name in ("full", "other")]
    one, other = (lead(world.plane, file) for file in files)
    written = [export_to(file, each) for file, each in zip(files, (one, other), strict=True)]
    first, second = (
        export_task(each, leadership) for each, leadership in zip(written, (one, other), strict=True)
    )
    sts.get_caller_identity()
    one.look()
    with pytest.raises(FileNotWritten):
        first.run()
    one.look()
    assert (first.is_ours(), failing(written[0])) == (False, True)
    files[1].parent.mkdir()
    other.look()
    assert second.is_ours()
    second.run()
    # It is his only when the other has left it.
    files[0].parent.mkdir()
    one.look()
    assert not first.is_ours()
    other.resign()
    one.look()
    assert (first.is_ours(), failing(written[0])) == (True, False)
    sts.get_caller_identity()
    first.run()
    events = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    ids = [event["eventID"] for each in events for event in each]
    assert len(ids) == len(set(ids))
    assert [[event["eventName"] for event in each].count("GetCallerIdentity") for each in events] == [1, 1]


def failing(export: Export) -> bool:
    return export.is_failing


def test_tasks_run_when_due_and_one_that_fails_is_tried_again() -> None:
    time = 0.0
    failures = 0
    done, enough = threading.Event(), threading.Event()

    def fails() -> None:
        nonlocal failures
        failures += 1
        raise OSError("the disk is full")

    def moves() -> None:
        nonlocal time
        time += 1.0
        if failures >= 3:
            enough.set()
            done.wait(60)

    due: tuple[Task, ...] = (Task("fails", 5, fails), Task("moves", 0, moves))
    housekeeper = Housekeeper(due, lambda: time)
    housekeeper.start()
    assert enough.wait(60)
    assert failures == 3 and 10 <= time <= 16
    done.set()
    housekeeper.stop()


def test_a_task_of_every_hour_that_fails_is_not_left_for_an_hour() -> None:
    time = 0.0
    failed_at: list[float] = []
    done, enough = threading.Event(), threading.Event()

    def fails() -> None:
        failed_at.append(time)
        raise OSError("the disk is full")

    def moves() -> None:
        nonlocal time
        time += 1.0
        if len(failed_at) >= 3:
            enough.set()
            done.wait(60)

    housekeeper = Housekeeper((Task("fails", 3600, fails), Task("moves", 0, moves)), lambda: time)
    housekeeper.start()
    assert enough.wait(60)
    assert failed_at[-1] < 60
    done.set()
    housekeeper.stop()


def test_a_task_that_goes_on_failing_says_why_once_a_minute_and_each_time_that_it_is_something_else() -> None:
    time, reasons = 0.0, ["the disk is full"]

    def run() -> None:
        if reasons:
            raise ValueError(reasons[0])

    task = Task("fails", 1, run)
    housekeeper = Housekeeper((task,), lambda: time)

    def told(*seconds: float) -> int:
        nonlocal time
        with capture_logs() as logs:
            for time in seconds:  # noqa: B007 (the clock reads it)
                housekeeper._run_one(task)
        return len(logs)

    assert told(*range(60)) == 1
    assert told(*range(60, 180)) == 2
    reasons[0] = "the disk may not be written"
    assert told(180, 181) == 1
    reasons.clear()
    assert told(182) == 0
    reasons.append("the disk may not be written")
    assert told(183) == 1


def test_control_planes_note_where_the_api_is_and_forget_what_is_gone(world: World) -> None:
    here = {"10.0.1.7", "fd00::7"}
    addresses = ApiAddresses(world.plane, lambda: frozenset(here))

    def noted() -> set[str]:
        with world.store.read() as tx:
            return {row.address for row in tx.api_addresses.find()}

    addresses.note()
    assert noted() == here
    revision = world.store.revision()
    addresses.note()
    assert world.store.revision() == revision
    here.remove("fd00::7")
    world.clock.ahead += timedelta(days=1)
    addresses.note()
    assert noted() == {"10.0.1.7", "fd00::7"}
    world.clock.ahead += timedelta(days=1, seconds=1)
    addresses.note()
    assert noted() == {"10.0.1.7"}


def test_a_leader_whose_clock_is_wrong_goes_by_the_stores_server(world: World) -> None:
    """It would let the whole trail go, sessions and tokens, and take every gateway for dead."""
    world.client("sts").get_caller_identity()
    right = world.clock()
    there = {"server": right}
    wrong = replace(world.plane, clock=lambda: right + timedelta(days=500))
    leadership = lead(wrong, None)
    leadership.look()
    with world.store.record() as tx:
        tx.audit_records.set_retention(400, unexported_too=True)
        lease = right + LEASE
        tx.gateway_workers.put(
            GatewayWorker(id="gw", host="h", port=443, started_at=right, lease_until=lease)
        )
        tx.client_tokens.put(
            ClientToken(token="t", operation="X", request_hash="", resource_id="", created_at=right)
        )
    seconds = 0.0
    shared = ServerTime(lambda: there["server"], wrong.clock, lambda: seconds)
    for _ in range(3):
        for task in tasks(wrong, leadership, shared):
            task.run()
    with world.store.read() as tx:
        assert tx.audit_records.count() and tx.gateway_workers.count() and tx.client_tokens.count()
    # Neither clock alone deletes anything; whether a lease has run out, the server's says.
    there["server"], seconds = right + timedelta(days=500), 1000.0
    late = tasks(
        replace(wrong, clock=lambda: right),
        leadership,
        ServerTime(lambda: there["server"], lambda: right, lambda: seconds),
    )
    for _ in range(3):
        for task in late:
            task.run()
    with world.store.read() as tx:
        assert tx.audit_records.count() and tx.client_tokens.count()
        assert not tx.gateway_workers.count()
