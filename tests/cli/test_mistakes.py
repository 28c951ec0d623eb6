"""Mistakes of users, command by command: each is told in a line that says what to do, not in a traceback."""

import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, environment
from tests.cli.conftest import Installed
from tests.programs import needs

from hatchway.cli import main

OFFICE = "examples/policies/connect.json"
PLANES = "--api 127.0.0.1:0"
SERVE = f"serve {PLANES} --gateway 127.0.0.1:0"
ENDPOINT = "eice-0123456789abcdef0"
GATEWAY = "gateway --gateway 127.0.0.1:0"
HOST = "i-0123456789abcdef0"
SERVER_COMMANDS = (
    "apply {fleet}", "export", f"host enroll {HOST}", f"host script {HOST}", "access-key create alice",
    "access-key list",
    "explain 1f0c2a9e", "simulate --principal alice --action ec2:DescribeInstances", SERVE,
    f"control {PLANES}",
)  # fmt: skip
CLIENT_COMMANDS = (
    "tunnels list", "tunnels terminate tun-0123456789abcdef0", f"ssh {HOST}", f"ssh --dry-run {HOST}",
    f"open-tunnel --instance-id {HOST}",
)  # fmt: skip
EACH_CLIENT_COMMAND = [
    pytest.param(command, marks=needs("ssh", "openssh-client")) if command == f"ssh {HOST}" else command
    for command in CLIENT_COMMANDS
]
"""Before ssh anything else is asked, it is seen that there is an ssh."""
FILE_COMMANDS = (
    "apply {file}", "lint {file}", "policy test {file}", "simulate --policy {file} --action ec2:RunInstances",
    f"simulate --policy {OFFICE} --boundary {{file}} --action ec2:RunInstances",
    f"simulate --policy {OFFICE} --guardrail {{file}} --action ec2:RunInstances",
    "trust install --ca-certificate {file}", f"host script {HOST} --ca-certificate {{file}}",
    f"{SERVE} --api-cert {{file}} --api-key {{file}}",
    f"{SERVE} --gateway-tls-cert {{file}} --gateway-tls-key {{file}}",
    "tunnels list --profile alice --ca-bundle {file}", "restore {file}",
)  # fmt: skip


