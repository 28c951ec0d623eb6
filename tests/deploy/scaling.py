"""A second control plane and a gateway elsewhere, on PostgreSQL behind HAProxy: docs/scaling.md.

`make ha` runs it: it takes half a minute of computing. What it is put together of,
`tests/machines/test_joining.py` has piece by piece.
"""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import sqlalchemy
from botocore.config import Config
from tests.cli.commands import COMMAND, environment, hatchway
from tests.deploy.site import (
    ACCOUNT,
    ANSWER,
    CLIENT,
    ENDPOINT,
    FLEET,
    Started,
    answers,
    start,
    through_a_tunnel,
)
from tests.deploy.test_haproxy import CONFIGURATION, HAPROXY, as_whoever_runs_it, program
from tests.e2e.aws import find_aws_cli
from tests.e2e.waiting import free_port, wait_until
from tests.programs import needs
from tests.store.postgresql_server import postgresql_server, server_programs
from tests.trail_files import events_in

from hatchway.installation.joined import Joined
from hatchway.machines.following import renew
from hatchway.settings import DataDirectory

FIRST, SECOND, ELSEWHERE, FRONT = "127.0.42.1", "127.0.42.2", "127.0.42.3", "127.0.42.10"

pytestmark = [
    needs("haproxy", "haproxy"),
    pytest.mark.skipif(
        server_programs() is None, reason="PostgreSQL's server is missing: install postgresql"
    ),
]


@dataclass
class Machines:
    """The first machine, and two that join; what stands in front is what clients know."""

    place: Path
    store_url: str
    down: ExitStack
    key: tuple[str, str] = ("", "")
    servers: dict[str, Started] = field(default_factory=dict)
    commands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    front: dict[str, int] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    ca: str = "first"

    @property
    def api(self) -> str:
        return f"https://{FRONT}:{self.front['api']}"

    def run(self, *arguments: str, at: str = "first", fails: bool = False) -> str:
        """What a command there prints."""
        variables = {"HATCHWAY_DATA_DIR": str(self.place / at)}
        if at == "first":
            variables["HATCHWAY_STORE_URL"] = self.store_url
        done = hatchway(*arguments, variables=variables, timeout=180)
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else done.stdout

    def serve(self, name: str, *arguments: str) -> None:
        variables = {"HATCHWAY_DATA_DIR": str(self.place / name)}
        if name == "first":
            variables["HATCHWAY_STORE_URL"] = self.store_url
        self.commands[name] = arguments
        log = self.place / f"{name}.log"
        server = start(self.down, log, [*COMMAND, *arguments], environment(variables))
        assert server.line().startswith("ready"), log.read_text()
        self.servers[name] = server

    def kill(self, name: str) -> None:
        """It, and what it has started."""
        pid = self.servers[name].process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            os.kill(each, signal.SIGKILL)
        self.servers[name].process.wait(timeout=60)

    def restart(self, name: str) -> None:
        self.kill(name)
        self.serve(name, *self.commands[name])

    def log(self, name: str) -> str:
        return (self.place / f"{name}.log").read_text()

    def client(self, service: str) -> Any:
        client = boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.api,
            aws_access_key_id=self.key[0],
            aws_secret_access_key=self.key[1],
            verify=str(self.place / self.ca / "ca.pem"),
            config=Config(retries={"total_max_attempts": 1}),
        )
        client._endpoint.http_session._manager.connection_pool_kw["source_address"] = (CLIENT, 0)
        return client

    def events(self, name: str, at: str = "second") -> list[dict[str, Any]]:
        """Those that a control plane has written."""
        return events_in(self.place / at / "audit.jsonl", name)

    def tunnel(self) -> str:
        where = ("--gateway-address", FRONT, "--gateway-port", str(self.front["gateway"]))
        ca = ("--endpoint-url", self.api, "--ca-bundle", str(self.place / self.ca / "ca.pem"))
        done = through_a_tunnel(*where, *ca, key=self.key)
        return done.stdout or done.stderr


