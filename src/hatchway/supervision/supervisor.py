"""The parent of a server's processes: starts them, restarts one that dies, stops them all.

Each prints one line on its standard output when it listens: `ready`, then `name=URL` pairs. It leads a
process group of its own, so that a terminal's Ctrl-C reaches the parent alone, and it dies when the parent is
killed, unless that has left it to the next (see `handover`).
"""

import asyncio
import os
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from hatchway.errors import CommandFailed
from hatchway.settings import Address
from hatchway.supervision.handover import Handover
from hatchway.supervision.supervised import LISTENER_VARIABLE, REPLACES_VARIABLE, SUPERVISOR_VARIABLE

START_SECONDS: Final = 60.0
KILL_AFTER: Final = 5.0
"""Seconds beyond the time for draining after which a process that has not ended is killed."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_STEADY_SECONDS: Final = 60.0
_REFRESH_SECONDS: Final = 86_400.0

log = structlog.get_logger("hatchway.supervision")


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running: its name, each a different one, and its command.

    `without` are the environment variables of the supervisor that it does not get. `listens` is where it
    listens, an IP address and a port, with the name for it among `Handover`'s; it gets a socket for that.
    With `is_last` it is stopped when those without have ended, as the first one is in any case.
    """

    name: str
    command: tuple[str, ...]
    without: frozenset[str] = frozenset()
    listens: tuple[str, Address] | None = None
    is_last: bool = False


def supervise(
    programs: Sequence[Program],
    *,
    drain_seconds: float,
    announce: Callable[[Mapping[str, str]], None],
    refresh: Callable[[], None],
    handover: Handover | None = None,
) -> None:
    """Runs the programs until SIGTERM or SIGINT; a second one kills them at once.

    The others begin when the first is ready: gateways find what a control plane has prepared for them, where
    before they would refuse everybody. And the first, and those that are to be last, are stopped when the
    others have ended.

    On SIGUSR2 this process ends and leaves the programs to the next supervisor. Where that is not possible it
    stops.

    Args:
        drain_seconds: how long a program that was told to stop may take over it.
        announce: called once, with what all of them said to be ready at.
        refresh: called in a thread every day and on SIGHUP; then the programs get SIGHUP. What it raises is
            logged.

    Raises:
        CommandFailed: one ended, or did not listen, before all were ready. None is left running.
    """
    asyncio.run(_Supervisor(programs, drain_seconds, announce, refresh, handover or Handover()).run())


@dataclass(slots=True)
class _Child:
    """A program as it runs: its process, and what is left to the next supervisor."""

    process: Process
    control_socket: socket.socket
    listener: tuple[str, socket.socket] | None


