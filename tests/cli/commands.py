"""Runs the command as a shell would."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from tests.forks import FORKS

NO_CACHE = "/dev/null/none"
"""Where nothing can be remembered: neither in the home of whoever runs the tests, nor between tests."""

COMMAND = (sys.executable, "-m", "hatchway")


def environment(variables: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Ours, without what would lead a command to the caller's own Hatchway, AWS, collector or proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HATCHWAY_", "AWS_", "OTEL_"))
        and not name.lower().endswith(("_proxy", "_ca_bundle"))
    }
    own = {"AWS_EC2_METADATA_DISABLED": "true", "XDG_CACHE_HOME": NO_CACHE}
    return {**kept, **own, **variables}


class Command:
    """A command that runs, with what of `subprocess.Popen` its tests use.

    What it prints can be read, its errors go to a file. It leads a session of its own. What it supervises are
    forks of it, unless they are to be `programs`: a new Python each, as in earnest.

    Attributes:
        stdout: what it prints.
        pid: its process.
    """

    def __init__(
        self, *arguments: str, variables: Mapping[str, str], errors: Path, programs: bool = False
    ) -> None:
        ours, theirs = FORKS.Pipe(duplex=False)
        target = (arguments, environment(variables), theirs, errors, programs)
        self._process = FORKS.Process(target=_lead, args=target)
        self._process.start()
        theirs.close()
        self.stdout = os.fdopen(os.dup(ours.fileno()))
        ours.close()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; that of a signal is negative.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(["hatchway"], timeout or 0)
        return self._process.exitcode

    def end(self) -> None:
        """Kills it, if it is still there."""
        self.send_signal(signal.SIGKILL)
        self.wait()
        self.stdout.close()


def hatchway(
    *arguments: str, variables: Mapping[str, str] = MappingProxyType({}), timeout: float = 150
) -> subprocess.CompletedProcess[str]:
    """A finished command; the variables are added to its environment."""
    with tempfile.TemporaryDirectory() as directory:
        output, errors = Path(directory, "output"), Path(directory, "errors")
        process = FORKS.Process(
            target=_run_to_files, args=(arguments, environment(variables), output, errors)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["hatchway", *arguments], timeout)
        return subprocess.CompletedProcess(
            ["hatchway", *arguments], process.exitcode, output.read_text(), errors.read_text()
        )


def _lead(
    arguments: tuple[str, ...], variables: dict[str, str], output: Connection, errors: Path, programs: bool
) -> None:
    os.setsid()
    if not programs:
        _fork_planes()
    _run(arguments, variables, output.fileno(), os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666))


def _run_to_files(arguments: tuple[str, ...], variables: dict[str, str], output: Path, errors: Path) -> None:
    _run(arguments, variables, *(os.open(path, os.O_WRONLY | os.O_CREAT) for path in (output, errors)))


def _fork_planes() -> None:
    """Has what this process supervises be forks of it, which has imported all of Hatchway, not programs."""
    start = asyncio.create_subprocess_exec

    async def fork(*command: str, env: Mapping[str, str], pass_fds: tuple[int, ...], **options: Any) -> Any:
        interpreter, *flags = command[:4]
        assert (interpreter, flags) == (sys.executable, ["-P", "-m", "hatchway"])

        def run() -> NoReturn:
            _be_another_program(command[4:], env, pass_fds)

        return await start(*command, env=env, pass_fds=pass_fds, preexec_fn=run, **options)

    asyncio.create_subprocess_exec = fork  # type: ignore[assignment]


def _be_another_program(
    arguments: tuple[str, ...], variables: Mapping[str, str], kept: tuple[int, ...]
) -> NoReturn:
    """Runs the command in a new fork as if it had been executed: with these files alone, without handlers."""
    code = 1
    try:
        # What is left of the parent and has a file must not close what has its number here.
        gc.freeze()
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        # As Python begins.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        for opened in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
            if opened > 2 and opened not in kept:
                with suppress(OSError):
                    os.close(opened)
        _start(arguments, variables)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(arguments: tuple[str, ...], variables: dict[str, str], output: int, errors: int) -> None:
    for number, opened in enumerate((os.open(os.devnull, os.O_RDONLY), output, errors)):
        os.dup2(opened, number)
    _start(arguments, variables)


def _start(arguments: tuple[str, ...], variables: Mapping[str, str]) -> None:
    from hatchway.cli.start import main

    # The former ones know of what they were opened on, such as a file in which one can go back.
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["hatchway", *arguments]
    main()
