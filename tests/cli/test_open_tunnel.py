"""`hatchway open-tunnel` on standard input and output, through a real server (docs/connecting.md)."""

import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, environment
from tests.cli.conftest import Installed, Serve, create_endpoint
from tests.transport.harness import silent_port

HOST = "127.0.40.1"
REASON = (
    r"hatchway: tunnel closed: Unable to connect to target"
    r" \(the host does not answer within 10 seconds; request id [0-9a-f-]{36}\): [^\n]*\n"
)


@pytest.fixture
def alice(installed: Installed, serve: Serve) -> Installed:
    """An installation that serves, with an endpoint and alice's profile."""
    serve(installed)
    assert installed.run("access-key", "create", "alice", "--profile", "alice").returncode == 0
    create_endpoint(installed)
    return installed


def open_tunnel(installed: Installed, port: int, *, stdin: int, stdout: int) -> "subprocess.Popen[bytes]":
    arguments = ("--profile", "alice", "--instance-id", "i-0123456789abcdef0", "--remote-port", str(port))
    return subprocess.Popen(
        [*COMMAND, "open-tunnel", *arguments],
        env=environment(installed.variables), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_host_that_does_not_answer_is_told_of_though_input_has_ended(alice: Installed) -> None:
    nobody_reads, output = os.pipe()
    os.close(nobody_reads)
    with silent_port(HOST) as port:
        heard = open_tunnel(alice, port, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        unheard = open_tunnel(alice, port, stdin=subprocess.DEVNULL, stdout=output)
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

    with socket.create_server((HOST, 0)) as listening:
        host = threading.Thread(target=serve_once, args=[listening])
        host.start()
        tunnel = open_tunnel(alice, listening.getsockname()[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        output, errors = tunnel.communicate(b"QUIT\r\n", timeout=60)
        host.join(30)
    assert asked == [b"QUIT\r\n"]
    assert (tunnel.returncode, errors) == (0, b"")
    assert output == answer

    def serve_at_the_end(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as file:
            connection.sendall(file.read()[::-1])

    with socket.create_server((HOST, 0)) as listening:
        host = threading.Thread(target=serve_at_the_end, args=[listening])
        host.start()
        port = listening.getsockname()[1]
        tunnel = open_tunnel(alice, port, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        output, errors = tunnel.communicate(answer, timeout=60)
        host.join(30)
    assert (tunnel.returncode, errors) == (0, b"")
    assert output == answer[::-1]


def test_a_hosts_port_is_one_of_this_machine_while_a_command_runs(alice: Installed, tmp_path: Path) -> None:
    def greet(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"welcome")

    with socket.create_server((HOST, 0)) as listening:
        host = threading.Thread(target=greet, args=[listening])
        host.start()
        port = str(listening.getsockname()[1])
        # The beginning of its id is enough.
        commands = (
            ["forward", "i-01234", f"{port}:0", "--profile", "alice"],
            [
                "rdp",
                "i-01234",
                "--remote-port",
                port,
                "--no-start",
                "--file",
                "host.rdp",
                "--profile",
                "alice",
            ],
        )
        for command in commands:
            with subprocess.Popen(
                [*COMMAND, *command], env=environment(alice.variables), cwd=tmp_path,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            ) as process:  # fmt: skip
                assert process.stdout is not None
                line = next(line for line in process.stdout if line.startswith("Listening"))
                local = int(line.rstrip(".\n").rpartition(" ")[2])
                with socket.create_connection(("127.0.0.1", local), timeout=30) as connection:
                    assert connection.recv(100) == b"welcome"
                process.terminate()
            assert process.returncode == 143
        host.join(30)
    assert f"full address:s:127.0.0.1:{local}\r\n" in (tmp_path / "host.rdp").read_bytes().decode()