class _Supervisor:
    def __init__(
        self,
        programs: Sequence[Program],
        drain_seconds: float,
        announce: Callable[[Mapping[str, str]], None],
        refresh: Callable[[], None],
        handover: Handover,
    ) -> None:
        self._programs = programs
        self._drain_seconds = drain_seconds
        self._announce = announce
        self._refresh = refresh
        self._handover = handover
        self._refresh_now = asyncio.Event()
        self._running: dict[str, _Child] = {}
        self._stop = asyncio.Event()
        self._stop_last = asyncio.Event()
        self._kill_now = asyncio.Event()
        self._detaching = asyncio.Event()
        self._ends_predecessors = False
        """They serve on when this server does not come so far as to serve."""
        self._started: set[str] = set()
        self._first_is_ready = asyncio.Event()
        self._all_are_ready = asyncio.Event()
        self._addresses: dict[str, str] = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Of two that come at once the kernel may show SIGTERM before the SIGUSR2 that was sent first.
            loop.add_signal_handler(number, loop.call_soon, self._told_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._refresh_now.set)
        loop.add_signal_handler(signal.SIGUSR2, self._told_to_detach)
        tasks = [asyncio.create_task(self._keep(program)) for program in self._programs]
        others = [
            task for task, program in zip(tasks, self._programs, strict=True) if not self._is_last(program)
        ]
        replacing = asyncio.create_task(self._replace_predecessors())
        beside = [
            asyncio.create_task(self._refresh_daily()),
            replacing,
            asyncio.create_task(self._detach(replacing)),
        ]
        last = asyncio.create_task(self._stop_in_turn(others))
        try:
            await asyncio.gather(*tasks)
        finally:
            # One failed to start: the others stop as they do when told to.
            self._stop.set()
            await asyncio.gather(*tasks, last, return_exceptions=True)
            for task in beside:
                task.cancel()

    def _told_to_stop(self) -> None:
        # A service manager sends this too when it restarts the service: then it asks for nothing more.
        if not self._detaching.is_set():
            # Before that the service manager has them too, and knows alone whether this is a restart.
            self._ends_predecessors = self._all_are_ready.is_set()
            (self._kill_now if self._stop.is_set() else self._stop).set()

    def _told_to_detach(self) -> None:
        if not self._stop.is_set():
            self._detaching.set()

    def _is_last(self, program: Program) -> bool:
        return program.is_last or program is self._programs[0]

    async def _stop_in_turn(self, others: Sequence["asyncio.Task[None]"]) -> None:
        """Has the last programs, which the others and their callers may need, end when these have."""
        await self._stop.wait()
        self._handover.stopping()
        beside = [*others]
        if self._ends_predecessors:
            within = self._drain_seconds + KILL_AFTER
            beside.append(asyncio.create_task(self._handover.end_predecessors(within)))
        if beside:
            await _first(asyncio.wait(beside), self._kill_now.wait())
        if others:
            await asyncio.wait(others)
        self._stop_last.set()

    async def _replace_predecessors(self) -> None:
        await self._all_are_ready.wait()
        await self._handover.serving(" ".join(url for _, url in sorted(self._addresses.items())))

    async def _detach(self, replacing: "asyncio.Task[None]") -> None:
        """Ends this process, and no other, when told to."""
        await self._detaching.wait()
        if not self._all_are_ready.is_set():
            # There is nothing to hand over. Predecessors, if there are any, serve, and are kept for the next.
            log.info("server starts anew before it was ready")
            self._stop.set()
            return
        await replacing
        children = [child for child in self._running.values() if child.process.returncode is None]
        try:
            listeners = [child.listener for child in children if child.listener is not None]
            await self._handover.detach(listeners, [child.control_socket for child in children])
        except OSError as problem:
            log.warning("server stops: its processes cannot be left to the next one", problem=str(problem))
            self._detaching.clear()
            self._stop.set()
            return
        log.info("processes left to the next server", pids=[child.process.pid for child in children])
        # At once: what would be tidied up here are the processes.
        os._exit(0)

    async def _refresh_daily(self) -> None:
        while True:
            await _first(self._refresh_now.wait(), within=_REFRESH_SECONDS)
            self._refresh_now.clear()
            try:
                await asyncio.to_thread(self._refresh)
            except Exception as problem:
                log.error("refresh failed", problem=str(problem))
            for child in self._running.values():
                if child.process.returncode is None:
                    child.process.send_signal(signal.SIGHUP)

    async def _keep(self, program: Program) -> None:
        """Runs one program, again and again, until told to stop."""
        if program is not self._programs[0]:
            await _first(self._first_is_ready.wait(), self._stop.wait())
        told = self._stop_last if self._is_last(program) else self._stop
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while not told.is_set():
            since = loop.time()
            status = await self._run_once(program, told)
            if told.is_set():
                return
            if program.name not in self._started:
                raise CommandFailed(f"{program.name} did not start ({_ending(status)}): see the lines above")
            if loop.time() - since > _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            log.error("process died", process=program.name, ending=_ending(status), restart_in_seconds=pause)
            await _first(told.wait(), asyncio.sleep(pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _run_once(self, program: Program, told: asyncio.Event) -> int:
        """The exit status of the program, which ended of itself or was told to."""
        child = await self._start(program)
        process = child.process
        log.info("process started", process=program.name, pid=process.pid)
        self._running[program.name] = child
        listening = asyncio.create_task(self._listen(program, process))
        try:
            if not await _first(process.wait(), told.wait(), listening, within=START_SECONDS):
                log.error("process is not ready in time", process=program.name, seconds=START_SECONDS)
                process.kill()
            await _first(process.wait(), told.wait())
        finally:
            await self._end(process)
            listening.cancel()
            child.control_socket.close()
            if child.listener is not None:
                # What waits in it would wait for the next process, where another worker may serve it at once.
                child.listener[1].close()
        assert process.returncode is not None
        return process.returncode

    async def _start(self, program: Program) -> _Child:
        environment = {name: value for name, value in os.environ.items() if name not in program.without}
        environment[SUPERVISOR_VARIABLE] = str(os.getpid())
        if self._handover.has_predecessors:
            environment[REPLACES_VARIABLE] = "1"
        listener, passed = None, tuple[int, ...]()
        if program.listens is not None:
            name, address = program.listens
            try:
                sock = self._handover.listener(name, address)
            except OSError as problem:
                raise CommandFailed(f"cannot listen on {address}: {problem.strerror}") from problem
            listener, passed = (name, sock), (sock.fileno(),)
            environment[LISTENER_VARIABLE] = str(sock.fileno())
        control_socket, other_end = socket.socketpair()
        control_socket.setblocking(False)
        with other_end:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=other_end.fileno(),
                stdout=PIPE,
                pass_fds=passed,
                env=environment,
                process_group=0,
            )
        return _Child(process, control_socket, listener)

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
            self._all_are_ready.set()

    async def _end(self, process: Process) -> None:
        if process.returncode is not None:
            return
        process.terminate()
        limit = self._drain_seconds + KILL_AFTER
        if not await _first(process.wait(), self._kill_now.wait(), within=limit) or self._kill_now.is_set():
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
