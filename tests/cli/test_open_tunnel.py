"""`hatchway open-tunnel` on standard input and output, through a real server (docs/connecting.md)."""

import os
import re
import shlex
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, environment
from tests.cli.conftest import (
    FLEET,
    Installed,
    Serve,
    alice_s_client,
    create_endpoint,
    installation_in,
    servers,
)
from tests.e2e.waiting import wait_until
from tests.transport.harness import silent_port

HOST = "127.0.40.1"
INSTANCE = "i-0123456789abcdef0"
REASON = (
    r"hatchway: tunnel closed: Unable to connect to target"
    r" \(the host does not answer within 10 seconds; request id [0-9a-f-]{36}\): [^\n]*\n"
)


@pytest.fixture(scope="module")
def alice(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """An installation that serves, with an endpoint and alice's profile."""
    directory = tmp_path_factory.mktemp("alice")
    installed = installation_in(directory, template)
    with servers(directory) as serve:
        serve(installed)
        assert installed.run("access-key", "create", "alice", "--profile", "alice").returncode == 0
        create_endpoint(installed)
        yield installed


@contextmanager
def program(
    installed: Installed, *arguments: str, stdin: int, stdout: int, cwd: Path | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """A command that runs, and is gone afterwards whatever becomes of the test."""
    with subprocess.Popen(
        [*COMMAND, *arguments], env=environment(installed.variables), cwd=cwd,
        stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def open_tunnel(
    installed: Installed, port: int, *, stdin: int, stdout: int
) -> "AbstractContextManager[subprocess.Popen[bytes]]":
    arguments = ("--profile", "alice", "--instance-id", INSTANCE, "--remote-port", str(port))
    return program(installed, "open-tunnel", *arguments, stdin=stdin, stdout=stdout)


@contextmanager
def target(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port of the host while `serve` takes connections there, all of which it has seen to in the end."""
    with socket.create_server((HOST, 0)) as listening:
        serving = threading.Thread(target=serve, args=[listening], daemon=True)
        serving.start()
        yield listening.getsockname()[1]
        serving.join(60)
        assert not serving.is_alive()


def test_a_host_that_does_not_answer_is_told_of_though_input_has_ended(alice: Installed) -> None:
    nobody_reads, output = os.pipe()
    os.close(nobody_reads)
    with (
        silent_port(HOST) as port,
        open_tunnel(alice, port, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as heard,
        open_tunnel(alice, port, stdin=subprocess.DEVNULL, stdout=output) as unheard,
    ):
        os.close(output)
        for tunnel in (heard, unheard):
            _, errors = tunnel.communicate(timeout=60)
            assert tunnel.returncode == 255
            assert re.fullmatch(REASON, errors.decode()), errors


def test_a_pipe_gets_the_whole_of_an_answer_that_is_long_in_coming_or_waits_for_the_end(
    alice: Installed,
) -> None:
    answer = os.urandom(3_000_001)
    asked: list[bytes] = []

    def serve_once(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            asked.append(connection.recv(100))
            # Longer than anything looks for whether somebody still listens.
            threading.Event().wait(2.5)
            connection.sendall(answer)

    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with target(serve_once) as port, open_tunnel(alice, port, **piped) as tunnel:
        output, errors = tunnel.communicate(b"QUIT\r\n", timeout=60)
    assert asked == [b"QUIT\r\n"]
    assert (tunnel.returncode, errors) == (0, b"")
    assert output == answer

    def serve_at_the_end(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as file:
            connection.sendall(file.read()[::-1])

    with target(serve_at_the_end) as port, open_tunnel(alice, port, **piped) as tunnel:
        output, errors = tunnel.communicate(answer, timeout=60)
    assert (tunnel.returncode, errors) == (0, b"")
    assert output == answer[::-1]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-", "<&- 2>&-"])
def test_streams_that_are_closed_are_not_taken_for_those_of_a_connection_that_got_their_numbers(
    alice: Installed, closed: str
) -> None:
    with socket.create_server((HOST, 0)) as listening:
        # For what would still be on its way when the command has ended.
        listening.settimeout(0.5)
        port = listening.getsockname()[1]
        words = ("open-tunnel", "--profile", "alice", "--instance-id", INSTANCE, "--remote-port", str(port))
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *words],
            env=environment(alice.variables), stdin=subprocess.PIPE, capture_output=True, timeout=60,
            check=False,
        )  # fmt: skip
        with pytest.raises(TimeoutError):
            listening.accept()
    told = b"hatchway: standard input and output must both be open, or give --local-port\n"
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == (b"" if "2>" in closed else told)


NOTICE = "[1] In 60 seconds this tunnel reaches its maximum duration, and is cut.\n"


def test_a_hosts_port_is_one_of_this_machine_while_a_command_runs_that_tells_of_cuts_before(
    alice: Installed, tmp_path: Path
) -> None:
    told = threading.Event()

    def greet(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"welcome")
                told.wait(30)

    with target(greet) as port:
        options = ("--profile", "alice", "--max-tunnel-duration", "61")
        # The beginning of its id is enough.
        for command in (
            ("forward", "i-01234", f"{port}:0"),
            ("rdp", "i-01234", "--remote-port", str(port), "--no-start", "--file", "host.rdp"),
        ):
            with program(
                alice, *command, *options, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=tmp_path
            ) as process:
                assert process.stdout is not None
                line = next(line for line in process.stdout if line.startswith(b"Listening"))
                local = local_port(line)
                with socket.create_connection(("127.0.0.1", local), timeout=60) as connection:
                    assert connection.recv(100) == b"welcome"
                    notice = next(line for line in process.stdout if b"maximum duration" in line)
                    assert notice.decode() == NOTICE
                    told.set()
                process.terminate()
                assert process.communicate(timeout=60)[1] == b""
                told.clear()
            assert process.returncode == 143
    assert f"full address:s:127.0.0.1:{local}\r\n" in (tmp_path / "host.rdp").read_bytes().decode()


def test_a_listener_whose_lines_nobody_reads_any_more_goes_on(alice: Installed) -> None:
    def greet(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"welcome")

    with target(greet) as port:
        command = ("forward", "i-01234", f"{port}:0", "--profile", "alice")
        with program(alice, *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            local = local_port(process.stdout.readline())
            # As `hatchway forward … | head -1` does.
            process.stdout.close()
            for _ in range(2):
                with socket.create_connection(("127.0.0.1", local), timeout=60) as connection:
                    assert connection.recv(100) == b"welcome"
            process.terminate()
            assert process.stderr is not None
            assert process.stderr.read() == b""
            process.wait(60)
        assert process.returncode == 143


def local_port(line: bytes) -> int:
    return int(line.rstrip(b".\n").rpartition(b" ")[2])


UNLESS_CLOSED = """
  alice:
    inline:
      all:
        Version: "2012-10-17"
        Statement:
          - {Effect: Allow, Action: "*", Resource: "*"}
          - Effect: Deny
            Action: ec2-instance-connect:OpenTunnel
            Resource: "*"
            Condition: {StringEquals: {"aws:ResourceTag/closed": "yes"}}
  bob: {}
"""


def close_endpoint(installed: Installed, endpoint_id: str) -> None:
    """To alice, by a tag, and wait until the gateway knows of it."""
    ec2 = alice_s_client(installed, "ec2")
    ec2.create_tags(Resources=[endpoint_id], Tags=[{"Key": "closed", "Value": "yes"}])
    way = ("--instance-connect-endpoint-id", endpoint_id, "--private-ip-address", HOST, "--remote-port", "1")
    wait_until(
        lambda: "AccessDenied" in installed.run("open-tunnel", "--profile", "alice", *way).stderr,
        message=lambda: f"{endpoint_id} is open yet",
    )


def test_an_endpoint_that_policies_deny_has_another_tried_by_open_tunnel_and_by_ssh_s_proxy_command(
    installed: Installed, serve: Serve, tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.yaml"
    quotas = "\nquotas: {endpoints_per_vpc: 2, endpoints_per_subnet: 2}\n"
    fleet.write_text(FLEET[: FLEET.index("\n  alice:")] + UNLESS_CLOSED + quotas)
    applied = installed.run("apply", str(fleet))
    assert applied.returncode == 0, applied.stderr
    serve(installed)
    assert installed.run("access-key", "create", "alice", "--profile", "alice").returncode == 0
    endpoints = {create_endpoint(installed), create_endpoint(installed)}
    variables = {**installed.variables, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    alice = Installed(installed.directory, variables)

    def dry_run() -> tuple[str, str]:
        """The endpoint that is tried first, and the ProxyCommand."""
        told = alice.run("ssh", "--dry-run", "--profile", "alice", "--remote-port", port, INSTANCE)
        assert told.returncode == 0, told.stderr
        (command,) = re.findall("would run: (.*)", told.stdout)
        (proxy,) = [word for word in shlex.split(command) if word.startswith("ProxyCommand=")]
        return re.findall("endpoint: (eice-[0-9a-f]+)", told.stdout)[0], proxy.partition("=")[2]

    def greet(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"welcome")

    with target(greet) as number:
        port = str(number)
        closed, proxy_command = dry_run()
        (open_one,) = endpoints - {closed}
        close_endpoint(installed, closed)
        # As ssh runs it.
        by_ssh = subprocess.run(
            ["sh", "-c", f"exec {proxy_command.replace('%%', '%')}"],
            env=environment(variables), stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert (by_ssh.returncode, by_ssh.stdout) == (0, b"welcome"), by_ssh.stderr
        # What it has found out the next command begins with.
        assert dry_run()[0] == open_one
        by_us = alice.run("open-tunnel", INSTANCE, "--remote-port", port, "--profile", "alice")
        assert (by_us.returncode, by_us.stdout) == (0, "welcome"), by_us.stderr

        close_endpoint(installed, open_one)
        refused = alice.run("open-tunnel", INSTANCE, "--remote-port", port, "--profile", "alice")
    lines = refused.stderr.splitlines()
    assert (refused.returncode, len(lines)) == (255, 2), refused.stderr
    for line, endpoint_id in zip(sorted(lines), sorted(endpoints), strict=True):
        assert line.startswith(f"hatchway: {endpoint_id}: AccessDeniedException: ")
        assert "request id" in line


ANOTHER_TIME = """
import datetime, sys, time
from hatchway.client.api import clock

class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(hours=-3)

clock.datetime = Shifted
from hatchway.cli.start import main
sys.argv[0] = "hatchway"
main()
"""


def test_a_machine_with_a_wrong_clock_is_told_once_and_opens_tunnels(alice: Installed) -> None:
    def greet(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"welcome")

    with target(greet) as port:
        options = ["--profile", "alice", "--remote-port", str(port)]
        done = subprocess.run(
            [COMMAND[0], "-c", ANOTHER_TIME, "open-tunnel", INSTANCE, *options],
            env=environment(alice.variables), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "welcome"), done.stderr
    assert done.stderr == (
        "hatchway: this machine's clock is 180 minutes behind the server's, whose time is used: set it\n"
    )
