"""Processes held to a share of a core each, whatever else is free: a control group with a limit for each.

Both versions of the kernel's interface will do. Sources: the kernel's documentation, "CFS Bandwidth Control"
(version 1) and "Control Group v2", "CPU Interface Files"; proc(5), mountinfo; cgroups(7).
"""

from __future__ import annotations

import errno
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PERIOD: Final = 0.02
"""Seconds in which a process gets its share. When it has had that, it stands still until they are over."""

_LEAVING = 2.0
"""Seconds that a process which has ended may still be counted in its group."""

_PROC: Final = Path("/proc/self")


class CannotHold(Exception):
    """Nobody may limit processes here, or not this user. The message says what is missing."""


@dataclass(frozen=True, slots=True)
class _Hierarchy:
    """Where groups with a limit can be made, where processes are that have none, and what is written."""

    parent: Path
    home: Path
    unified: bool

    def limit(self, share: float) -> dict[str, str]:
        period = round(PERIOD * 1e6)
        quota = round(period * share)
        if self.unified:
            return {"cpu.max": f"{quota} {period}"}
        return {"cpu.cfs_period_us": str(period), "cpu.cfs_quota_us": str(quota)}


@contextmanager
def held(pids: Sequence[int], share: float) -> Iterator[None]:
    """Let each process have so much of a core, all of its threads together, while in the context.

    Raises:
        CannotHold: nothing is limited.
    """
    try:
        hierarchy = find(_PROC)
        with ExitStack() as stack:
            for pid in pids:
                stack.enter_context(_group(hierarchy, pid, share))
            entered = stack.pop_all()
    except OSError as problem:
        raise CannotHold(f"{problem.filename or 'a control group'}: {problem.strerror}") from problem
    with entered:
        yield


def find(proc: Path) -> _Hierarchy:
    """The hierarchy that limits CPU.

    Raises:
        CannotHold: there is none.
        OSError: the kernel does not tell.
    """
    memberships = (line.split(":", 2) for line in (proc / "cgroup").read_text().splitlines())
    paths = {name: path for _, names, path in memberships for name in names.split(",")}
    missing = "no hierarchy of control groups with the cpu controller is mounted"
    for line in (proc / "mountinfo").read_text().splitlines():
        mounted, _, kind = line.partition(" - ")
        root, at = mounted.split()[3:5]
        version, _, options = kind.split()
        controller = {"cgroup": "cpu", "cgroup2": ""}.get(version)
        if controller is None or (controller and controller not in options.split(",")):
            continue
        home = Path(at, paths[controller].removeprefix(root).lstrip("/"))
        if controller:
            return _Hierarchy(parent=home, home=home, unified=False)
        for parent in (home, *home.parents):
            try:
                enabled = (parent / "cgroup.subtree_control").read_text().split()
            except FileNotFoundError:
                break
            if "cpu" in enabled:
                return _Hierarchy(parent=parent, home=home, unified=True)
        missing = f"the cpu controller is not in {home}/cgroup.subtree_control nor in one above"
    raise CannotHold(missing)


@contextmanager
def _group(hierarchy: _Hierarchy, pid: int, share: float) -> Iterator[None]:
    group = hierarchy.parent / f"hatchway-bench-{pid}"
    group.mkdir(exist_ok=True)
    try:
        for name, value in hierarchy.limit(share).items():
            (group / name).write_text(value)
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        _remove(group, hierarchy.home)


def _remove(group: Path, home: Path) -> None:
    deadline = time.monotonic() + _LEAVING
    while True:
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                (home / "cgroup.procs").write_text(pid)
        try:
            group.rmdir()
        except OSError as problem:
            if problem.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
