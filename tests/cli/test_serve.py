"""`hatchway serve` as a real process, spoken to through boto's core and the client commands."""

import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, Command, environment
from tests.cli.conftest import Installed, Serve, Server, create_endpoint
from tests.e2e.processes import lives
from tests.e2e.waiting import free_port
from tests.store.migrated import migrate_as_a_newer_program
from tests.trail_files import events_in

from hatchway.store import Store, own_schema


def ask(installed: Installed, url: str) -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(installed.directory / "ca.pem"))
    with urllib.request.urlopen(url, context=context, timeout=60) as answer:
        return answer.status, answer.read().decode()


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_it_says_ready_when_both_planes_answer(installed: Installed, serve: Serve) -> None:
    server = serve(installed, "--gateway-workers", "2", programs=True)
    assert list(server.urls) == ["api", "gateway"]
    assert server.urls["api"].startswith("https://127.0.0.1:")
    assert server.urls["gateway"].startswith("wss://127.0.0.1:")
    assert ask(installed, server.urls["api"] + "/healthz") == (200, "ok\n")
    assert ask(installed, server.urls["api"] + "/readyz") == (200, "ok\n")
    gateway_port = int(server.urls["gateway"].rpartition(":")[2])
    _, discovery = ask(installed, server.urls["api"] + "/.well-known/hatchway")
    assert json.loads(discovery) == {"gateway_port": gateway_port, "remember_seconds": 60}
    assert len(server.children) == 3
    assert server.stop() == 0
    assert server.process.stdout is not None
    assert server.process.stdout.read() == ""


def test_where_a_second_control_plane_runs_beside_the_first_commands_go_on_with_one_that_lives(
    installed: Installed, tmp_path: Path
) -> None:
    def noted() -> str:
        return str(json.loads((installed.directory / "api.json").read_text())["url"])

    def control(name: str) -> tuple[Command, str]:
        log = tmp_path / f"{name}.log"
        process = Command("control", "--api", "127.0.0.1:0", variables=installed.variables, errors=log)
        line = process.stdout.readline()
        assert line.startswith("ready "), log.read_text()
        return process, line.split()[1].removeprefix("api=")

    first, first_url = control("first")
    second, second_url = control("second")
    try:
        assert noted() == first_url
        assert "another control plane of this data directory" in (tmp_path / "second.log").read_text()
        os.kill(first.pid, signal.SIGKILL)
        assert eventually(lambda: noted() == second_url)
    finally:
        first.end()
        second.end()


def test_the_files_of_the_data_directory_have_the_modes_that_the_documentation_says(
    installed: Installed, serve: Serve
) -> None:
    serve(installed)
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    rows = re.findall(r"^\| `([a-z]+\.[a-z]+)`[^|]*\| (0[0-7]{3})\b[^|]*\| (.*)", text, re.MULTILINE)
    told = [(name, mode) for name, mode, what in rows if not what.startswith("on a machine that joined")]
    assert {name for name, _ in told} >= {"hatchway.db", "master.key", "ca.pem", "audit.jsonl", "api.json"}
    umask = os.umask(0)
    os.umask(umask)
    # A server is ready before it has written that.
    assert eventually((installed.directory / "audit.jsonl").exists)
    for name, mode in told:
        allowed = ~umask if name == "audit.jsonl" else ~0
        assert stat.S_IMODE((installed.directory / name).stat().st_mode) == int(mode, 8) & allowed, name
    there = {path.name for path in installed.directory.iterdir() if path.is_file()}
    assert there - {name for name, _ in told} <= {"hatchway.db-wal", "hatchway.db-shm"}


def test_a_gateways_name_that_the_ca_may_not_issue_for_is_warned_of(
    installed: Installed, serve: Serve, tmp_path: Path
) -> None:
    fleet = tmp_path / "other.yaml"
    fleet.write_text("vpcs: {other: {cidr: 10.9.0.0/16, gateway_dns_name: gateway.elsewhere.example}}\n")
    assert installed.run("apply", str(fleet)).returncode == 0
    assert serve(installed).stop() == 0
    log = [json.loads(line) for line in (tmp_path / "server-0.log").read_text().splitlines()]
    (warning, *_) = [line for line in log if line["event"] == "server certificate lacks names"]
    assert warning["names"] == ["gateway.elsewhere.example"]
    assert "--gateway-tls-cert" in warning["problem"]


PATIENT = """
import sys
from hatchway.client.api import http_connection
from hatchway.client.connection import retry

retry.RETRY_SECONDS = 600
http_connection.TIMEOUT = float(sys.argv.pop(1))
from hatchway.cli.start import main
sys.argv[0] = "hatchway"
main()
"""