def haproxy(place: Path, ports: dict[str, int], front: dict[str, int]) -> str:
    """The configuration that there is, for these machines: two control planes, two gateways."""
    text = as_whoever_runs_it(CONFIGURATION.read_text())
    for shown, here in (
        ("bind :443", f"bind {FRONT}:{front['gateway']}"),
        ("bind :8443", f"bind {FRONT}:{front['api']}"),
        (
            "server one 10.0.0.21:443",
            f"server one {FIRST}:{ports['gateway one']} port {ports['metrics one']}",
        ),
        (
            "server two 10.0.0.22:443",
            f"server two {ELSEWHERE}:{ports['gateway two']} port {ports['metrics two']}",
        ),
        ("server one 10.0.0.21:8443", f"server one {FIRST}:{ports['api one']}"),
        ("server two 10.0.0.22:8443", f"server two {SECOND}:{ports['api two']}"),
        ("check port 9464", "check"),
        ("default-server check", "default-server inter 200ms fall 2 rise 1 check"),
        ("maxconn 20000", "maxconn 200"),
    ):
        assert shown in text
        text = text.replace(shown, here)
    configuration = place / "haproxy.cfg"
    configuration.write_text(text)
    return str(configuration)


def gateways_role(url: str) -> str:
    """The store's URL for gateways: the role of docs/store.md, which is what a gateway may do there."""
    page = (Path(__file__).parents[2] / "docs/store.md").read_text()
    found = re.search(r"```sql\n(CREATE ROLE hatchway_gateway .*?)```", page, re.DOTALL)
    assert found is not None
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(found[1].replace("%", "%%"))
    engine.dispose()
    return str(sqlalchemy.make_url(url).set(username="hatchway_gateway").render_as_string(False))


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    programs = server_programs()
    assert programs is not None
    place = tmp_path_factory.mktemp("machines")
    (place / "fleet.yaml").write_text(FLEET)
    with ExitStack() as down:
        database = down.enter_context(postgresql_server(programs))
        machines = Machines(place, database.new_database(), down)
        machines.run("init", "--account", ACCOUNT)
        machines.run("apply", str(place / "fleet.yaml"))
        key = json.loads(machines.run("access-key", "create", "alice", "--json"))
        machines.key = key["access_key_id"], key["secret_access_key"]
        where = {"one": FIRST, "two": ELSEWHERE}
        ports = {f"{what} {at}": free_port(where[at]) for what in ("gateway", "metrics") for at in where}
        ports |= {"api one": free_port(FIRST), "api two": free_port(SECOND)}
        machines.ports = ports
        machines.front = {name: free_port(FRONT) for name in ("api", "gateway")}
        configuration = haproxy(place, ports, machines.front)
        start(down, place / "haproxy.log", [program(), "-db", "-f", configuration], dict(os.environ))
        api = ["--api-proxy-protocol-from", HAPROXY, "--api-name", FRONT]
        gateway = ["--proxy-protocol-from", HAPROXY, "--never-target", HAPROXY, "--drain-timeout", "0"]
        machines.serve(
            "first",
            "serve",
            "--api",
            f"{FIRST}:{ports['api one']}",
            "--gateway",
            f"{FIRST}:{ports['gateway one']}",
            "--metrics",
            f"{FIRST}:{ports['metrics one']}",
            *api,
            *gateway,
        )
        wait_until(lambda: answers(FRONT, machines.front["api"]))
        wait_until(lambda: up(machines))
        token = json.loads(machines.run("join-token", "create", "--role", "control", "--json"))["token"]
        small_disk(place / "second", down)
        machines.run("join", "--api-url", machines.api, "--name", FRONT, token, at="second")
        machines.serve("second", "control", "--api", f"{SECOND}:{ports['api two']}", *api)
        url = gateways_role(machines.store_url)
        role = ("--role", "gateway", "--machine-store-url", url, "--vpc", "lab")
        token = json.loads(machines.run("join-token", "create", *role, "--json"))["token"]
        machines.run("join", "--api-url", machines.api, token, at="elsewhere")
        machines.serve(
            "elsewhere",
            "gateway",
            "--gateway",
            f"{ELSEWHERE}:{ports['gateway two']}",
            "--metrics",
            f"{ELSEWHERE}:{ports['metrics two']}",
            *gateway,
        )
        yield machines


