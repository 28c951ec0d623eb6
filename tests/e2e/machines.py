"""Machines for tests: processes with a network, a hostname, process ids and system files of their own.

A `Machine` is a set of Linux namespaces. It sees this computer's programs, and what it changes in the
directories of `PRIVATE_DIRECTORIES` only it sees. Its first process lives as long as a pipe from the test run
is open: when the test run ends, however it ends, the kernel ends every process in the machine, and its
interfaces with them.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from tests.e2e.processes import Process, kill_group

PRIVATE_DIRECTORIES: Final = ("/etc", "/usr/local", "/home", "/root", "/var", "/tmp")
"""What a machine may change without anyone else seeing it. `/run` is its own too, and empty at first."""

SHARED_TMP_DIRECTORIES: Final = tuple(path for path in PRIVATE_DIRECTORIES if path != "/tmp")

_MEASURING: Final = "COVERAGE_PROCESS_CONFIG"
"""By which coverage has what a measured process starts measured too."""

ENVIRONMENT: Final[Mapping[str, str]] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    **({_MEASURING: os.environ[_MEASURING]} if _MEASURING in os.environ else {}),
}
"""All that a process in a machine has in its environment unless the test gives it more."""

CLONE_NEWNET: Final = 0x40000000
"""setns(2): a network namespace."""

_Error = TypeVar("_Error", bound=subprocess.SubprocessError)

NAMESPACES: Final = ("mnt", "net", "pid", "uts")
"""What a machine has of its own, as they are called in `/proc/PID/ns`."""

# Prints the machine's process id as the test run sees it, while /proc is still the outside's; then a line
# once all is set. SIGCHLD ignored outlives exec, so orphans of the machine are reaped by the kernel.
_FIRST_PROCESS: Final = """
set -eu
name=$1 layers=$2
shift 2
read -r pid rest </proc/self/stat
echo "$pid"
mount -t tmpfs -o mode=755 machine "$layers"
for directory in "$@"; do
    layer=$layers$directory
    mkdir -p "$layer.upper" "$layer.work"
    chmod --reference="$directory" "$layer.upper"
    mount -t overlay -o "lowerdir=$directory,upperdir=$layer.upper,workdir=$layer.work" machine "$directory"
done
mount -t tmpfs -o mode=755 machine /run
mount -t proc machine /proc
echo "$name" >/proc/sys/kernel/hostname
ip link set lo up
trap '' CHLD
echo ready
exec cat >/dev/null
"""


def missing_for_machines() -> str:
    """Why machines cannot be made here, in words for a skipped test; empty when they can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    missing = [program for program in ("unshare", "nsenter", "mount", "ip") if shutil.which(program) is None]
    if missing:
        return f"missing programs: {', '.join(missing)}"
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if "/" not in mounts:
        return "in this chroot / is no mount: before chroot, mount --bind its directory onto itself"
    return ""