def connecting(installed: Installed, *words: str, timeout: float = 60) -> "subprocess.Popen[str]":
    """A tunnel that is being opened; where servers refuse it for longer than they would have to.

    Args:
        timeout: seconds for an answer of the API.
    """
    return subprocess.Popen(
        [COMMAND[0], "-c", PATIENT, str(timeout), "open-tunnel", "--profile", "alice", *words],
        env=environment(installed.variables), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_what_was_committed_is_there_after_a_kill_and_whoever_connects_meanwhile_waits_for_it(
    installed: Installed, serve: Serve
) -> None:
    # Nobody else is to have them before it is started again.
    api, gateway = (f"127.0.0.1:{free_port()}" for _ in range(2))
    server = serve(installed, "--api", api, "--gateway", gateway)
    assert installed.run("access-key", "create", "alice", "--profile", "alice").returncode == 0
    endpoint_id = create_endpoint(installed)
    planes = server.children
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in planes:
            os.kill(pid, number)
        if number == signal.SIGSTOP:
            frozen = connecting(installed, "i-0123456789abcdef0", timeout=0.5)
            _, told = frozen.communicate(timeout=150)
            assert re.fullmatch(r"hatchway: .*timeout .*: nothing within 0\.5 seconds: [^\n]*\n", told), told
    assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    assert eventually(lambda: not any(lives(pid) for pid in planes))

    assert endpoint_id in installed.run("export").stdout
    # One asks the API first; the other knows all that it would be told, as what ssh runs does.
    way = ("--private-ip-address", "127.0.40.1", "--instance-connect-endpoint-id", endpoint_id)
    gateway_at = (
        "--instance-connect-endpoint-dns-name",
        "localhost",
        "--gateway-port",
        gateway.rpartition(":")[2],
    )
    waiting = [connecting(installed, *words) for words in (["i-0123456789abcdef0"], [*way, *gateway_at])]
    for client in waiting:
        assert client.stderr is not None
        assert client.stderr.readline().endswith(": trying again for 600 seconds\n")
    again = serve(installed, "--api", api, "--gateway", gateway)
    assert again.urls == server.urls
    for client in waiting:
        _, told = client.communicate(timeout=150)
        # The endpoint leads to a host that does not listen; so far did the key, the policies and the way.
        assert told.startswith("hatchway: tunnel closed: Unable to connect to target"), told
        assert (told.count("\n"), client.returncode) == (1, 255)

    def of(name: str) -> set[str]:
        return {event["eventID"] for event in events_in(installed.directory / "audit.jsonl", name)}

    # A tunnel's events come after it.
    assert eventually(lambda: len(of("CloseTunnel")) >= len(waiting))
    assert len(of("OpenTunnel")) == len(waiting)
    # A line that was on the disk but not yet noted is written again: its id tells that it is the same.
    assert len(of("CreateInstanceConnectEndpoint")) == 1


def test_planes_that_die_are_started_again_where_they_were_though_the_next_version_has_migrated(
    installed: Installed, serve: Serve
) -> None:
    server = serve(installed)
    before = server.children
    with closing(Store.open(f"sqlite:///{installed.directory}/hatchway.db")) as store:
        migrate_as_a_newer_program(store, f"{own_schema()}..9998")
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def both_are_back() -> bool:
        return len(set(server.children) - set(before)) == 2 and answers(installed, server)

    assert eventually(both_are_back)
    assert server.stop() == 0


def answers(installed: Installed, server: Server) -> bool:
    host, _, port = server.urls["gateway"].removeprefix("wss://").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=60).close()
        return ask(installed, server.urls["api"] + "/readyz")[0] == 200
    except OSError:
        return False


def test_a_hangup_makes_both_planes_show_a_new_certificate(installed: Installed, serve: Serve) -> None:
    server = serve(installed)
    before = {url: certificate_at(url) for url in server.urls.values()}
    (installed.directory / "server.pem").unlink()
    server.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: all(certificate_at(url) != before[url] for url in server.urls.values()))
    assert ask(installed, server.urls["api"] + "/readyz")[0] == 200
    assert server.stop() == 0


def certificate_at(url: str) -> str:
    host, _, port = url.rpartition("/")[2].rpartition(":")
    return ssl.get_server_certificate((host, int(port)), timeout=60)


def test_two_servers_do_not_share_a_port(installed: Installed, serve: Serve) -> None:
    server = serve(installed)
    for option, url in (("--api", server.urls["api"]), ("--gateway", server.urls["gateway"])):
        address = url.rpartition("/")[2]
        other = "--gateway" if option == "--api" else "--api"
        alone = "control" if option == "--api" else "gateway"
        for command in (("serve", option, address, other, "127.0.0.1:0"), (alone, option, address)):
            done = installed.run(*command)
            assert (done.returncode, done.stdout) == (1, "")
            reason = "another program is listening there"
            assert done.stderr == f"hatchway: cannot listen on {address}: {reason}; give another {option}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--api", "8443"), 2, "--api: '8443' is not HOST:PORT"),
        (("--api", "127.0.0.1:99999"), 2, "is not HOST:PORT"),
        (("--api", "192.0.2.1:0"), 1, "this machine does not have that address"),
        (("--api-cert", "cert.pem"), 2, "--api-key"),
        (("--gateway-tls-cert", "/none.pem", "--gateway-tls-key", "/none.pem"), 1, "cannot read /none.pem"),
        (("--gateway-workers", "0"), 2, "--gateway-workers"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_one_line(
    installed: Installed, arguments: tuple[str, ...], code: int, says: str
) -> None:
    free = ("--gateway", "127.0.0.1:0", *(() if "--api" in arguments else ("--api", "127.0.0.1:0")))
    done = installed.run("serve", *free, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_an_installation_it_says_how_to_make_one(tmp_path: Path, installed: Installed) -> None:
    ports = ("--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
    done = installed.run("serve", "--data-dir", str(tmp_path / "none"), *ports)
    assert done.returncode == 1
    assert "hatchway init --data-dir" in done.stderr
    assert done.stderr.count("\n") == 1
