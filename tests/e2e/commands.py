"""`hatchway` on a machine of tests, as a fork of a process that has imported all of it."""

import ctypes
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tests.e2e.machines import ENVIRONMENT, NAMESPACES, Machine
from tests.forks import FORKS


def hatchway_on(
    machine: Machine,
    *arguments: str,
    env: Mapping[str, str] = MappingProxyType({}),
    check: bool = False,
    timeout: float = 60,
) -> subprocess.CompletedProcess[str]:
    """As `machine.run` of `python -m hatchway ARGUMENTS…`, for a twentieth of its processor's time.

    Raises:
        subprocess.TimeoutExpired, subprocess.CalledProcessError: as there.
    """
    with tempfile.TemporaryDirectory() as directory:
        output, errors = Path(directory, "output"), Path(directory, "errors")
        variables = {**ENVIRONMENT, **env}
        process = FORKS.Process(target=_run, args=(machine.pid, arguments, variables, output, errors))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["hatchway", *arguments], timeout)
        done = subprocess.CompletedProcess(
            ["hatchway", *arguments], process.exitcode, output.read_text(), errors.read_text()
        )
    if check and done.returncode != 0:
        error = subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
        error.add_note(f"standard output:\n{done.stdout}\nstandard error:\n{done.stderr}")
        raise error
    return done


def _run(
    machine: int, arguments: tuple[str, ...], variables: dict[str, str], output: Path, errors: Path
) -> None:
    from hatchway.cli.start import main

    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    _enter(machine)
    # The first process in the machine's process ids is the next child.
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["hatchway", *arguments]
    main()


def _enter(machine: int) -> None:
    """As nsenter does."""
    there = f"/proc/{machine}"
    namespaces = [os.open(f"{there}/ns/{kind}", os.O_RDONLY) for kind in NAMESPACES]
    root = os.open(f"{there}/root", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    for namespace in namespaces:
        if libc.setns(namespace, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    os.fchdir(root)
    os.chroot(".")
    os.chdir("/")
    for descriptor in (*namespaces, root):
        os.close(descriptor)
