"""The supervisor with small shell programs in the place of the planes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.processes import lives

PARENT = """
import sys
from hatchway.errors import CommandFailed
from hatchway.supervision.supervisor import Program, supervise
from hatchway.logs import configure_logs
from hatchway.settings import LogFormat

configure_logs(LogFormat.JSON)
names = sys.argv[2::2]
programs = [Program(name, ("sh", "-c", script)) for name, script in zip(names, sys.argv[3::2])]
try:
    supervise(
        programs,
        drain_seconds=float(sys.argv[1]),
        announce=lambda where: print(where, flush=True),
        refresh=lambda: print("refreshed", flush=True),
    )
except CommandFailed as failure:
    print(failure)
    sys.exit(1)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a supervisor of programs given as name, shell script, name, shell script…"""
    running: list[subprocess.Popen[str]] = []

    def start(*programs: str, drain: float = 5) -> "subprocess.Popen[str]":
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(drain), *programs],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        running.append(parent)
        return parent

    yield start
    for parent in running:
        # The shell programs, unlike the planes, do not die with a killed parent.
        for number in (signal.SIGTERM, signal.SIGINT):
            parent.send_signal(number)
        parent.communicate(timeout=60)


def first_line(parent: "subprocess.Popen[str]") -> str:
    assert parent.stdout is not None
    return parent.stdout.readline()


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_ready_is_announced_once_when_all_are(start: Start) -> None:
    parent = start(
        *("one", "echo noise; echo ready api=https://a; exec sleep 100"),
        *("two", "sleep 1; echo ready gateway=wss://b; exec sleep 100"),
    )
    assert first_line(parent) == "{'api': 'https://a', 'gateway': 'wss://b'}\n"
    parent.terminate()
    stdout, _ = parent.communicate(timeout=60)
    assert (parent.returncode, stdout) == (0, "")


def test_the_others_begin_when_the_first_is_ready(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "ready"
    parent = start(
        *("one", f"sleep 0.5; touch {mark}; echo ready; exec sleep 100"),
        *("two", f"test -e {mark} && echo ready gateway=wss://b && exec sleep 100"),
    )
    assert first_line(parent) == "{'gateway': 'wss://b'}\n"


def test_a_first_one_that_does_not_start_is_named_and_no_other_begins(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "begun"
    parent = start("bad", "exit 3", "other", f"touch {mark}; echo ready; exec sleep 100")
    stdout, _ = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert "bad did not start (exit status 3)" in stdout
    assert not mark.exists()


def test_one_that_does_not_start_ends_them_all_and_is_named(start: Start, tmp_path: Path) -> None:
    other = tmp_path / "pid"
    parent = start("good", f"echo $$ >{other}; echo ready; exec sleep 100", "bad", "sleep 1; exit 3")
    stdout, _ = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert "bad did not start (exit status 3)" in stdout
    assert not lives(int(other.read_text()))


def test_one_that_dies_is_restarted_and_the_other_is_not(start: Start, tmp_path: Path) -> None:
    parent = start(
        *("fragile", f"echo $$ >>{tmp_path}/fragile; echo ready; exec sleep 100"),
        *("steady", f"echo $$ >>{tmp_path}/steady; echo ready; exec sleep 100"),
    )
    first_line(parent)
    victim = int((tmp_path / "fragile").read_text())
    os.kill(victim, signal.SIGKILL)
    assert eventually(lambda: len((tmp_path / "fragile").read_text().split()) == 2)
    assert len((tmp_path / "steady").read_text().split()) == 1
    parent.terminate()
    _, stderr = parent.communicate(timeout=60)
    assert "signal SIGKILL" in stderr


def test_stopping_waits_for_what_drains(start: Start, tmp_path: Path) -> None:
    done = tmp_path / "done"
    parent = start(
        "slow", f"trap 'sleep 1; echo done >{done}; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    )
    first_line(parent)
    parent.terminate()
    parent.communicate(timeout=60)
    assert parent.returncode == 0
    assert done.exists()


def test_the_first_is_told_to_stop_when_the_others_have_ended(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "log"

    def script(name: str, before: str = "true") -> str:
        return f"trap '{before}; echo {name} >>{log}; exit 0' TERM; echo ready; while :; do sleep 0.1; done"

    parent = start("first", script("first"), "slow", script("slow", "sleep 0.5"), "quick", script("quick"))
    first_line(parent)
    parent.terminate()
    parent.communicate(timeout=60)
    *others, last = log.read_text().split()
    assert (sorted(others), last) == (["quick", "slow"], "first")


def test_without_a_service_manager_that_keeps_its_processes_it_stops_them_all(
    start: Start, tmp_path: Path
) -> None:
    parent = start("one", f"echo $$ >{tmp_path}/pid; echo ready; exec sleep 100")
    first_line(parent)
    parent.send_signal(signal.SIGUSR2)
    _, stderr = parent.communicate(timeout=60)
    assert parent.returncode == 0
    assert "no service manager started this server" in stderr
    assert not lives(int((tmp_path / "pid").read_text()))


def test_one_that_does_not_stop_is_killed_on_a_second_signal(start: Start, tmp_path: Path) -> None:
    parent = start(
        "stubborn",
        f"trap '' TERM; echo $$ >{tmp_path}/pid; echo ready; while :; do sleep 0.1; done",
        drain=1000,
    )
    first_line(parent)
    parent.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert parent.poll() is None
    parent.send_signal(signal.SIGINT)
    parent.communicate(timeout=60)
    assert not lives(int((tmp_path / "pid").read_text()))


def test_one_that_does_not_stop_in_time_is_killed(start: Start, tmp_path: Path) -> None:
    parent = start(
        "stubborn",
        f"trap '' TERM; echo $$ >{tmp_path}/pid; echo ready; while :; do sleep 0.1; done",
        drain=-4,
    )
    first_line(parent)
    parent.terminate()
    parent.communicate(timeout=60)
    assert not lives(int((tmp_path / "pid").read_text()))


def test_a_hangup_refreshes_and_goes_on_to_the_programs(start: Start, tmp_path: Path) -> None:
    told = tmp_path / "told"
    parent = start("one", f"trap 'echo told >{told}' HUP; echo ready; while :; do sleep 0.1; done")
    first_line(parent)
    parent.send_signal(signal.SIGHUP)
    assert first_line(parent) == "refreshed\n"
    assert eventually(told.exists)
    assert parent.poll() is None


def test_what_tells_a_supervisor_to_leave_ends_no_program(start: Start) -> None:
    child = (
        "import os, signal, time; from hatchway.supervision.supervised import Supervised;"
        "Supervised.of_environment();"
        "os.kill(os.getpid(), signal.SIGUSR2); print('ready', flush=True); time.sleep(100)"
    )
    parent = start("one", f'exec {sys.executable} -c "{child}"')
    assert first_line(parent) == "{}\n"
    assert parent.poll() is None


def test_the_programs_die_with_a_killed_supervisor(start: Start, tmp_path: Path) -> None:
    child = (
        "import os, time; from hatchway.supervision.supervised import Supervised;"
        "Supervised.of_environment();"
        f"open('{tmp_path}/pid', 'w').write(str(os.getpid())); print('ready', flush=True); time.sleep(100)"
    )
    parent = start("child", f'exec {sys.executable} -c "{child}"')
    first_line(parent)
    pid = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait(timeout=60)
    assert eventually(lambda: not lives(pid))
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
