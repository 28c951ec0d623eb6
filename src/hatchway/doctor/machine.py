"""The clock and the kernel's limits."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hatchway.doctor.findings import Finding, error, ok, unknown, warning
from hatchway.kernel_clock import kept_right
from hatchway.sigv4.verification import CLOCK_SKEW
from hatchway.transport.core.loading import CORE, IS_BUILT, PROBLEM

_FILES_WANTED: Final = 65_536
"""Two for each tunnel, and some."""
_PORTS_WANTED: Final = 10_000
_BACKLOG_WANTED: Final = 1_024
_CONNTRACK_FULL: Final = 0.8


def check_clock() -> Iterator[Finding]:
    """Whether something keeps this machine's clock right (adjtimex(2))."""
    if not sys.platform.startswith("linux"):
        yield unknown("clock", "whether the clock is synchronized can only be determined on Linux")
        return
    kept = kept_right()
    if kept is None:
        yield unknown("clock", "the kernel does not report whether the clock is synchronized")
    elif not kept:
        yield warning(
            "clock",
            "as far as the kernel knows, nothing synchronizes the clock",
            "run chrony or systemd-timesyncd, here or on the machine that hosts this one: requests are"
            " refused if the client's clock differs from this one by more than five minutes",
        )
    else:
        yield ok("clock", "it is synchronized")


def check_core() -> Iterator[Finding]:
    """Whether gateways carry bytes by compiled code: slower without, nothing else."""
    if CORE is not None:
        yield ok("core", f"gateways use the compiled core, with {CORE.OPENSSL}")
    elif IS_BUILT:
        yield warning("core", "gateways carry bytes in Python, although there is a compiled core", PROBLEM)
    else:
        yield ok("core", "gateways carry bytes in Python: the compiled core was not built (docs/gateway.md)")


def check_skew(name: str, there: datetime, here: datetime) -> Finding:
    """Two clocks that must agree: that of `name` at the moment at which this machine's was `here`."""
    apart = abs(there - here)
    if apart > CLOCK_SKEW:
        return error(
            "clock",
            f"the clocks of this machine and {name} differ by {round(apart.total_seconds())} s",
            "set the clock that is wrong: requests are refused if the clocks differ by more than five"
            " minutes",
        )
    seconds = max(1, round(apart.total_seconds()))
    return ok("clock", f"the clocks of this machine and {name} differ by at most {seconds} s")


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """One that runs on this machine: what it was started as, and how many files it has and may have open."""

    pid: int
    command: str
    files: int
    most_files: int


def server_processes(data_directory: Path, proc: Path = Path("/proc")) -> list[ServerProcess]:
    """The servers on this machine that work with that data directory, of those that may be looked at."""
    found = []
    for directory in proc.glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
            command = next((word for word in words if word in _PLANES), None)
            if command is None or not any(b"hatchway" in word for word in words[: words.index(command)]):
                continue
            told = {*words, *(directory / "environ").read_bytes().split(b"\0")}
            if told.isdisjoint(form % bytes(data_directory) for form in _DATA_DIRECTORY):
                continue
            limits = (directory / "limits").read_text().splitlines()
            most = next(line.split()[-3] for line in limits if line.startswith("Max open files"))
            files = sum(1 for _ in (directory / "fd").iterdir())
        except (OSError, StopIteration):
            continue
        found.append(ServerProcess(int(directory.name), command.decode(), files, int(most)))
    return sorted(found, key=lambda process: process.pid)


_PLANES: Final = (b"serve", b"control", b"gateway")
_DATA_DIRECTORY: Final = (b"%s", b"--data-dir=%s", b"HATCHWAY_DATA_DIR=%s")


def check_open_files(processes: list[ServerProcess]) -> Iterator[Finding]:
    """How many connections there may be at once: each tunnel has two."""
    # Windows has none, where a client's machine is looked at all the same.
    import resource

    if processes:
        least = min(processes, key=lambda process: process.most_files)
        limit, who = least.most_files, f"'hatchway {least.command}' (process {least.pid})"
    else:
        # A server raises its soft limit to the hard one, which it may have done already where one runs.
        limit, who = resource.getrlimit(resource.RLIMIT_NOFILE)[1], "a server started from here"
    if limit == resource.RLIM_INFINITY or limit >= _FILES_WANTED:
        yield ok("open files", f"{who} may open {limit} files")
    else:
        yield warning(
            "open files",
            f"{who} may open {limit} files, and each tunnel needs two",
            "set LimitNOFILE=1048576 (systemd), or run ulimit -Hn 1048576 before you start it",
        )


def check_kernel(proc: Path = Path("/proc")) -> Iterator[Finding]:
    """The kernel's limits that busy gateways meet first (ip-sysctl of the kernel's documentation)."""
    backlog = _number(proc / "sys/net/core/somaxconn")
    if backlog is not None and backlog < _BACKLOG_WANTED:
        yield warning(
            "accept queue",
            f"net.core.somaxconn is {backlog}: if more connections arrive at once, the rest are dropped",
            "run sysctl net.core.somaxconn=4096, and put the same into /etc/sysctl.d",
        )
    elif backlog is not None:
        yield ok("accept queue", f"net.core.somaxconn is {backlog}")
    ports = _numbers(proc / "sys/net/ipv4/ip_local_port_range")
    if len(ports) == 2 and ports[1] - ports[0] < _PORTS_WANTED:
        yield warning(
            "local ports",
            f"a gateway can have {ports[1] - ports[0] + 1} tunnels to one port of one host at once"
            " (net.ipv4.ip_local_port_range)",
            "run sysctl net.ipv4.ip_local_port_range='32768 60999', and put the same into /etc/sysctl.d",
        )
    elif len(ports) == 2:
        yield ok("local ports", f"net.ipv4.ip_local_port_range is {ports[0]} to {ports[1]}")
    most = _number(proc / "sys/net/netfilter/nf_conntrack_max")
    count = _number(proc / "sys/net/netfilter/nf_conntrack_count")
    if most and count is not None and count >= most * _CONNTRACK_FULL:
        yield warning(
            "connection tracking",
            f"the kernel's table has {count} of at most {most} connections, and drops packets when it is"
            " full",
            "double net.netfilter.nf_conntrack_max with sysctl, and in /etc/sysctl.d",
        )
    elif most and count is not None:
        yield ok("connection tracking", f"{count} of {most} connections")


def _number(path: Path) -> int | None:
    numbers = _numbers(path)
    return numbers[0] if numbers else None


def _numbers(path: Path) -> list[int]:
    """Those in a file of the kernel; none where it has no such file."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []
