"""A killed process, a full disk, a locked store: under load, no record is lost, and all recovers by itself.

`HATCHWAY_FAULT_ROUNDS` has each fault happen so many times, at other moments each time.
"""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text, update
from tests.e2e.fault_load import Steady, load
from tests.e2e.fault_server import HOUR, FaultServer, fault_server
from tests.e2e.waiting import wait_until
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.gateway.admission.refusal import NOT_RECORDING
from hatchway.gateway.tunnel.closures import NOT_RECORDED
from hatchway.store.tables import gateway_workers

pytestmark = pytest.mark.timeout(900)

ROUNDS = range(int(os.environ.get("HATCHWAY_FAULT_ROUNDS", "1")))
UNRECORDED = (NOT_RECORDED.reason, str(int(NOT_RECORDING.status)))
"""What clients are told while nothing can be recorded: after the upgrade, or instead of it."""

DISK_BYTES = 48 << 20


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk of the server's own; without root, a directory."""
    directory = tmp_path_factory.mktemp("disk")
    if os.geteuid() != 0:
        yield directory
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "hatchway", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@pytest.fixture(scope="module")
def server(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    with fault_server(tmp_path_factory.mktemp("server"), disk) as made:
        yield made


@pytest.fixture
def moments(round_: int) -> random.Random:
    return random.Random(round_)


@pytest.mark.parametrize("round_", ROUNDS)
def test_a_worker_that_is_killed_loses_no_record(
    server: FaultServer, round_: int, moments: random.Random
) -> None:
    with load(server, round_) as people:
        for number in (1, 2):
            people.wait_for_more()
            time.sleep(moments.uniform(0, 0.3))
            server.kill(f"gateway {number}")
        people.wait_for_more()
    server.check_trail(people.carried)
    server.wait_for_log("gateway worker lost")


@pytest.mark.parametrize("round_", ROUNDS)
def test_tunnels_open_and_are_recorded_while_the_control_plane_is_killed(
    server: FaultServer, round_: int, moments: random.Random
) -> None:
    with load(server, round_) as people:
        steady = people.keep_steady()
        time.sleep(moments.uniform(0, 0.3))
        server.kill("control")
        people.wait_for_more()
        go_on(steady)
    server.check_trail(people.carried)


@pytest.mark.parametrize("round_", ROUNDS)
def test_a_full_disk_loses_no_record(
    server: FaultServer, disk: Path, round_: int, moments: random.Random
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk to fill")
    with load(server, round_) as people:
        steady = people.keep_steady()
        people.wait_for_more()
        time.sleep(moments.uniform(0, 0.3))
        with filled(disk):
            people.wait_for_refusals(*UNRECORDED)
            server.wait_for_log("the store's disk is full: free some space there")
            go_on(steady)
            for each in steady[:2]:
                people.close(each)
        people.wait_for_more()
        go_on(steady[2:])
    check_ends(server, steady)
    server.check_trail(people.carried)


@pytest.mark.parametrize("round_", ROUNDS)
def test_a_store_that_is_locked_for_longer_than_a_lease_loses_no_record(
    server: FaultServer, round_: int, moments: random.Random
) -> None:
    with load(server, round_) as people:
        steady = people.keep_steady()
        people.wait_for_more()
        time.sleep(moments.uniform(0, 0.3))
        failing = server.log().count("lease not renewed")
        with server.store.record() as tx:
            people.wait_for_refusals(*UNRECORDED)
            for each in steady[:2]:
                people.close(each)
            wait_until(lambda: server.log().count("lease not renewed") >= failing + 2, 60, server.log)
            # Every lease is over before anybody else can write: the control plane may be the first.
            tx._connection.execute(update(gateway_workers).values(lease_until=datetime.now(UTC) - HOUR))
            go_on(steady[2:])
        server.wait_for_log("the store is locked by another process")
        people.wait_for_more()
        go_on(steady[2:])
    check_ends(server, steady)
    server.check_trail(people.carried)


@pytest.mark.parametrize("round_", ROUNDS)
def test_a_server_that_is_killed_as_a_whole_loses_no_record(
    server: FaultServer, round_: int, moments: random.Random
) -> None:
    with load(server, round_) as people:
        people.keep_steady()
        people.wait_for_more()
        time.sleep(moments.uniform(0, 0.3))
        server.kill_all()
        server.start()
        people.wait_for_more()
    server.check_trail(people.carried)


def go_on(steady: list[Steady]) -> None:
    """Tunnels that were open before still carry bytes."""
    before = [each.rounds for each in steady]
    wait_until(lambda: all(each.rounds > rounds for each, rounds in zip(steady, before, strict=True)), 30)


def check_ends(server: FaultServer, steady: list[Steady]) -> None:
    """What these tunnels carried is in the trail to the byte, whenever they ended."""
    wait_until(lambda: not server.open_rows(), 60, server.log)
    ends = {event["requestID"]: event["additionalEventData"] for event in server.events("CloseTunnel")}
    for each in steady:
        end = ends[each.request_id]
        assert (end["closeCode"], end["bytesIn"], end["bytesOut"]) == (1000, each.bytes, each.bytes)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Fills a disk to its last byte."""
    ballast = disk / "ballast"
    try:
        with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 20))
        yield
    finally:
        ballast.unlink()


@pytest.mark.parametrize("round_", ROUNDS)
def test_a_database_server_that_hangs_or_is_gone_loses_no_record(tmp_path: Path, round_: int) -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as database:
        url = f"{database.new_database()}&options=-c%20lock_timeout%3D1000"
        with fault_server(tmp_path, tmp_path, url) as server:
            with load(server, round_) as people:
                steady = people.keep_steady()
                people.wait_for_more()
                with server.store.record() as tx:
                    tx._connection.execute(text("LOCK TABLE tunnels IN ACCESS EXCLUSIVE MODE"))
                    people.wait_for_refusals(*UNRECORDED)
                    people.close(steady[0])
                server.wait_for_log("the store is locked by another process")
                people.wait_for_more()

                with database.suspended():
                    people.close(steady[1])
                    go_on(steady[2:])
                people.wait_for_more()

                database.stop()
                people.wait_for_refusals(*UNRECORDED)
                people.close(steady[2])
                go_on(steady[3:])
                database.start()
                server.wait_for_log("the database server cannot be reached")
                people.wait_for_more()
                go_on(steady[3:])
            check_ends(server, steady)
            server.check_trail(people.carried)
