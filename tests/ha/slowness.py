"""How slow a machine is at the moment, by what a process gets of a processor that has a little to compute."""

import subprocess
import sys

_WORK = """
import sys, time
for _ in sys.stdin:
    began, computed = time.perf_counter(), time.thread_time()
    while time.thread_time() < computed + 0.02:
        pass
    print((time.perf_counter() - began) / (time.thread_time() - computed), flush=True)
"""


class Slowness:
    """Measured by a process of its own: it waits for nobody but the machine."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def now(self) -> float:
        """Times as long as on a processor of its own; 1 at least."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return max(1.0, float(self._process.stdout.readline()))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
