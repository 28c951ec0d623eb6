"""Remote Desktop through a tunnel: a local port, an .rdp file that leads there, and a program that opens it.

The file's settings are those of Microsoft's "Supported RDP properties", a line each: `name:type:value`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway.client.errors import InvalidOption
from hatchway.client.listener import LOOPBACK, listen_until_cancelled
from hatchway.client.signals import ending_in_order

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hatchway.client.plan import TunnelPlan

_LONGEST_USER: Final = 256
_OF_MACOS: Final = (("open", "-W"),)
_PROGRAMS: Final = (("xfreerdp3",), ("xfreerdp",), ("wlfreerdp",), ("remmina", "-c"))
"""Each with what stands before the file."""

_HANDS_OVER: Final = frozenset({"remmina"})
"""Programs whose end is not that of the session: another process of theirs may have it."""


class Program(NamedTuple):
    """What opens a file: the words before it, and whether it ends with the session, and not before."""

    words: tuple[str, ...]
    ends_with_session: bool = True


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
    """The program of this machine that opens such a file."""
    for name, *words in _OF_MACOS if sys.platform == "darwin" else _PROGRAMS:
        found = shutil.which(name)
        if found is not None:
            return Program((found, *words), name not in _HANDS_OVER)
    return None


async def carry_session(
    plan: TunnelPlan, port: int, file: Path, program: Program | None, report: Callable[[str], None]
) -> None:
    """Listen until cancelled, or until the program that opens the file has ended with the session.

    Raises:
        InvalidOption: the port cannot be listened on.
        OSError: the program cannot be run.
        SystemExit: a signal ended it.
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
