"""The tunnel of one `hatchway ssh`, by a process that is there before ssh asks for it.

For its ProxyCommand ssh would start another Python, which takes longer than all else. So the process that has
found the way leaves a copy of itself (fork) to connect to the gateway, while it pushes the key itself and
starts ssh. The ProxyCommand is a few lines then, which hand the copy their standard streams (unix(7),
SCM_RIGHTS) and end. Only now the tunnel is asked for: where a connection of before serves ssh, there is none.
The copy ends with ssh, or goes on with an ssh that goes into the background.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hatchway.client.api import clock
from hatchway.client.ssh.proxy_command import proxy_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from hatchway.client.connection.retry import RetryBudget
    from hatchway.client.connection.tls import Trust
    from hatchway.client.discovery.plan import TunnelPlan

    Ended = Callable[[Callable[[], int]], int]
    """Runs what it is given to its end, tells what that failed of, and gives its exit code."""

_LONGEST_PATH: Final = 100
"""Bytes of a socket's name (unix(7): 107)."""

_HAND_OVER: Final = """\
# Run by ssh in the place of its ProxyCommand: hands its standard streams to the process that has the tunnel.
import _socket, posix, sys
try:
    to = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    to.connect(sys.argv[1])
    clock = posix.environ.get(b"_HATCHWAY_CLOCK", b"0")
    to.sendmsg([clock], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, bytes.fromhex(sys.argv[2]))])
except OSError as problem:
    sys.exit(f"hatchway: the process that had the tunnel has ended ({problem.strerror})")
"""


@contextmanager
def standing_by(
    plan: TunnelPlan, trust: Trust, directory: Path, ended: Ended, retry_budget: RetryBudget | None = None
) -> Iterator[str | None]:
    """Within it a process waits to carry the plan's tunnel: the line of the ProxyCommand that has it begin.
    None where there can be no such process.

    Args:
        directory: the user's alone, for the files that this takes.
        ended: is called in that process.
        retry_budget: for a gateway that is just restarting.
    """
    path = directory / "tunnel"
    # Of a process with threads a copy has only one, and on macOS the system's own libraries may have some.
    if sys.platform != "linux" or _has_threads() or len(os.fsencode(path)) > _LONGEST_PATH:
        yield None
        return
    program = directory / "hand-over.py"
    program.write_text(_HAND_OVER)
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    watched, held = os.pipe()
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen(1)
            if os.fork() == 0:
                os.close(held)
                _stand_by(lambda: _carry(plan, trust, listening, watched, retry_budget), ended)
        # Neither `site` nor a user's own modules: that is half of what Python takes to start.
        yield proxy_line([sys.executable, "-I", "-S", str(program), str(path), streams.hex()])
    finally:
        os.close(watched)
        os.close(held)
        # There may be another try.
        path.unlink(missing_ok=True)


def _has_threads() -> bool:
    threading = sys.modules.get("threading")
    return threading is not None and threading.active_count() > 1


def _stand_by(carry: Callable[[], int], ended: Ended) -> None:
    """Never returns: what called it goes on in the other process."""
    code = 1
    try:
        code = ended(carry)
    except SystemExit as signalled:
        code = signalled.code if isinstance(signalled.code, int) else 1
    finally:
        # What else waits for the end of a process is the other one's.
        if (proxied := sys.modules.get("hatchway.client.connection.proxied")) is not None:
            proxied.finish()
        os._exit(code)


def _carry(
    plan: TunnelPlan, trust: Trust, listening: socket.socket, watched: int, retry_budget: RetryBudget | None
) -> int:
    _let_go(kept=(2, listening.fileno(), watched))
    from hatchway.client.tunnel.opening import Preconnection
    from hatchway.client.tunnel.stream_relay import relay_standard_streams

    preconnection = Preconnection(plan.route, trust)
    waiting = select.poll()
    waiting.register(listening, select.POLLIN)
    waiting.register(watched, select.POLLIN)
    if listening.fileno() not in dict(waiting.poll()):
        # ssh has ended without a tunnel.
        return 0
    with listening:
        by, _ = listening.accept()
    with by:
        told, streams, _, _ = socket.recv_fds(by, 64, 3)
    clock.inherit(told.decode("ascii", "replace"))
    if len(streams) != 3:
        # Of what has no place here the system hands over nothing (unix(7), MSG_CTRUNC).
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    # With ControlPersist, as Ansible has it, ssh leads what its ProxyCommand says nowhere: it would hold the
    # caller's standard error for as long as the master lives. Before the host has spoken nothing goes on.
    waits = _is_nowhere(streams[2])
    for number, handed in enumerate(streams[:2] if waits else streams):
        os.dup2(handed, number)
        os.close(handed)

    def host_speaks() -> None:
        if waits:
            os.dup2(streams[2], 2)

    relay_standard_streams(plan, trust, preconnection, retry_budget=retry_budget, host_speaks=host_speaks)
    return 0


def _is_nowhere(number: int) -> bool:
    return os.fstat(number).st_rdev == os.stat(os.devnull).st_rdev  # noqa: PTH116


def _let_go(kept: Collection[int]) -> None:
    """Holds nothing of what was open when the process was copied, for that may be its caller's: a lock, or a
    pipe whose reader waits for the end. ssh lets go of all that, too; and it alone reads what is typed.

    The numbers stay taken, for there may be objects that will close them.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        open_here = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - numbers, no paths
    except OSError:
        open_here = [0, 1]
    for number in open_here:
        if number not in kept and number != nowhere:
            os.dup2(nowhere, number, inheritable=number < 3)
