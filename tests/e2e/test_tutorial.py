"""The tutorial, line by line as printed, with the real AWS CLI, and a host with a real sshd.

docs/tutorial.md, and what README.md and docs/connecting.md show of it.
Only what the package index is for is not done: a program of this name stands in for the installed one.
"""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest
from tests.e2e.aws import REPOSITORY
from tests.e2e.machines import ENVIRONMENT, Machine, missing_for_machines
from tests.e2e.network import Network
from tests.e2e.openssh import Sshd, start_sshd
from tests.e2e.outside import processes_in
from tests.e2e.waiting import wait_until

DEPENDENCIES = "/opt/hatchway/bin/pip install --require-hashes -r requirements.txt"
"""The one line that a machine without a way out cannot run."""

PROGRAM = "/opt/hatchway/bin/pip install --no-deps --no-build-isolation ."
"""The one that needs what that brings."""

INSTALLED = f"""\
mkdir -p /opt/hatchway/bin
printf '#!/bin/sh\\nexec {sys.executable} -P -m hatchway "$@"\\n' >/opt/hatchway/bin/hatchway
chmod 755 /opt/hatchway/bin/hatchway
"""
FROM_DEBIAN = ("apt-get ", "useradd ")
"""What machines of these tests have already begins so."""

OVER_OPT = """\
set -e
mkdir -p /run/opt/upper /run/opt/work
mount -t overlay -o lowerdir=/opt,upperdir=/run/opt/upper,workdir=/run/opt/work opt /opt
"""


def printed_commands(text: str) -> list[tuple[str, str]]:
    """The commands, each with the machine whose prompt stands before it."""
    return [
        (found[1], found[2])
        for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for found in re.finditer(r"^([\w-]*)# ((?:.*\\\n)*.*)$", block, re.MULTILINE)
    ]


class Shell:
    """A shell on a machine, into which somebody types one line after the other."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self._process = subprocess.Popen(
            machine.command(["sh"]), env=dict(ENVIRONMENT), text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._lines: Queue[str] = Queue()
        self.seen = ""
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        self.run(f"cd {directory}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def type(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")

    def wait_for(self, pattern: str, timeout: float = 120) -> "re.Match[str]":
        """The first line from here on that the pattern matches; what came before it is in `seen`."""
        self.seen = ""
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except Empty:
                pytest.fail(f"{pattern!r} did not come after:\n{self.seen}")
            if match := re.match(pattern, line):
                return match
            self.seen += line

    def run(self, command: str, said: str = "") -> str:
        """What a command prints that must succeed; `said` is what is typed into it."""
        given = f"<<'END_OF_INPUT'\n{said}\nEND_OF_INPUT" if said else "</dev/null"
        self.type(f"{command} {given}\necho END $?")
        code = self.wait_for(r"END (\d+)\n")[1]
        assert code == "0", f"{command}\n{self.seen}"
        return self.seen

    def close(self) -> None:
        """Once the machine has ended, and with it all that writes."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def greeting(port: int) -> bytes:
    """What a service says of itself to whoever connects; nothing while there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            return connection.recv(64)
    except ConnectionRefusedError:
        return b""


@pytest.fixture
def own_network(tmp_path: Path, untouched_outside: None) -> Iterator[Network]:
    """One beside that of other tests, whose gateway has its own server."""
    if reason := missing_for_machines():
        pytest.skip(reason)
    layers = tmp_path / "machines"
    layers.mkdir()
    network = Network(layers)
    yield network
    namespaces = network.namespaces
    network.stop()
    wait_until(lambda: not processes_in(namespaces), message=lambda: f"{processes_in(namespaces)}")


@pytest.fixture
def host(own_network: Network, tmp_path: Path) -> Sshd:
    """web-1, as examples/first.yaml has it."""
    return start_sshd(own_network.machine("web-1", "10.0.1.1"), tmp_path / "sshd.log")


@pytest.fixture
def shell(own_network: Network, aws_program: Path, tmp_path: Path) -> Iterator[Shell]:
    machine = own_network.gateway
    machine.keep_few_cas()
    machine.run(["sh", "-c", OVER_OPT], check=True)
    machine.run(["ln", "-s", str(aws_program), "/usr/local/bin/aws"], check=True)
    machine.run(["rm", "-rf", "/opt/hatchway", "/root/.aws", "/root/.ssh", "/var/lib/hatchway"], check=True)
    # In the place of the answer "yes" when ssh asks whether it is the right host.
    machine.write("/etc/ssh/ssh_config.d/yes.conf", "StrictHostKeyChecking accept-new\n")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "examples").symlink_to(REPOSITORY / "examples")
    opened = Shell(machine, checkout)
    yield opened
    machine.stop()
    opened.close()


def test_the_tutorial_works_as_printed(
    own_network: Network, host: Sshd, shell: Shell, tmp_path: Path
) -> None:
    commands = printed_commands((REPOSITORY / "docs/tutorial.md").read_text())
    commands = [(machine, typed) for machine, typed in commands if not typed.startswith(FROM_DEBIAN)]
    names = [machine for machine, _ in commands]
    assert names.count("") == len(commands) - 1 >= 12
    said = "hostname; id -un"
    logged_in = 0
    for where, command in commands:
        if where:
            script = (tmp_path / "checkout" / "web-1.sh").read_text()
            host.machine.write("/root/web-1.sh", script)
            done = host.machine.run(["sh", "-c", f"cd /root && {command}"])
            assert (done.returncode, done.stderr) == (0, ""), done.stdout
            assert "seen: https://10.0.1.254:8443 answers this host" in done.stdout
            host.reload()
        elif command == DEPENDENCIES:
            continue
        elif command == PROGRAM:
            shell.run(INSTALLED.replace("\n", ";"))
        elif command.endswith("&"):
            shell.type(command)
            shell.wait_for("ready api=")
        elif "--local-port" in command:
            shell.type(f"{command} &")
            # It says that it listens, but to a pipe only when it ends.
            with own_network.gateway.joined():
                assert wait_until(lambda: greeting(2222), 120).startswith(b"SSH-2.0-")
        elif re.search(r"(^| )ssh( |$)", command) and "ssh-keygen" not in command:
            # The server's log is on the same terminal.
            assert {"web-1", "ec2-user"} <= set(shell.run(command, said).splitlines())
            logged_in += 1
        else:
            shell.run(command)
    assert logged_in == 2


def test_readme_shows_a_command_of_the_tutorial() -> None:
    shown = printed_commands((REPOSITORY / "README.md").read_text())
    assert len(shown) == 1
    assert shown[0] in printed_commands((REPOSITORY / "docs/tutorial.md").read_text())


def test_the_policy_that_the_tutorial_shows_is_that_of_its_fleet_file() -> None:
    shown = re.findall(
        r"^```yaml\n(.*?)^```$", (REPOSITORY / "docs/tutorial.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(shown) == 1
    assert shown[0] in (REPOSITORY / "examples/first.yaml").read_text()
