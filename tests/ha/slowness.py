"""How slow a machine is now: how long a process takes that wakes up a few times to compute a little.

That is what a change is that goes from one process to the next.
"""

import subprocess
import sys

_WORK = """
import sys, time
for _ in sys.stdin:
    began = time.perf_counter()
    for _ in range(5):
        time.sleep(0.005)
        until = time.thread_time() + 0.005
        while time.thread_time() < until:
            pass
    print((time.perf_counter() - began) / 0.05, flush=True)
"""


class Slowness:
    """Measured by a process of its own: it waits for nobody but the machine."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def now(self) -> float:
        """Times as long as with a processor of its own; 1 at least."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return max(1.0, float(self._process.stdout.readline()))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
