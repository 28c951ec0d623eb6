"""Remote Desktop through a tunnel: a local port, an .rdp file that leads there, and a program that opens it.

The file's settings are those of Microsoft's "Supported RDP properties", a line each: `name:type:value`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway.client.errors import InvalidOption, NoConnection
from hatchway.client.tunnel.listener import LOOPBACK, listen_until_cancelled
from hatchway.client.tunnel.signals import ending_in_order

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hatchway.client.discovery.plan import TunnelPlan

_LONGEST_USER: Final = 256
_OF_MACOS: Final = (("open", "-W"),)
_PROGRAMS: Final = (("xfreerdp3",), ("xfreerdp",), ("wlfreerdp",), ("remmina", "-c"))
"""Each with what stands before the file."""

_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY")
"""By which programs find a screen: without either, as in a session by ssh, they end at once."""

_HANDS_OVER: Final = frozenset({"remmina"})
"""Programs whose end is not that of the session: another process of theirs may have it."""


_ENDS_OF_SESSIONS: Final = frozenset({0, 1, 2, 3, 4, 5, 11, 12})
"""FreeRDP's exit codes (xfreerdp(1), "EXIT STATUS"; client/X11/xfreerdp.h) for a session that either side
ended: disconnected, logged off, idle for too long, taken over. All others are failures."""


class Program(NamedTuple):
    """What opens a file: the words before it, whether it ends with the session, and not before, and its exit
    codes when a session has come to its end."""

    words: tuple[str, ...]
    ends_with_session: bool = True
    in_order: frozenset[int] = _ENDS_OF_SESSIONS


def rdp_file(port: int, user: str | None) -> str:
    """The text of the file.

    Raises:
        InvalidOption: no user can be called so.
    """
    if user is not None and not (1 <= len(user) <= _LONGEST_USER and user.isprintable()):
        raise InvalidOption("--user is not the name of a user")
    lines = [
        f"full address:s:{LOOPBACK}:{port}",
        # A certificate that is not for this address is told of, as any private host's is.
        "authentication level:i:2",
        "gatewayusagemethod:i:0",
        *([] if user is None else [f"username:s:{user}"]),
    ]
    return "".join(f"{line}\r\n" for line in lines)


def find_program() -> Program | None:
    """The program of this machine that opens such a file, where there is a display to show it on."""
    of_macos = sys.platform == "darwin"
    if not of_macos and not any(map(os.environ.get, _DISPLAYS)):
        return None
    for name, *words in _OF_MACOS if of_macos else _PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            in_order = frozenset({0}) if of_macos else _ENDS_OF_SESSIONS
            return Program((found, *words), name not in _HANDS_OVER, in_order)
    return None


async def carry_session(
    plan: TunnelPlan, port: int, file: Path, program: Program | None, report: Callable[[str], None]
) -> None:
    """Listen until cancelled, or until the program that opens the file has ended with the session.

    Raises:
        InvalidOption: the port cannot be listened on.
        NoConnection: the program failed.
        OSError: the program cannot be run.
        KeyboardInterrupt, SystemExit: a signal ended it.
    """
    with ending_in_order():
        await _carry(plan, port, file, program, report)


async def _carry(
    plan: TunnelPlan, port: int, file: Path, program: Program | None, report: Callable[[str], None]
) -> None:
    listening = asyncio.Event()

    def told(line: str) -> None:
        report(line)
        listening.set()

    tunnels = asyncio.create_task(listen_until_cancelled(plan, port, told))
    try:
        ready = asyncio.create_task(listening.wait())
        await asyncio.wait([tunnels, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if program is None or tunnels.done():
            await tunnels
        else:
            await _until_ended(program, file, tunnels)
    finally:
        tunnels.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tunnels


async def _until_ended(program: Program, file: Path, tunnels: asyncio.Task[None]) -> None:
    process = await asyncio.create_subprocess_exec(*program.words, str(file))
    ended = asyncio.create_task(process.wait())
    awaited = [ended, tunnels] if program.ends_with_session else [tunnels]
    try:
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        ended.cancel()
    if tunnels.done():
        await tunnels
    elif program.ends_with_session and process.returncode not in program.in_order:
        raise NoConnection(
            f"{program.words[0]} ended with exit code {process.returncode}: see what it says above;"
            " --no-start leaves it to you to open the file"
        )
