"""No command prints the password in a store's URL, however the URL is misspelt."""

import re
from pathlib import Path

import pytest
from tests.cli.commands import hatchway
from tests.cli.conftest import Installed

SECRET = "hunter2"
URLS = {
    "a slash too few": f"postgresql+psycopg:/hatchway:{SECRET}@127.0.0.1:1/hatchway",
    "an @ in the password": f"postgresql+psycopg://hatchway:p@{SECRET}@127.0.0.1:1/hatchway",
    "a port that is none": f"postgresql+psycopg://hatchway:{SECRET}@127.0.0.1:port/hatchway",
    "another database": f"mysql://hatchway:{SECRET}@127.0.0.1:1/hatchway",
    "an option that is none": f"postgresql+psycopg://127.0.0.1:1/hatchway?unheard_of={SECRET}",
    "nobody there": f"postgresql+psycopg://hatchway:{SECRET}@127.0.0.1:1/hatchway",
}
COMMANDS = {
    "serve": ("serve", "--api", "127.0.0.1:0", "--gateway", "127.0.0.1:0"),
    "control": ("control", "--api", "127.0.0.1:0"),
    "gateway": ("gateway", "--gateway", "127.0.0.1:0"),
    "apply": ("apply", "/dev/null"),
    "access-key": ("access-key", "create", "alice"),
}


def assert_silent(returncode: int, output: str) -> None:
    assert returncode in {1, 2}
    assert SECRET not in output
    assert "Traceback" not in output
    assert len(re.findall(r"^hatchway: .*store", output, re.MULTILINE)) == 1, output


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_a_password_or_a_traceback(command: str, url: str, installed: Installed) -> None:
    variables = {**installed.variables, "HATCHWAY_STORE_URL": URLS[url]}
    done = hatchway(*COMMANDS[command], variables=variables)
    assert_silent(done.returncode, done.stdout + done.stderr)


@pytest.mark.parametrize("url", URLS)
def test_init_prints_none_and_makes_nothing(url: str, tmp_path: Path) -> None:
    done = hatchway("init", "--data-dir", str(tmp_path / "data"), "--store-url", URLS[url])
    assert_silent(done.returncode, done.stdout + done.stderr)
    assert not (tmp_path / "data").exists()