class Machine:
    """One machine, running from when it is made until `stop`.

    Args:
        name: its hostname.
        layers: an empty directory, where its private files are mounted (seen only inside).
        private: the directories that it may change without anyone else seeing it.
    """

    def __init__(self, name: str, layers: Path, private: Sequence[str] = PRIVATE_DIRECTORIES) -> None:
        self.name = name
        self._processes: list[Process] = []
        self._first = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--uts", "--fork", "--kill-child",
             "--propagation", "private", "sh", "-c", _FIRST_PROCESS, "sh", name, str(layers), *private],
            env=dict(ENVIRONMENT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
        assert self._first.stdout is not None
        first_line, second_line = self._first.stdout.readline(), self._first.stdout.readline()
        if second_line != "ready\n":
            _, complaint = self._first.communicate(timeout=60)
            raise RuntimeError(f"the machine {name} did not start: {complaint.strip()}")
        self.pid = int(first_line)
        """The process id of its first process, outside."""
        self.namespaces = frozenset(
            str(Path(f"/proc/{self.pid}/ns/{kind}").readlink()) for kind in NAMESPACES
        )
        """Its namespaces, as `readlink /proc/PID/ns/*` shows them."""

    def __repr__(self) -> str:
        return f"<Machine {self.name}>"

    def stop(self) -> None:
        """End every process of the machine, and with them its interfaces and files. Twice is harmless."""
        if self._first.stdin is not None and not self._first.stdin.closed:
            self._first.stdin.close()
        try:
            self._first.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._first.kill()  # --kill-child: the machine goes with it
            self._first.wait()
        for pipe in (self._first.stdout, self._first.stderr):
            if pipe is not None:
                pipe.close()
        for process in self._processes:
            process.stop()

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        input: str | None = None,
        timeout: float = 60,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine as root, in `/`, and return its output and exit code.

        Args:
            env: added to `ENVIRONMENT`; the test run's own environment is not passed on.
            input: its standard input; nothing by default.
            timeout: seconds, after which it and its children are killed.
            check: raise when its exit code is not 0.

        Raises:
            subprocess.TimeoutExpired: with what it had printed.
            subprocess.CalledProcessError: its standard error is a note of the exception, so pytest shows it.
        """
        command = self.command(argv)
        with subprocess.Popen(
            command, env={**ENVIRONMENT, **(env or {})}, text=True, errors="backslashreplace",
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                stdout, stderr = process.communicate(input, timeout=timeout)
            except subprocess.TimeoutExpired as expired:
                kill_group(process)
                stdout, stderr = process.communicate()
                raise _with_output(
                    subprocess.TimeoutExpired(command, expired.timeout, stdout, stderr), stdout, stderr
                ) from None
            except BaseException:
                kill_group(process)
                raise
        completed = subprocess.CompletedProcess(command, process.returncode, stdout, stderr)
        if check and completed.returncode != 0:
            raise _with_output(
                subprocess.CalledProcessError(completed.returncode, command, stdout, stderr), stdout, stderr
            )
        return completed

    def start(
        self, argv: Sequence[str | os.PathLike[str]], log: Path, *, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a command in the machine, what it prints going to the file `log`. It ends with it."""
        process = Process(self.command(argv), log, {**ENVIRONMENT, **(env or {})})
        self._processes.append(process)
        return process

    def command(self, argv: Sequence[str | os.PathLike[str]]) -> list[str]:
        """The command that runs `argv` in the machine, for callers with pipes of their own."""
        # The root of a mount namespace is the computer's; of a test run in a chroot it is another.
        root = ["--root", f"--wd=/proc/{self.pid}/root"]
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--uts", *root, "--"]
        return enter + [os.fspath(argument) for argument in argv]

    def write(self, path: str, content: str | bytes, *, mode: int = 0o644, append: bool = False) -> None:
        """Write a file of the machine, making the directories above it."""
        script = (
            'set -e; mkdir -p "$(dirname "$1")"; [ "$3" = append ] || rm -f "$1"; cat >>"$1"; chmod "$2" "$1"'
        )
        argv = ["sh", "-c", script, "sh", path, f"{mode:o}", "append" if append else "replace"]
        body = content.encode() if isinstance(content, str) else content
        subprocess.run(self.command(argv), input=body, env=dict(ENVIRONMENT), check=True, timeout=60)

    def read(self, path: str) -> str:
        """The text of a file of the machine."""
        return self.run(["cat", path], check=True).stdout

    def add_name(self, address: str, *names: str) -> None:
        """Make the machine's resolver know `names` (a line of its own /etc/hosts)."""
        self.write("/etc/hosts", f"{address}\t{' '.join(names)}\n", append=True)

    def trust(self, certificate_pem: str) -> None:
        """Add a CA to the machine's trust store: the file that curl and the AWS CLI read on Debian."""
        self.write("/etc/ssl/certs/ca-certificates.crt", f"\n{certificate_pem.strip()}\n", append=True)

    def keep_few_cas(self) -> None:
        """Leaves the machine three public CAs of a system's hundreds, and no program that is told of changes.

        `update-ca-certificates` works through all of them, each time that a CA comes or goes.
        """
        script = (
            "set -e; rm -f /etc/ca-certificates/update.d/*; conf=/etc/ca-certificates.conf;"
            " few=$(grep '^mozilla/' $conf | head -n 3); echo \"$few\" >$conf; update-ca-certificates --fresh"
        )
        self.run(["sh", "-c", script], check=True)

    @contextlib.contextmanager
    def joined(self) -> Iterator[None]:
        """Within it, sockets that the calling thread makes are in the machine's network.

        So are those of threads started within it. Files, `/etc/hosts` among them, stay the test run's own. A
        socket stays in the network that it was made in.
        """
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            there = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
            try:
                _set_network(there)
            finally:
                os.close(there)
            try:
                yield
            finally:
                _set_network(back)
        finally:
            os.close(back)


def _set_network(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _with_output(error: _Error, stdout: str, stderr: str) -> _Error:
    error.add_note(f"standard output:\n{stdout}\nstandard error:\n{stderr}")
    return error