def small_disk(path: Path, down: ExitStack) -> None:
    """A directory that is one, where that may be made."""
    path.mkdir(mode=0o700)
    if os.geteuid() == 0:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=700", "hatchway", path], check=True)
        down.callback(lambda: subprocess.run(["umount", "--lazy", path], check=True))


def up(machines: Machines) -> bool:
    try:
        return bool(machines.client("ec2").describe_vpcs())
    except Exception:
        return False


def a_minute_later(machines: Machines, *names: str) -> None:
    """What the servers that joined do once a minute."""
    for name in names or ("second", "elsewhere"):
        directory = DataDirectory(machines.place / name)
        joined = Joined.read(directory)
        assert joined is not None
        renew(directory, joined, datetime.now(UTC), [SECOND, FRONT])


def test_another_of_each_key_goes_round_while_everything_runs(machines: Machines) -> None:
    def rotate(key: str, step: str, *, fails: bool = False) -> str:
        return machines.run(key, "rotate", "--step", step, fails=fails)

    names = ("master.key", "gateway.key", "ca.pem", "server.pem")
    before = {name: (machines.place / "second" / name).read_bytes() for name in names}
    for key in ("gateway-key", "master-key", "ca"):
        for step, too_soon in (("add", "use"), ("use", "drop"), ("drop", "")):
            rotate(key, step)
            if too_soon and (key, step) != ("ca", "use"):
                assert "cannot do this step yet" in rotate(key, too_soon, fails=True)
            if (key, step) == ("ca", "use"):
                assert "send the server a SIGHUP" in rotate(key, "drop", fails=True)
                first = machines.place / "first" / "server.pem"
                was = first.read_bytes()
                os.kill(machines.servers["first"].process.pid, signal.SIGHUP)
                wait_until(lambda: first.read_bytes() != was)  # noqa: B023 - at once
                assert "has a certificate of the former CA yet" in rotate(key, "drop", fails=True)
            a_minute_later(machines)
        assert machines.tunnel() == ANSWER
    for name in names:
        assert (machines.place / "second" / name).read_bytes() != before[name]
    assert (machines.place / "elsewhere" / "ca.pem").read_text() == (
        machines.place / "first/ca.pem"
    ).read_text()
    # Each server shows what its files have within five seconds.
    wait_until(lambda: all(up(machines) for _ in range(4)))
    spare = json.loads(machines.run("join-token", "create", "--role", "control", "--json"))["token"]
    machines.run("join", "--api-url", machines.api, spare, at="spare")
    (third,) = [
        each for each in machine_list(machines) if each["key_ids"] and each["joined_at"] == latest(machines)
    ]
    assert "is removed: it gets no more keys" in machines.run("machine", "remove", third["machine_id"])


def machine_list(machines: Machines) -> list[dict[str, Any]]:
    return list(json.loads(machines.run("machine", "list", "--json"))["machines"])


def latest(machines: Machines) -> str:
    return max(str(each["joined_at"]) for each in machine_list(machines))


def readiness(machines: Machines, address: str, name: str) -> int:
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(address, machines.ports[name], context=context, timeout=10)
    with closing(connection):
        connection.sock = context.wrap_socket(proxied(address, machines.ports[name]))
        connection.request("GET", "/readyz")
        return connection.getresponse().status


