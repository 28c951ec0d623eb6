"""Processes that end with what started them, however that ends."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_STOP_SECONDS: Final = 10.0


class Processes:
    """Started in the background, each in a process group of its own; stopped in reverse order."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[str]] = []
        self._prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            _signal(process, signal.SIGTERM)
        for process in reversed(self._running):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            # Also what it started and left behind in its group.
            _signal(process, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def start(
        self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Starts a program: its standard output is a pipe, its standard error goes to the file.

        `environment` is its own; None for this process's.
        """
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                process_group=0,
                preexec_fn=self._die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        self._running.append(process)
        return process

    def _die_with_parent(self) -> None:
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _signal(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    # A group whose leader has ended, and nothing else is in it, is gone.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
