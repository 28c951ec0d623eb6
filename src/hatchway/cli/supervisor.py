"""The parent of a server's processes: starts them, restarts one that dies, stops them all.

Each prints one line on its standard output when it listens: `ready`, then `name=URL` pairs. It leads a
process group of its own, so that a terminal's Ctrl-C reaches the parent alone, and it dies when the parent is
killed (see `die_with_supervisor`).
"""

import asyncio
import ctypes
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from hatchway.cli.errors import CommandFailed

SUPERVISOR_VARIABLE: Final = "HATCHWAY_SUPERVISOR_PID"
START_SECONDS: Final = 60.0
KILL_AFTER: Final = 5.0
"""Seconds beyond the time for draining after which a process that has not ended is killed."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_STEADY_SECONDS: Final = 60.0
_REFRESH_SECONDS: Final = 86_400.0
_PR_SET_PDEATHSIG: Final = 1

log = structlog.get_logger("hatchway.supervisor")


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running: its name, each a different one, and its command.

    `without` are the environment variables of the supervisor that it does not get.
    """

    name: str
    command: tuple[str, ...]
    without: frozenset[str] = frozenset()


def supervise(
    programs: Sequence[Program],
    *,
    drain_seconds: float,
    announce: Callable[[Mapping[str, str]], None],
    refresh: Callable[[], None],
) -> None:
    """Runs the programs until SIGTERM or SIGINT; a second one kills them at once.

    The others begin when the first is ready: gateways find what a control plane has prepared for them, where
    before they would refuse everybody.

    Args:
        drain_seconds: how long a program that was told to stop may take over it.
        announce: called once, with what all of them said to be ready at.
        refresh: called in a thread every day and on SIGHUP; then the programs get SIGHUP. What it raises is
            logged.

    Raises:
        CommandFailed: one ended, or did not listen, before all were ready. None is left running.
    """
    asyncio.run(_Supervisor(programs, drain_seconds, announce, refresh).run())


def die_with_supervisor() -> None:
    """In a process that a supervisor started: has the kernel kill it when the supervisor is gone (prctl(2)).

    Without effect in a process that runs alone.
    """
    parent = os.environ.pop(SUPERVISOR_VARIABLE, None)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):
        # It went before the kernel was asked.
        os.kill(os.getpid(), signal.SIGKILL)


class _Supervisor:
    def __init__(
        self,
        programs: Sequence[Program],
        drain_seconds: float,
        announce: Callable[[Mapping[str, str]], None],
        refresh: Callable[[], None],
    ) -> None:
        self._programs = programs
        self._drain_seconds = drain_seconds
        self._announce = announce
        self._refresh = refresh
        self._refresh_now = asyncio.Event()
        self._running: dict[str, Process] = {}
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._started: set[str] = set()
        self._first_is_ready = asyncio.Event()
        self._addresses: dict[str, str] = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._refresh_now.set)
        keepers = [asyncio.create_task(self._keep(program)) for program in self._programs]
        refreshing = asyncio.create_task(self._refresh_daily())
        try:
            await asyncio.gather(*keepers)
        finally:
            refreshing.cancel()
            # One failed to start: the others stop as they do when told to.
            self._stop.set()
            await asyncio.gather(*keepers, return_exceptions=True)

    def _signalled(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    async def _refresh_daily(self) -> None:
        while True:
            await _first(self._refresh_now.wait(), within=_REFRESH_SECONDS)
            self._refresh_now.clear()
            try:
                await asyncio.to_thread(self._refresh)
            except Exception as problem:
                log.error("refresh failed", problem=str(problem))
            for process in self._running.values():
                if process.returncode is None:
                    process.send_signal(signal.SIGHUP)

    async def _keep(self, program: Program) -> None:
        """Runs one program, again and again, until told to stop."""
        if program is not self._programs[0]:
            await _first(self._first_is_ready.wait(), self._stop.wait())
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            since = loop.time()
            status = await self._run_once(program)
            if self._stop.is_set():
                return
            if program.name not in self._started:
                raise CommandFailed(f"{program.name} did not start ({_ending(status)}): see the lines above")
            if loop.time() - since > _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            log.error("process died", process=program.name, ending=_ending(status), restart_in_seconds=pause)
            await _first(self._stop.wait(), asyncio.sleep(pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _run_once(self, program: Program) -> int:
        """The exit status of the program, which ended of itself or was told to."""
        process = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            env={
                **{name: value for name, value in os.environ.items() if name not in program.without},
                SUPERVISOR_VARIABLE: str(os.getpid()),
            },
            process_group=0,
        )
        log.info("process started", process=program.name, pid=process.pid)
        self._running[program.name] = process
        listening = asyncio.create_task(self._listen(program, process))
        try:
            if not await _first(process.wait(), self._stop.wait(), listening, within=START_SECONDS):
                log.error("process is not ready in time", process=program.name, seconds=START_SECONDS)
                process.kill()
            await _first(process.wait(), self._stop.wait())
        finally:
            await self._end(process)
            listening.cancel()
        assert process.returncode is not None
        return process.returncode

    async def _listen(self, program: Program, process: Process) -> None:
        """Reads what the program prints up to its ready line."""
        assert process.stdout is not None
        async for line in process.stdout:
            words = line.decode(errors="replace").split()
            if words[:1] == ["ready"]:
                self._ready(program, words[1:])
                return

    def _ready(self, program: Program, words: list[str]) -> None:
        self._addresses |= {name: url for name, _, url in (word.partition("=") for word in words)}
        complete = len(self._started) == len(self._programs)
        self._started.add(program.name)
        if program is self._programs[0]:
            self._first_is_ready.set()
        if not complete and len(self._started) == len(self._programs):
            self._announce(self._addresses)

    async def _end(self, process: Process) -> None:
        if process.returncode is not None:
            return
        process.terminate()
        patience = self._drain_seconds + KILL_AFTER
        if not await _first(process.wait(), self._hurry.wait(), within=patience) or self._hurry.is_set():
            log.warning("process killed", pid=process.pid)
            process.kill()
        await process.wait()


async def _first(*awaitables: Awaitable[object], within: float | None = None) -> bool:
    """Waits until one of them is done and cancels the others; False when none is `within` some seconds."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    done, pending = await asyncio.wait(tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return bool(done)


def _ending(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