@dataclass
class Mistakes:
    """An installation, a profile of alice's for an API that does not run, and files that are no good."""

    data: Path
    places: dict[str, str]
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    variables: dict[str, str] = field(default_factory=dict)

    def told(self, line: str, *, code: tuple[int, ...] = (1, 2)) -> str:
        """What a command line, whose places are filled in, says on standard error when it fails.

        Whatever keeps `ssh` and its like from a connection ends them with 255.
        """
        words = [word.format_map(self.places) for word in shlex.split(line)]
        if words[0] in ("ssh", "open-tunnel", "forward", "rdp"):
            code = (*code, 255)
        ended = main.run(words)
        errors = self.capture.readouterr().err
        assert "Traceback" not in errors, errors
        assert ended in code, errors
        # A server's log comes before what ended it.
        lines = [each for each in errors.splitlines() if not each.startswith("{")]
        assert lines, line
        assert all(each.startswith("hatchway: ") for each in lines), errors
        assert all(each.isprintable() for each in lines)
        return errors


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port of loopback's that is bound, so that nobody else takes it, and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(scope="module")
def plain_port() -> Iterator[int]:
    """A port at which a server speaks HTTP that is no API's, without TLS."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.fixture
def mistakes(
    request: pytest.FixtureRequest,
    installed: Installed,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Mistakes:
    closed_port, plain_port = map(request.getfixturevalue, ("closed_port", "plain_port"))
    # None of these servers is about to come back.
    monkeypatch.setattr("hatchway.client.connection.retry.RETRY_SECONDS", 0)
    for name in os.environ.keys() - environment().keys():
        monkeypatch.delenv(name)
    for name, value in (installed.variables | {"AWS_MAX_ATTEMPTS": "1"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    files = Path(installed.variables["AWS_CONFIG_FILE"]).parent
    files.mkdir()
    (files / "config").write_text(
        f"[profile alice]\nregion = us-east-1\nendpoint_url = https://127.0.0.1:{closed_port}\n"
    )
    (files / "credentials").write_text("[alice]\naws_access_key_id = AKIAX\naws_secret_access_key = x\n")
    garbage, empty, fleet = (tmp_path / name for name in ("garbage", "empty", "fleet.yaml"))
    garbage.write_bytes(bytes(range(256)) * 40)
    empty.touch()
    fleet.write_text("users: {alice: {}}\n")
    places = {
        "garbage": garbage, "empty": empty, "fleet": fleet, "directory": tmp_path,
        "missing": tmp_path / "not there", "data": installed.directory,
        "closed": closed_port, "plain": plain_port,
    }  # fmt: skip
    return Mistakes(installed.directory, {k: str(v) for k, v in places.items()}, capsys, monkeypatch)


@pytest.mark.parametrize("command", FILE_COMMANDS)
def test_a_file_that_is_no_good_is_named(mistakes: Mistakes, command: str) -> None:
    for name in ("missing", "garbage", "directory"):
        if name == "directory" and command.startswith("policy test"):
            continue
        mistakes.places["file"] = mistakes.places[name]
        if command.startswith("lint") and name == "garbage":
            # That a file is no policy is what lint is there to find.
            continue
        assert mistakes.places[name] in mistakes.told(command)


def test_a_file_that_has_no_end_is_not_read_to_it(mistakes: Mistakes) -> None:
    mistakes.places["file"] = "/dev/zero"
    for command in FILE_COMMANDS:
        if not command.startswith("lint"):
            assert "/dev/zero" in mistakes.told(command)


@pytest.mark.parametrize("command", SERVER_COMMANDS)
def test_a_data_directory_that_is_none_is_named(mistakes: Mistakes, command: str) -> None:
    assert mistakes.places["missing"] in mistakes.told(f"{command} --data-dir {{missing}}")
    assert mistakes.places["garbage"] in mistakes.told(f"{command} --data-dir {{garbage}}")
    assert "nobody-at-all" in mistakes.told(f"{command} --data-dir ~nobody-at-all/x", code=(2,))
    assert "--data-dir" in mistakes.told(f"{command} --data-dir ''", code=(2,))
    mistakes.monkeypatch.delenv("HATCHWAY_DATA_DIR")
    # Without one, explain asks the API.
    words = "no region is configured" if command.startswith("explain") else "give --data-dir DIR"
    assert words in mistakes.told(command, code=(2,))


@pytest.mark.parametrize("command", (*SERVER_COMMANDS, GATEWAY))
def test_a_store_that_cannot_be_used_is_told_in_a_line(mistakes: Mistakes, command: str) -> None:
    for url, words in (
        ("nonsense", "the store's URL cannot be read: write it as"),
        ("mysql://x/y", "of no database that can be the store"),
        ("postgresql://u:secret@127.0.0.1:{closed}/x", "refused"),
        ("sqlite:///{garbage}", "is not a database"),
        ("sqlite:///{missing}/x.db", "unable to open"),
    ):
        mistakes.monkeypatch.setenv("HATCHWAY_STORE_URL", url.format_map(mistakes.places))
        told = mistakes.told(command)
        assert words in told
        assert "secret" not in told


@pytest.mark.parametrize(
    "command", (*SERVER_COMMANDS, "gateway --gateway 127.0.0.1:0", "init --data-dir {missing}")
)
def test_a_store_in_postgresql_without_psycopg_says_what_to_install(mistakes: Mistakes, command: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        mistakes.monkeypatch.delitem(sys.modules, name)
    mistakes.monkeypatch.setitem(sys.modules, "psycopg", None)
    mistakes.monkeypatch.setenv("HATCHWAY_STORE_URL", "postgresql://u:secret@127.0.0.1/x")
    assert "pip install 'hatchway[postgresql]'" in mistakes.told(command)
    assert not Path(mistakes.places["missing"]).exists()


@pytest.mark.parametrize("command", (*SERVER_COMMANDS, GATEWAY))
def test_a_store_of_another_version_says_which_program_to_run(mistakes: Mistakes, command: str) -> None:
    with sqlite3.connect(mistakes.data / "hatchway.db") as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")
    told = mistakes.told(command)
    assert "9999" in told
    assert "newer version again" in told
    if not command.startswith(("serve", "control")):
        with sqlite3.connect(mistakes.data / "hatchway.db") as store:
            store.execute("UPDATE alembic_version SET version_num = '0001'")
        assert "run 'hatchway migrate'" in mistakes.told(command)


@pytest.mark.parametrize("command", EACH_CLIENT_COMMAND)
def test_an_api_that_is_not_there_is_told_in_a_line_that_says_what_to_check(
    mistakes: Mistakes, command: str
) -> None:
    connects = command.startswith(("ssh", "open-tunnel"))
    for options, words in (
        ("", "see that Hatchway runs"),
        ("--endpoint-url 127.0.0.1:{closed}", "write it whole, such as https://"),
        ("--endpoint-url https://127.0.0.1:{plain}", "check the endpoint URL"),
        ("--endpoint-url http://127.0.0.1:{plain}", "check the endpoint URL"),
        (
            "--ca-bundle {missing}",
            "cannot be read (No such file or directory): correct --ca-bundle",
        ),
        ("--ca-bundle {garbage}", "holds no certificate in PEM form"),
        # Tunnels, and the questions before them, take a directory as OpenSSL has it.
        ("--ca-bundle {directory}", "see that Hatchway runs" if connects else "Is a directory"),
        ("--profile nobody", "nobody"),
        ("--region 'a b'", "a b"),
    ):
        assert words in mistakes.told(f"{command} --profile alice {options}"), options


@pytest.mark.parametrize("command", EACH_CLIENT_COMMAND)
def test_what_is_not_configured_is_told_and_aws_is_not_asked(mistakes: Mistakes, command: str) -> None:
    missing = {
        "no region is configured: give --profile": ("AWS_REGION", "us-east-1"),
        "no endpoint URL is configured: give --profile": ("AWS_ENDPOINT_URL", "https://127.0.0.1:1"),
    }
    while missing:
        told = mistakes.told(command)
        (named,) = [words for words in missing if words in told]
        mistakes.monkeypatch.setenv(*missing.pop(named))
    assert "no credentials are configured" in mistakes.told(command)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_MAX_ATTEMPTS", "x"), ("AWS_RETRY_MODE", "x"), ("AWS_DEFAULTS_MODE", "x"),
        ("AWS_CA_BUNDLE", "/nowhere/ca.pem"), ("AWS_ENDPOINT_URL", "x"), ("HTTPS_PROXY", "x:y:z"),
        ("AWS_CONFIG_FILE", "garbage"), ("AWS_SHARED_CREDENTIALS_FILE", "garbage"),
        ("AWS_CONFIG_FILE", "directory"),
    ],
)  # fmt: skip
def test_a_configuration_that_is_no_good_is_told_in_a_line(mistakes: Mistakes, name: str, value: str) -> None:
    mistakes.monkeypatch.setenv(name, mistakes.places.get(value, value))
    for command in CLIENT_COMMANDS:
        mistakes.told(f"{command} --profile alice")


@pytest.mark.parametrize("name", ["HATCHWAY_MASTER_KEY", "HATCHWAY_GATEWAY_KEY"])
def test_a_key_in_the_environment_that_is_none_is_told_by_its_variable(mistakes: Mistakes, name: str) -> None:
    mistakes.monkeypatch.setenv(name, "é")
    assert name in mistakes.told("serve --api 127.0.0.1:0 --gateway 127.0.0.1:0")


@pytest.mark.parametrize(
    "line",
    [
        "init --data-dir {missing} --account 12", "init --data-dir {missing} --region 'x y'",
        "init --data-dir {missing} --gateway-dns-name https://h", "init --data-dir {data}",
        "init --data-dir {garbage}", "serve --api nonsense", "serve --api 127.0.0.1:99999",
        "serve --gateway :0:0",
        "serve --gateway-workers 0", "serve --user nobody-at-all", "serve --api-cert {garbage}",
        "serve --log-format xml",
        "serve --metrics x",
        "serve --drain-timeout x", "serve --vpc ''", "serve --proxy-protocol-from x",
        "serve --api-proxy-protocol-from x", "init --unattended --data-dir {data} --account 000000000000",
        "serve --api 192.0.2.1:0", "serve --idle-limit -1", "serve --max-tunnels -1",
        "host enroll nobody", "host script nobody", f"host script {HOST} --api-url nonsense",
        "access-key create nobody", "access-key create alice --profile 'a b'", "explain nonsense",
        "access-key create \udcff", "access-key delete \udcff", "explain \udcff", "backup \udcff",
        "backup ''", "restore ''",
        "simulate", "simulate --policy {garbage}", "simulate --principal nobody --action ec2:RunInstances",
        f"simulate --policy {OFFICE} --action x",
        f"simulate --policy {OFFICE} --action ec2:RunInstances --resource x",
        f"simulate --policy {OFFICE} --action ec2:RunInstances --context x",
        "lint", "lint --format x {garbage}", "policy test {empty}", "policy", "trust", "tunnels", "host",
        "nonsense", "--nonsense", "apply", "apply {fleet} {fleet}", "export x",
        "open-tunnel --profile alice", "open-tunnel --profile alice --instance-id x",
        f"open-tunnel --profile alice --instance-id {HOST} --remote-port x", "ssh", f"ssh {HOST} --os-user",
        f"open-tunnel --profile alice --private-ip-address x --instance-connect-endpoint-id {ENDPOINT}",
    ],
)  # fmt: skip
def test_an_argument_that_cannot_be_meant_is_told_in_a_line(mistakes: Mistakes, line: str) -> None:
    mistakes.told(line)
    assert not Path(mistakes.places["missing"]).exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("open-tunnel web-1 --local-port 99999", "'--local-port': give at most 65535"),
        ("open-tunnel web-1 --local-port -1", "'--local-port': give at least 0"),
        ("open-tunnel web-1 --local-port x", "'--local-port': give a whole number"),
        ("open-tunnel web-1 --remote-port 0", "'--remote-port': give at least 1"),
        ("open-tunnel web-1 --gateway-port 65536", "'--gateway-port': give at most 65535"),
        ("open-tunnel web-1 --max-tunnel-duration 86401", "'--max-tunnel-duration': give at most 86400"),
        ("ssh --remote-port 000070000 web-1", "'--remote-port': give at most 65535"),
        ("ssh -p 65536 web-1", "'65536' is not a port: give one from 1 to 65535"),
        ("ssh --max-tunnel-duration 0 web-1", "'--max-tunnel-duration': give at least 1"),
        ("ssh-config --gateway-port 0", "'--gateway-port': give at least 1"),
        ("forward web-1 22:99999", "'22:99999' is no port"),
        ("rdp web-1 --local-port 99999", "'--local-port': give at most 65535"),
        ("rdp web-1 --remote-port 0", "'--remote-port': give at least 1"),
        ("serve --drain-timeout x", "'--drain-timeout': give a number"),
        ("lint --format x {fleet}", "'--format': 'x' is not one of 'text', 'json', 'sarif'"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_option_in_words_of_our_own(
    mistakes: Mistakes, line: str, words: str
) -> None:
    assert words in mistakes.told(line, code=(2,))


@pytest.mark.parametrize("option", ["--profile", "--data-dir", "--script"])
def test_an_option_before_the_command_is_told_to_come_after_it(mistakes: Mistakes, option: str) -> None:
    told = mistakes.told(f"{option} alice ssh web-1")
    assert told == (
        f"hatchway: {option} is an option of commands: give it after the command (see 'hatchway --help')\n"
    )


def test_ports_that_others_have_are_told_with_the_option(mistakes: Mistakes) -> None:
    for line in ("serve --api 127.0.0.1:{plain} --gateway 127.0.0.1:0", "control --api 127.0.0.1:{plain}"):
        assert mistakes.places["plain"] in mistakes.told(line)


def test_a_directory_that_may_not_be_written_is_told_in_a_line(mistakes: Mistakes, tmp_path: Path) -> None:
    # Of /proc, as root may write anywhere else.
    assert "/proc/hatchway" in mistakes.told("init --data-dir /proc/hatchway")
    mistakes.monkeypatch.setenv("AWS_CONFIG_FILE", "/proc/hatchway/config")
    assert "/proc/hatchway" in mistakes.told("access-key create bob --profile bob")
    assert "/proc/x" in mistakes.told("policy test examples/policy-tests --junit /proc/x")


def test_without_a_home_the_profile_s_place_is_asked_for_in_a_line(mistakes: Mistakes) -> None:
    for name in ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        mistakes.monkeypatch.delenv(name)
    mistakes.monkeypatch.setattr("pwd.getpwuid", lambda _uid: (_ for _ in ()).throw(KeyError(_uid)))
    assert "HOME" in mistakes.told("access-key create bob --profile bob")
    mistakes.told("tunnels list --profile alice")


def test_an_interrupt_ends_in_silence(mistakes: Mistakes, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hatchway.account.fleet.export_fleet", interrupted)
    assert main.run(["export"]) == 130
    assert mistakes.capture.readouterr() == ("", "")


def test_a_defect_of_the_program_is_told_as_one(mistakes: Mistakes, monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("hatchway.account.fleet.export_fleet", defective)
    assert main.run(["export"]) == 1
    told = mistakes.capture.readouterr().err
    assert "ZeroDivisionError: a defect" in told
    assert told.endswith("hatchway: this is a defect of Hatchway: please report it, with the lines above\n")


@pytest.mark.parametrize("redirection", [">/dev/full", "| :"])
def test_output_that_nobody_takes_is_no_traceback(installed: Installed, redirection: str) -> None:
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{shlex.join([*COMMAND, 'export'])} {redirection}"],
        env=environment(installed.variables), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1 or (redirection == "| :" and done.returncode == 0)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    if redirection == ">/dev/full":
        assert done.stderr.startswith("hatchway: the disk is full")


def test_a_terminal_without_unicode_is_no_traceback(installed: Installed, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "instances: {web-1: {subnet: lab/web, id: i-0123456789abcdef0, private_ip: 127.0.40.2}}\n"
    )
    done = subprocess.run(
        [*COMMAND, "apply", str(fleet), "--plan"],
        env=environment(installed.variables) | {"PYTHONIOENCODING": "ascii"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "127.0.40.2" in done.stdout


def test_an_interrupt_from_the_keyboard_is_no_traceback(installed: Installed) -> None:
    # What a shell without job control starts in the background ignores SIGINT, and so do its children.
    process = subprocess.Popen(
        ["env", "--default-signal=INT", *COMMAND, "apply", "/dev/stdin"],
        env=environment(installed.variables),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        # It is within its work once it has read from us.
        assert process.stdin is not None
        process.stdin.write("#" * 1_000_000)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("ec2-instance-connect:OpenTunnels", "did you mean ec2-instance-connect:OpenTunnel?"),
        ("ec2:Nonsense", "ec2 has no such action as 'ec2:Nonsense'"),
        ("ec3:RunInstances", "there is no service 'ec3'"),
        ("hatchway:ListTunnel", "did you mean hatchway:ListTunnels?"),
    ],
)
def test_simulate_says_when_no_such_action_exists(mistakes: Mistakes, action: str, words: str) -> None:
    for source, code in ((f"--policy {OFFICE}", 1), ("--principal alice", 0)):
        # Alice may do everything, and so also what there is not.
        assert words in mistakes.told(f"simulate {source} --action {action}", code=(code,))
    mistakes.capture.readouterr()
    main.run(["simulate", "--policy", OFFICE, "--action", "ec2:DescribeInstances"])
    assert mistakes.capture.readouterr().err == ""


def test_nothing_of_a_file_reaches_the_terminal_but_what_is_to_be_read(
    mistakes: Mistakes, tmp_path: Path
) -> None:
    files = {"AWS_CONFIG_FILE": "", "AWS_SHARED_CREDENTIALS_FILE": "[bob]\naws_access_key_id = \x1b[2J\x9b\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        mistakes.monkeypatch.setenv(name, str(tmp_path / name))
    assert r"\x1b[2J\x9b" in mistakes.told("access-key create bob --profile bob")