def proxied(address: str, port: int) -> socket.socket:
    """A connection from where HAProxy is, which says whose it is by the PROXY protocol."""
    sock = socket.create_connection((address, port), timeout=10, source_address=(HAPROXY, 0))
    sock.sendall(f"PROXY TCP4 {CLIENT} {address} 5 {port}\r\n".encode())
    return sock


def test_a_machine_that_was_taken_out_serves_no_more_and_joins_again_by_one_command(
    machines: Machines,
) -> None:
    (second,) = [each for each in machine_list(machines) if each["role"] == "control"]
    assert readiness(machines, SECOND, "api two") == 200
    machines.run("machine", "remove", second["machine_id"])
    wait_until(lambda: readiness(machines, SECOND, "api two") == 503)
    assert machines.log("second").count("machine was taken out: it serves no more") == 1
    wait_until(lambda: all(up(machines) for _ in range(6)))
    machines.kill("second")
    address = f"{SECOND}:{machines.ports['api two']}"
    said = machines.run("control", "--api", address, at="second", fails=True)
    assert "no longer belongs to the installation" in said and "hatchway join --again" in said
    assert "no longer belongs to the installation" in machines.run("machine", "list", at="second", fails=True)
    # While it is away another CA takes the place of the one that it trusts.
    for step in ("add", "use", "drop"):
        machines.run("ca", "rotate", "--step", step)
        if step == "use":
            first = machines.place / "first" / "server.pem"
            was = first.read_bytes()
            os.kill(machines.servers["first"].process.pid, signal.SIGHUP)
            wait_until(lambda: first.read_bytes() != was)  # noqa: B023 - at once
        if step != "drop":
            a_minute_later(machines, "elsewhere")
    token = json.loads(machines.run("join-token", "create", "--role", "control", "--json"))["token"]
    wait_until(lambda: joins_again(machines, token))
    machines.serve("second", *machines.commands["second"])
    wait_until(lambda: readiness(machines, SECOND, "api two") == 200)
    wait_until(lambda: all(up(machines) for _ in range(6)))
    assert [each["finished"] for each in machine_list(machines)] == [True, True]


def joins_again(machines: Machines, token: str) -> bool:
    """Each server shows what its files have within five seconds: until then the token is another CA's."""
    variables = {"HATCHWAY_DATA_DIR": str(machines.place / "second")}
    done = hatchway("join", "--again", token, variables=variables, timeout=180)
    assert done.returncode == 0 or "does not name the CA" in done.stderr, done.stderr
    return done.returncode == 0


