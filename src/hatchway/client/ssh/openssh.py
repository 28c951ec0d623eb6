"""OpenSSH's programs, run: ssh in the foreground, and beside it ssh-keygen and `ssh -V`, which end soon."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Final

from hatchway.client.errors import ClientError, printable
from hatchway.client.ssh.host_keys import read_version
from hatchway.client.tunnel.local import is_opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

_MOMENT: Final = 0.05
"""Seconds in which a signal to several processes has reached them all."""


class SshMissing(ClientError):
    """There is no OpenSSH client on this machine."""


def make_key(path: Path) -> str:
    """Make a key for ssh at `path`, its owner's alone; the public one, as SendSSHPublicKey takes it.

    Raises:
        SshMissing: there is no ssh-keygen to do it.
        ClientError: it could not.
    """
    with key_in_making(path) as made:
        return made()


@contextmanager
def key_in_making(path: Path) -> Iterator[Callable[[], str]]:
    """The same while other things are done: what gives the public key waits for it.

    Raises:
        SshMissing: there is no ssh-keygen to do it.
    """
    command = [find_program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    with _running(command) as process:

        @cache
        def made() -> str:
            said, _ = process.communicate()
            if process.returncode != 0:
                raise ClientError(f"ssh-keygen made no key: {printable(said.strip())}")
            return path.with_name(f"{path.name}.pub").read_text("ascii").strip()

        yield made


@contextmanager
def version_being_asked(ssh: str) -> Iterator[Callable[[], tuple[int, int] | None]]:
    """What gives the version of this ssh waits for it; other things are done meanwhile."""
    with _running([ssh, "-V"]) as process:
        yield cache(lambda: read_version(process.communicate()[0]))


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A program that says in a few words what there is to say, and ends."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    )  # fmt: skip
    with process:
        yield process


def find_program(name: str) -> str:
    """Where one of OpenSSH's programs is.

    Raises:
        SshMissing: nowhere.
    """
    found = shutil.which(name)
    if found is None:
        raise SshMissing(f"there is no {name} on this machine: install the OpenSSH client")
    return found


def run_in_foreground(command: Sequence[str]) -> int:
    """Run ssh in the foreground; its exit status, or 128 and the number of the signal that ended it.

    Signals are for it to obey; we outlive it to remove the key.
    """
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if process is None:
            early.append(number)
        # The terminal sends SIGINT to ssh as well.
        elif number != signal.SIGINT:
            process.send_signal(number)

    # Windows has not all of them. By SIGUSR1 rsync ends its ssh. A handler, unlike SIG_IGN, is not inherited.
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1")
    taken = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, pass_on) for number in taken}
    try:
        process = subprocess.Popen(command)
        for number in early:
            process.send_signal(number)
        status = _waited_for(process)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def _waited_for(process: subprocess.Popen[bytes]) -> int:
    """Its return code. When it stops for the shell to have the terminal, as on `~^Z` (ssh(1), ESCAPE
    CHARACTERS), so do we: the shell waits for us, and continues both."""
    if not hasattr(os, "waitid"):
        # macOS had none before Python 3.13, and Windows has none.
        return process.wait()
    while process.poll() is None:
        with suppress(ChildProcessError):
            # Not there any more once a signal's handler has seen the end of it.
            told = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            if told is None or told.si_code != os.CLD_STOPPED:
                continue
            # What stopped both is over for both, though not at the same moment.
            time.sleep(_MOMENT)
            again = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG)
            if again is not None and again.si_status == signal.SIGTSTP:
                os.kill(os.getpid(), signal.SIGSTOP)
    return process.wait()


def give_standard_streams() -> None:
    """Has standard input that was closed end at once, and output that was closed take all, as ssh has it with
    its own: `hatchway.cli.ending` holds their numbers by what is neither."""
    for number, unusable in ((0, os.O_WRONLY), (1, os.O_RDONLY)):
        if is_opened(number, unusable):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            os.close(nowhere)
