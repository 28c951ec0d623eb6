"""What `pip install hatchway` brings: the client and the policy library, and no more than they need.

The wheel is built and installed by itself; of the packages that this environment has, only those that the
wheel asks for are let in. pip's own resolving is left out: it would need a network.
"""

import json
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from types import MappingProxyType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.cli.commands import environment

REPOSITORY = Path(__file__).parents[1]
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}]}
SERVER_MISSING = "hatchway: this needs what a server needs: pip install 'hatchway[server]'\n"
NOWHERE_ON = {
    "windows": ("fcntl", "grp", "pwd", "resource", "termios", "uvloop"),
    "macos": ("uvloop",),
}


def needed_by(roots: list[Requirement]) -> set[str]:
    """The names of all packages that these lead to, here."""
    found: set[str] = set()
    ahead = [one for one in roots if one.marker is None or one.marker.evaluate({"extra": ""})]
    while ahead:
        name = canonicalize_name(ahead.pop().name)
        if name not in found:
            found.add(name)
            more = map(Requirement, distribution(name).requires or [])
            ahead += [one for one in more if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The interpreter of an environment with the wheel and what it asks for."""
    directory = tmp_path_factory.mktemp("packaging")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True, timeout=120)
    (wheel,) = directory.glob("*.whl")
    venv.create(directory / "venv", with_pip=False, symlinks=True)
    (site,) = (directory / "venv").glob("lib/python3*/site-packages")
    into = ["--no-deps", "--no-index", "--target", str(site)]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        *into,
        str(wheel),
    ]
    subprocess.run(pip, check=True, capture_output=True, timeout=120)
    (metadata,) = site.glob("hatchway-*.dist-info/METADATA")
    lines = metadata.read_text().splitlines()
    roots = [Requirement(line.partition(": ")[2]) for line in lines if line.startswith("Requires-Dist: ")]
    for name in needed_by(roots):
        for file in distribution(name).files or ():
            top = Path(file.parts[0])
            there = Path(str(distribution(name).locate_file(top)))
            if top.name not in ("..", "__pycache__") and there.exists() and not (site / top.name).exists():
                (site / top.name).symlink_to(there)
    yield directory / "venv" / "bin" / "python"


CALLER = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-used"}


def run(
    python: Path,
    *arguments: str,
    hidden: tuple[str, ...] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> "subprocess.CompletedProcess[str]":
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden!r}));"
        "from hatchway.cli.start import main; main()"
    )
    return subprocess.run(
        [python, "-I", "-c", program, *arguments],
        env=environment(variables), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_client_and_the_policy_library_need_no_package_of_a_server(python: Path, tmp_path: Path) -> None:
    site = next(python.parents[1].glob("lib/python3*/site-packages"))
    here = {path.name for path in site.iterdir()}
    assert not here & {"sqlalchemy", "cryptography", "picows", "starlette", "uvicorn", "alembic", "structlog"}
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    simulated = run(python, "simulate", "--policy", str(policy), "--action", "ec2:DescribeInstances")
    assert (simulated.returncode, simulated.stderr) == (0, "")
    asked = ("--region", "us-east-1", "--endpoint-url", "https://127.0.0.1:1")
    tried = run(python, "ssh", "--dry-run", *asked, "i-0123456789abcdef0")
    assert (tried.returncode, tried.stdout) == (255, "")
    assert tried.stderr.startswith("hatchway: no credentials are configured")


@pytest.mark.parametrize(
    "command", [("init", "--data-dir", "/nowhere/data"), ("serve", "--data-dir", "/nowhere"), ("demo",)]
)
def test_a_command_of_the_server_says_how_to_get_one(python: Path, command: tuple[str, ...]) -> None:
    done = run(python, *command)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", SERVER_MISSING)


@pytest.mark.parametrize("system", ["linux", *NOWHERE_ON])
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("explain 5d2c", "hatchway: ExplainDenial: Could not connect to the endpoint URL"),
        ("events", "hatchway: LookupEvents: Could not connect to the endpoint URL"),
        ("tunnels list", "hatchway: ListTunnels: Could not connect to the endpoint URL"),
        ("doctor", "error    API: https://127.0.0.1:1: Connection refused"),
        (
            "trust install --ca-certificate /dev/null",
            "hatchway: /dev/null holds no CA certificate in PEM form",
        ),
    ],
)
def test_what_a_client_s_messages_send_people_to_is_there_with_the_client_alone(
    python: Path, command: str, said: str, system: str
) -> None:
    words = (
        [] if command.startswith("trust") else ["--region=us-east-1", "--endpoint-url=https://127.0.0.1:1"]
    )
    done = run(python, *command.split(), *words, hidden=NOWHERE_ON.get(system, ()), variables=CALLER)
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("system", NOWHERE_ON)
def test_what_other_systems_lack_is_needed_by_no_command_of_the_client(python: Path, system: str) -> None:
    hidden = NOWHERE_ON[system]
    assert run(python, "--help", hidden=hidden).returncode == 0
    assert run(python, "ssh", "--help", hidden=hidden).returncode == 0
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden!r}));"
        "from hatchway.client.api import api_client, profile, tunnels;"
        "from hatchway.client.discovery import discovery, host_list, hosts;"
        "from hatchway.client.ssh import ssh;"
        "from hatchway.client.tunnel import listener, local, signals, tunnel;"
        "from hatchway.client.tunnel.event_loop import loop_factory; assert loop_factory() is None"
    )
    subprocess.run([python, "-I", "-c", program], check=True, timeout=60)


# What Python has not there, taken away once all that needs it here has been loaded.
LACKING = """
import asyncio, contextlib, os, select, shutil, signal, socket, subprocess, sys, tempfile
from hatchway.cli.start import main

for module, names in {
    os: "fork fchmod fchown get_blocking geteuid getuid readv set_blocking waitid writev",
    select: "poll",
    signal: "SIGHUP SIGQUIT SIGSTOP SIGTSTP SIGUSR1",
    socket: "AF_UNIX recv_fds",
}.items():
    for name in names.split():
        delattr(module, name)
for words in WORDS:
    sys.argv = ["hatchway", *words]
    with contextlib.suppress(SystemExit):
        main()
"""


def test_on_windows_what_opens_tunnels_says_that_it_cannot_and_nothing_ends_in_a_traceback(
    python: Path, tmp_path: Path
) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text("no certificate")
    refused = (
        ("ssh", "web-1"), ("ssh", "--dry-run", "web-1"), ("open-tunnel", "web-1"), ("forward", "web-1", "80"),
        ("open-tunnel", "web-1", "--local-port", "0"), ("rdp", "web-1"), ("ssh-config",),
    )  # fmt: skip
    others = (
        ("hosts",), ("explain", "5d2c"), ("tunnels", "list"),
        ("trust", "install", "--ca-certificate", certificate),
    )  # fmt: skip
    words = [tuple(map(str, line)) for line in (*refused, *others)]
    hidden = f"import sys; sys.modules.update(dict.fromkeys({NOWHERE_ON['windows']!r}))"
    done = subprocess.run(
        [python, "-I", "-c", f"{hidden}\nWORDS = {words!r}\n{LACKING}"],
        env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert len(lines) == len(words), done.stderr
    assert all(line.startswith("hatchway: ") for line in lines), lines
    for line in lines[: len(refused)]:
        assert line.startswith("hatchway: hatchway opens no tunnels on Windows: use it in WSL"), lines
    assert not any("Windows" in line for line in lines[len(refused) :])
