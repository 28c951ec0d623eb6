"""Programs that run in the background of a test."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.waiting import wait_until


class Process:
    """A program running in the background in a machine.

    Attributes:
        log: the file with its standard output and error.
    """

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(errors="backslashreplace")

    def wait_for(self, text: str, timeout: float = 120) -> None:
        """Wait until it has printed `text`. Fails at once, with what it printed, when it ends without."""

        def printed() -> bool:
            ended = not self.running()
            found = text in self.output()
            assert found or not ended, f"it ended before it printed {text!r}:\n{self.output()}"
            return found

        wait_until(printed, timeout, lambda: f"it did not print {text!r}:\n{self.output()}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and to its children that are in its process group."""
        with contextlib.suppress(ProcessLookupError):
            # nsenter stands between: it only waits for the program, and would pass no signal on.
            for pid in _children(self._process.pid):
                os.kill(pid, number)

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM it, kill it when it does not within `timeout` seconds. Returns its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end, kill it when `timeout` seconds bring none; return its exit code."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL; return its exit code."""
        self.signal(signal.SIGKILL)
        kill_group(self._process)
        return self._process.wait()


def kill_group(process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    """Kill a process that was started in a session of its own, and its children that stayed in it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def lives(pid: int) -> bool:
    """Whether there is such a process; one that has ended counts as gone, reaped or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def _children(pid: int) -> list[int]:
    """The processes whose parent is `pid`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may end while we look
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found
