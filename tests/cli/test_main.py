import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import COMMAND, environment
from tests.cli.commands import hatchway as run
from tests.programs import needs
from typer.main import get_command

import hatchway
from hatchway.cli import main
from hatchway.cli.help_texts import plain_help
from hatchway.commit import built_from

ROOT = Path(__file__).parents[2]

COMMANDS = [
    ("init",), ("backup",), ("restore",), ("serve",), ("control",), ("gateway",), ("apply",), ("export",),
    ("host", "enroll"), ("host", "script"), ("access-key", "create"), ("access-key", "list"),
    ("access-key", "rotate"), ("access-key", "deactivate"), ("access-key", "activate"),
    ("access-key", "delete"), ("trust", "install"), ("hosts",), ("ssh",), ("open-tunnel",), ("demo",),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: tuple[str, ...]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"hatchway {' '.join(command)}" in done.stdout.partition("Example")[2]


def test_without_a_command_it_says_what_there_is() -> None:
    done = run()
    assert done.returncode == 0
    for command in COMMANDS:
        assert command[0] in done.stdout


def test_the_version_is_that_of_the_latest_release_in_the_changelog() -> None:
    headings = re.findall("^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(re.escape(hatchway.__version__) + r" - \d{4}-\d\d-\d\d", headings[1])


def test_the_version_is_the_packages() -> None:
    commit = built_from()
    assert commit is None or re.fullmatch("[0-9a-f]{12,}(-dirty)?", commit)
    told = "" if commit is None else f" (commit {commit})"
    assert run("--version").stdout == f"hatchway {hatchway.__version__}{told}\n"


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("init", "--nonsense"), ("apply",), ("host",), ("ssh", "--os-user")]
)
def test_wrong_usage_ends_with_2_and_one_line(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hatchway: ")
    assert done.stderr.count("\n") == 1


NO_API = ("--region", "us-east-1", "--endpoint-url", "https://nowhere.invalid")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("open-tunnel",), 2),
        (("hosts", "--tag", "env"), 2),
        (
            ("open-tunnel", "--instance-id", "web-1", "--region", "us-east-1", "--endpoint-url", "https://h"),
            2,
        ),
        (("open-tunnel", "--private-ip-address", "10.0.0.1"), 2),
        (("open-tunnel", "--instance-id", "i-0123456789abcdef0"), 255),
        pytest.param(
            ("ssh", "i-0123456789abcdef0", "--os-user", "a b", "--region", "us-east-1"),
            2,
            marks=needs("ssh", "openssh-client"),
        ),
        (("ssh", "i-0123456789abcdef0", "--profile", "nobodys"), 255),
        (("forward", "web-1", "x"), 2),
        (("forward", "web-1", "22:0", *NO_API), 255),
        (("rdp", "web-1", "--user", ""), 2),
        (("rdp", "web-1", "--no-start", *NO_API), 255),
        (("hosts", *NO_API), 1),
    ],
)
def test_client_commands_fail_in_one_line(arguments: tuple[str, ...], code: int) -> None:
    done = run(
        *arguments, variables={"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("hatchway: ")
    assert done.stderr.count("\n") == 1


def test_help_loads_nothing_that_only_a_server_needs() -> None:
    program = (
        "import sys; from hatchway.cli.main import app; app(['--help'], standalone_mode=False);"
        "heavy = {'sqlalchemy', 'botocore', 'cryptography', 'starlette', 'uvicorn', 'rich', 'yaml'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    with subprocess.Popen(
        [*COMMAND, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def _all_commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from _all_commands(inner, (*path, name))


@pytest.mark.parametrize("path", list(_all_commands(get_command(main.app))), ids=" ".join)
def test_help_speaks_of_no_python_types_and_in_no_code(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*path, "--help"]) == 0
    told = capsys.readouterr().out.replace("'{endpoint_id}.NAME'", "")
    for code in (
        "<str",
        "<int",
        "<float",
        "<path",
        "list[",
        "[default",
        "[env var",
        "<=",
        "[required",
        "{",
        "None",
    ):
        assert code not in told, told


def test_what_stands_in_brackets_is_made_into_sentences() -> None:
    for given, told in (
        ("X.  [env var: X_Y; default: 10.0; 0<=x<=9]", "X. Or set X_Y. By default 10. From 0 to 9."),
        ("Text.  [default: (never); x>=1; required]", "Text. By default never. At least 1. Must be given."),
        ("Text [of somebody's].", "Text [of somebody's]."),
    ):  # fmt: skip
        assert plain_help(given) == told


def test_examples_in_help_are_command_lines_that_are_understood() -> None:
    """Each is parsed as it stands, without being run."""
    root: Any = get_command(main.app)
    for path in _all_commands(root):
        command = root
        for name in path:
            command = command.commands[name]
        if hasattr(command, "commands"):
            continue
        examples = (command.help or "").partition("Example")[2].replace("\\\n", " ")
        lines = [line.strip().removeprefix("sudo ") for line in examples.splitlines()]
        lines = [line for line in lines if line.startswith("hatchway ")]
        assert lines, path
        for line in lines:
            words = shlex.split(line.partition(" > ")[0].partition(" | ")[0])
            assert tuple(words[1 : 1 + len(path)]) == path, line
            command.make_context(" ".join(path), words[1 + len(path) :], resilient_parsing=False)


def test_a_command_whose_output_is_closed_ends_in_order() -> None:
    command = f"exec {shlex.quote(sys.executable)} -m hatchway --version >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