def test_calls_and_tunnels_go_on_when_the_machine_that_made_the_installation_is_killed(
    machines: Machines,
) -> None:
    assert {each["role"] for each in machine_list(machines)} == {"control", "gateway"}
    assert not (machines.place / "elsewhere" / "master.key").exists()
    assert not (machines.place / "second" / "ca.key").exists()
    machines.run("backup", str(machines.place / "backup"))
    machines.kill("first")
    wait_until(lambda: up(machines))
    subnet = machines.client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    machines.client("ec2").create_tags(Resources=[subnet], Tags=[{"Key": "by", "Value": "second"}])
    wait_until(lambda: machines.tunnel() == ANSWER)
    (event,) = wait_until(lambda: machines.events("CreateTags"))
    assert event["sourceIPAddress"] == CLIENT
    # The AWS CLI chooses no address to come from: root may come from any.
    root = json.loads(machines.run("access-key", "create", "--root", "--json", at="second"))
    done = subprocess.run(
        [find_aws_cli(), "ec2", "describe-instance-connect-endpoints", "--endpoint-url", machines.api],
        env=environment(
            {
                "AWS_ACCESS_KEY_ID": root["access_key_id"],
                "AWS_SECRET_ACCESS_KEY": root["secret_access_key"],
                "AWS_CA_BUNDLE": str(machines.place / "second" / "ca.pem"),
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ENDPOINT in done.stdout, done.stderr


def test_the_first_machine_is_restored_from_its_backup_while_the_others_serve(machines: Machines) -> None:
    first = machines.place / "first"
    shutil.rmtree(first)
    certificate = machines.place / "elsewhere" / "server.pem"
    certificate.unlink()
    machines.run("restore", str(machines.place / "backup"))
    machines.serve("first", *machines.commands["first"])
    wait_until(lambda: all(up(machines) for _ in range(6)))
    # It issues again, and nobody has lost what he had.
    a_minute_later(machines, "elsewhere")
    assert certificate.exists()
    assert len(machine_list(machines)) == 2
    wait_until(lambda: machines.tunnel() == ANSWER)
    machines.run("gateway-key", "rotate", "--step", "add")
    shutil.rmtree(machines.place / "other", ignore_errors=True)
    for step in ("use", "drop"):
        a_minute_later(machines)
        machines.run("gateway-key", "rotate", "--step", step)
    a_minute_later(machines)
    # Of before that, the backup's gateway key is none of the database's.
    said = machines.run(
        "restore", str(machines.place / "backup"), "--data-dir", str(machines.place / "other"), fails=True
    )
    assert "the database does not use the gateway key of the backup" in said
    assert "hatchway machine promote" in said
    assert machines.tunnel() == ANSWER


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_one_whose_disk_is_full_leaves_the_trails_file_to_another(machines: Machines) -> None:
    """The second writes it, since the first was killed."""
    filler = machines.place / "second" / "filler"
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(65_536))
            file.flush()
    for _ in range(20):
        machines.client("sts").get_caller_identity()
    moved = wait_until(lambda: machines.events("MoveAuditFile", "first"))
    assert moved[-1]["additionalEventData"]["to"].endswith("first/audit.jsonl")
    log = [json.loads(line) for line in machines.log("second").splitlines() if line.startswith("{")]
    failed = [line for line in log if line.get("task") == "export audit log"]
    assert failed and all("the disk is full" in line["problem"] for line in failed)
    assert len(failed) < 5
    assert [line["role"] for line in log if line["event"] == "leads no more"] == ["audit file"]
    filler.unlink()
    # What is written and not marked yet when it is killed may be in both.
    wait_until(lambda: not behind(machines))
    machines.kill("first")
    wait_until(lambda: up(machines))
    wait_until(lambda: not behind(machines))
    ids = [
        json.loads(line)["eventID"]
        for at in ("first", "second")
        for line in (machines.place / at / "audit.jsonl").read_text().splitlines()
    ]
    # The file of before that is gone with the first machine; none is in two of those that there are.
    assert len(ids) == len(set(ids))


def behind(machines: Machines) -> int:
    engine = sqlalchemy.create_engine(machines.store_url)
    with closing(engine.connect()) as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM audit_unexported").scalar_one()
    engine.dispose()
    return int(count)


def test_a_control_plane_that_joined_takes_the_place_of_the_first_machine(machines: Machines) -> None:
    shutil.rmtree(machines.place / "first")
    machines.ca = "second"
    assert "The CA's key is not here" in machines.run("machine", "promote", at="second")
    machines.restart("second")
    wait_until(lambda: up(machines))
    # Everybody goes on by what the lost CA has issued, and trusts the next one by what there is now.
    a_minute_later(machines, "elsewhere")
    assert machines.tunnel() == ANSWER
    assert "hatchway ca rotate --step use" in machines.log("second")
    machines.run("ca", "rotate", "--step", "use", at="second")
    own = machines.place / "second" / "server.pem"
    was = own.read_bytes()
    machines.restart("second")
    assert own.read_bytes() != was
    wait_until(lambda: up(machines))
    a_minute_later(machines, "elsewhere")
    machines.run("ca", "rotate", "--step", "drop", at="second")
    a_minute_later(machines, "elsewhere")
    wait_until(lambda: machines.tunnel() == ANSWER)
    (gateway,) = json.loads(machines.run("machine", "list", "--json", at="second"))["machines"]
    assert gateway["role"] == "gateway"
