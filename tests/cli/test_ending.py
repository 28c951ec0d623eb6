"""How a command ends, as whoever sits at the terminal sees it."""

import json
import os
import pty
import subprocess
import sys
import tty
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, environment
from tests.programs import needs

from hatchway.cli import start
from hatchway.cli.ending import ended, errors_are_no_answers, fail


def shown(terminal: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(terminal, 100)
    return data


def test_a_line_begins_at_the_left_on_a_terminal_that_ssh_has(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", buffering=1, newline="") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        assert fail("one\ntwo", 255) == 255
        assert shown(ours, 30) == b"hatchway: one\r\nhatchway: two\r\n"
        tty.setraw(theirs)
        assert fail("one\ntwo", 255) == 255
        assert shown(ours, 32) == b"\r\nhatchway: one\r\nhatchway: two\r\n"
    os.close(ours)


def test_an_interrupt_while_the_command_is_loaded_ends_it_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(start, "_run", interrupted)
    with pytest.raises(SystemExit) as ended:
        start.main()
    assert ended.value.code == 130
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("line", "code", "output"),
    [
        # What cannot be told is told to nobody, and changes nothing else.
        ("nonsense 2>&-", 2, ""),
        ("nonsense 2>/dev/full", 2, ""),
        ("open-tunnel web-1 2>&-", 255, ""),
        ("open-tunnel web-1 2>/dev/full", 255, ""),
        ("ssh web-1 2>/dev/full", 255, ""),
        ("lint /nowhere <&- >&- 2>&-", 2, ""),
        ("--version >/dev/full", 1, ""),
        ("--version 2>&- <&-", 0, "hatchway "),
    ],
)
def test_standard_streams_that_take_nothing_change_no_exit_code_and_nothing_else_goes_to_output(
    line: str, code: int, output: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {line}', "sh", *COMMAND],
        env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert done.stdout.startswith(output)
    assert bool(done.stdout) == bool(output)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("takes_it", ["a full disk", "nobody"])
@pytest.mark.parametrize("line", ["lint FILE", "simulate --action ec2:RunInstances --policy FILE"])
def test_an_answer_that_cannot_be_written_is_none(line: str, takes_it: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    allows = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [allows]}))
    read, output = os.pipe()
    os.close(read)
    if takes_it == "a full disk":
        os.close(output)
        output = os.open("/dev/full", os.O_WRONLY)
    done = subprocess.run(
        [*COMMAND, *line.replace("FILE", str(policy)).split()],
        env=environment(), stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(output)
    told = (
        "" if takes_it == "nobody" else "hatchway: the disk is full: free some space where the output goes\n"
    )
    assert (done.returncode, done.stderr) == (2, told)


def test_a_question_that_a_defect_leaves_without_an_answer_is_not_answered_no(
    capsys: pytest.CaptureFixture[str],
) -> None:
    @errors_are_no_answers()
    def command() -> int:
        raise ZeroDivisionError("a defect")

    assert ended(command) == 2
    assert "ZeroDivisionError: a defect" in capsys.readouterr().err


@needs("ssh", "openssh-client")
def test_ssh_with_streams_that_are_closed_has_some_that_end_and_take_all() -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" ssh -V <&- >&-', "sh", *COMMAND],
        env=environment(), stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr.startswith("OpenSSH")


def test_a_disk_that_is_full_leaves_a_command_the_exit_code_of_what_it_failed_of() -> None:
    program = (
        "import sys; from hatchway.cli.ending import ended; from hatchway.errors import TunnelFailed\n"
        "def command():\n"
        "    try: print('Listening', flush=True)\n"
        "    except OSError: raise TunnelFailed('no tunnel')\n"
        "sys.exit(ended(command))"
    )
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment({"PYTHONUNBUFFERED": ""}), stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (255, "hatchway: no tunnel\n")
