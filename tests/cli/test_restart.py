"""A restart that nobody notices: real servers under a service manager, with traffic meanwhile."""

import asyncio
import configparser
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, environment
from tests.cli.conftest import Installed, create_endpoint
from tests.cli.service_manager import Service
from tests.cli.traffic import Traffic
from tests.e2e.processes import lives
from tests.e2e.waiting import free_port, wait_until

HOST = "127.0.40.1"


@pytest.fixture
def ports() -> list[int]:
    return [free_port(), free_port()]


@pytest.fixture
def services(
    request: pytest.FixtureRequest, installed: Installed, ports: list[int], tmp_path: Path
) -> Iterator[list[Service]]:
    """One for both planes, or one for each."""
    api, gateway = (f"127.0.0.1:{port}" for port in ports)
    drain = ("--drain-timeout", "0.5")
    commands: list[tuple[str, ...]] = [("serve", "--api", api, "--gateway", gateway, *drain)]
    if request.param == "alone":
        commands = [("control", "--api", api), ("gateway", "--gateway", gateway, *drain)]
    made = []
    for number, command in enumerate(commands):
        (tmp_path / str(number)).mkdir()
        variables = environment(installed.variables)
        made.append(
            Service(
                [*COMMAND, *command], variables, tmp_path / str(number), abstract=request.param == "alone"
            )
        )
    yield made
    for service in made:
        service.end()


def traffic(installed: Installed, ports: list[int]) -> Traffic:
    done = installed.run("access-key", "create", "alice", "--profile", "alice")
    assert done.returncode == 0, done.stderr
    endpoint_id = create_endpoint(installed, endpoint_url=f"https://127.0.0.1:{ports[0]}")
    profile = configparser.ConfigParser()
    profile.read(installed.variables["AWS_SHARED_CREDENTIALS_FILE"])
    key = (profile["alice"]["aws_access_key_id"], profile["alice"]["aws_secret_access_key"])
    return Traffic(ports[0], ports[1], endpoint_id, key, HOST)


def migrate(store: Path) -> None:
    """As a next version may."""
    with closing(sqlite3.connect(store, timeout=30)) as database:
        database.execute("ALTER TABLE tunnels ADD COLUMN later TEXT")
        database.execute("ALTER TABLE access_keys ADD COLUMN later INTEGER NOT NULL DEFAULT 0")
        database.execute("CREATE TABLE later (id TEXT PRIMARY KEY)")
        database.commit()


def begin(service: Service) -> None:
    """Start it, and wait no longer than until it starts its process."""
    before = len(process_ids(service))
    service.begin()
    wait_until(lambda: len(process_ids(service)) > before, 60, service.log)


def process_ids(service: Service) -> list[int]:
    """Of all processes that it has started so far, without the main ones."""
    return [int(number) for number in re.findall(r'"?pid"?[:=] ?(\d+)', service.log())]


@pytest.mark.parametrize("unit", ["hatchway", "hatchway-control", "hatchway-gateway"])
def test_the_unit_has_what_a_restart_takes(unit: str) -> None:
    text = (Path(__file__).parents[2] / "deploy" / "systemd" / f"{unit}.service").read_text()
    lines = text.splitlines()
    assert {"Type=notify", "KillMode=process", "FileDescriptorStoreMax=1024"} <= set(lines)
    (stop,) = [line for line in lines if line.startswith("ExecStop=")]
    assert stop in (Path(__file__).parents[2] / "docs" / "upgrading.md").read_text()
    assert "restart && kill -USR2 $MAINPID" in stop


@pytest.mark.parametrize("services", ["together"], indirect=True)
def test_nobody_notices_a_restart(installed: Installed, services: list[Service], ports: list[int]) -> None:
    (service,) = services
    service.start()
    use = traffic(installed, ports)

    async def test() -> None:
        async with use.flowing():
            await use.more()
            await asyncio.to_thread(service.restart)
            await use.more()
            # The second one finds a worker of the first server still carrying its tunnel.
            await asyncio.to_thread(service.restart)
            await asyncio.to_thread(migrate, installed.directory / "hatchway.db")
            await use.more()
            assert not use.problems, use.problems

    asyncio.run(test())
    pids = process_ids(service)
    assert len(pids) == 6
    assert service.stop() == 0
    assert not any(lives(pid) for pid in pids)
    lines = (installed.directory / "audit.jsonl").read_text().splitlines()
    events = {event["eventID"]: event for event in map(json.loads, lines)}
    assert len(events) == len(lines)
    names = [event["eventName"] for event in events.values() if "errorCode" not in event]
    assert names.count("OpenTunnel") == names.count("CloseTunnel") >= use.opened


@pytest.mark.parametrize("services", ["alone"], indirect=True)
def test_nor_one_of_either_plane_alone_nor_one_that_fails(
    installed: Installed, services: list[Service], ports: list[int]
) -> None:
    control, gateway = services
    for service in services:
        service.start()
    use = traffic(installed, ports)

    async def test() -> None:
        async with use.flowing():
            await asyncio.to_thread(control.restart)
            await use.more()
            right = gateway.command
            gateway.command = [*right, "--gateway-tls-cert", "/none", "--gateway-tls-key", "/none"]
            await asyncio.to_thread(gateway.restart, fails=True)
            await use.more()
            # As systemd does with Restart=on-failure; and then somebody is impatient.
            gateway.command = right
            await asyncio.to_thread(begin, gateway)
            await asyncio.to_thread(gateway.restart)
            await use.more()
            assert not use.problems, use.problems

    asyncio.run(test())
    pids = [pid for service in services for pid in process_ids(service)]
    for service in reversed(services):
        assert service.stop() == 0
    assert not any(lives(pid) for pid in pids)


@pytest.mark.parametrize("services", ["alone"], indirect=True)
def test_those_left_by_a_server_that_is_not_started_again_end(
    installed: Installed, services: list[Service]
) -> None:
    service = services[0]
    service.start()
    pids = process_ids(service)
    service.command += ["--no-such-option"]
    service.restart(fails=True)
    assert lives(pids[0])
    # As systemd does when it has tried often enough, or is told to stop.
    service.release()
    wait_until(lambda: not any(lives(pid) for pid in pids), 30, service.log)
