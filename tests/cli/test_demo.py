"""The demo of README.md as a user sees it: run as a process, once as it is and once without OpenSSH."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.commands import COMMAND, environment, hatchway
from tests.e2e.waiting import wait_until

from hatchway.cli.demo_command import demo
from hatchway.demo.scenario import SCENARIO
from hatchway.errors import CommandFailed


def left_behind(directory: Path) -> list[str]:
    """What still names the demo's directory: its files, and command lines of processes."""
    found = [str(path) for path in directory.iterdir()]
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = command_line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{directory}/hatchway-demo" in text:
            found.append(text)
    return found


@pytest.mark.parametrize("options", [(), ("--without-openssh",)], ids=["as it is", "without OpenSSH"])
def test_all_goes_as_expected_and_nothing_is_left_behind(tmp_path: Path, options: tuple[str, ...]) -> None:
    places = {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "XDG_CACHE_HOME": ""}
    done = hatchway("demo", *options, variables=places, timeout=540)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NOT AS TOLD" not in done.stdout
    assert "\x1b" not in done.stdout
    told = re.findall(r"^  ([✔✘]) (.*)$", done.stdout.partition("The audit trail:")[0], re.MULTILINE)
    steps = [step for part in SCENARIO for step in part.steps]
    assert told == [("✔" if step.expected.allowed else "✘", step.description) for step in steps]
    for step in steps:
        assert step.expected.message in done.stdout
    assert "ec2-instance-connect:remotePort: request 3389" in done.stdout
    assert "OpenTunnel" in done.stdout.partition("The audit trail:")[2]
    # A process that was told to end may take a moment.
    wait_until(lambda: not left_behind(tmp_path), message=lambda: f"{left_behind(tmp_path)}")


def test_without_openssh_and_its_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(CommandFailed, match=re.escape("pip install 'hatchway[demo]'")):
        demo(without_openssh=True)


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGINT, ()), (signal.SIGTERM, ("--without-openssh",))]
)
def test_an_interrupted_demo_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, options: tuple[str, ...]
) -> None:
    # What a shell without job control starts in the background ignores SIGINT, and so do its children.
    heeding = ["env", "--default-signal=INT"]
    with subprocess.Popen(
        [*heeding, *COMMAND, "demo", *options],
        env=environment({"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("bob"):
                break
        time.sleep(1)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=540)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    # A process that was told to end may take a moment.
    wait_until(lambda: not left_behind(tmp_path), message=lambda: f"{left_behind(tmp_path)}")
