"""The image and the compose file: restricted, of this version, and what they start serves and says so."""

import json
import re
import subprocess
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from tests.cli.commands import environment, hatchway
from tests.cli.test_documented_commands import parse
from tests.deploy.site import start
from tests.e2e.waiting import free_port

from hatchway import __version__

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = (REPOSITORY / "deploy/container/Dockerfile").read_text()
COMPOSE = REPOSITORY / "deploy/compose/compose.yaml"
ADDRESS = "10.0.1.254"
DATA = "/var/lib/hatchway/data"


@cache
def service() -> dict[str, Any]:
    """The compose file's one service, as Docker Compose reads it."""
    done = subprocess.run(
        [Path(sys.executable).with_name("docker-compose"), "--file", COMPOSE, "config", "--format", "json"],
        env=environment({"HATCHWAY_ADDRESS": ADDRESS}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["services"].values()
    assert isinstance(found, dict)
    return found


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)


def test_the_image_takes_nothing_but_what_the_repository_lets_it() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    let = [line.removeprefix("!") for line in lines if line.startswith("!")]
    copied = [
        word for line in instructions("COPY") if not line.startswith("--from") for word in line.split()[:-1]
    ]
    assert sorted(copied) == sorted(let)
    assert all((REPOSITORY / name).exists() for name in let)


def test_what_is_downloaded_is_checked_and_nothing_else_is_installed() -> None:
    for line in instructions("RUN"):
        for command in re.findall(r"\bpip\b(?: --python \S+)? (?:download|install|wheel) [^&]*", line):
            assert "--require-hashes" in command or "--no-index" in command or "--no-deps" in command, command


def test_the_image_is_nobodys_who_could_be_somebody_else() -> None:
    assert instructions("USER") == [f"{service()['user']}"]
    assert f"HATCHWAY_DATA_DIR={DATA}" in instructions("ENV")[0]
    assert instructions("VOLUME") == ["/var/lib/hatchway"]
    (volume,) = service()["volumes"]
    assert (volume["type"], volume["target"]) == ("volume", "/var/lib/hatchway")
    assert (service()["read_only"], service()["cap_drop"]) == (True, ["ALL"])
    assert "no-new-privileges:true" in service()["security_opt"]


def test_it_is_called_by_this_version() -> None:
    assert service()["image"] == f"hatchway:{__version__}"
    assert f"-t hatchway:{__version__} ." in DOCKERFILE


def test_what_compose_starts_serves_and_says_that_it_does(tmp_path: Path) -> None:
    """As process 1, for root, who may have that."""
    data = tmp_path / "data"
    ports = {inside: free_port() for inside in (443, 8443, 9464)}
    words = list(map(str, service()["command"]))
    parse(words)
    for inside, outside in ports.items():
        words = [re.sub(rf"(?<==)[\d.]+:{inside}$", f"127.0.0.1:{outside}", word) for word in words]
    _, _, _, check = map(str, service()["healthcheck"]["test"])
    for inside, outside in ports.items():
        check = check.replace(f"127.0.0.1:{inside}/", f"127.0.0.1:{outside}/")
    check = check.replace(DATA, str(data))

    def healthy() -> bool:
        done = subprocess.run(
            [sys.executable, "-c", check], env=environment(), capture_output=True, check=False
        )
        return done.returncode == 0

    variables = {"HATCHWAY_DATA_DIR": str(data)}
    made = hatchway("init", "--gateway-dns-name", "hatchway.example", variables=variables)
    assert made.returncode == 0, made.stderr
    assert not healthy()
    command = [sys.executable, "-P", "-m", "hatchway", *words]
    with ExitStack() as down:
        log = tmp_path / "log"
        server = start(down, log, command, environment(variables), contained=True)
        assert server.line().startswith("ready "), log.read_text()
        assert healthy()
        assert server.stop() == 0
        assert not healthy()
