"""One tunnel on standard input and output, as ssh's ProxyCommand has it: without an event loop, which takes
longer to load than a tunnel takes to be opened.

It behaves as `relay` does, which has many at once: what is said there of half-closes and of ends holds here.
"""

from __future__ import annotations

import os
import select
import ssl
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from hatchway.client.errors import CONNECTION_LOST, NotCarried, TunnelClosed, printable
from hatchway.client.tunnel import relay_limits
from hatchway.client.tunnel.frames import (
    BINARY,
    CLOSE,
    NO_STATUS,
    NORMAL,
    PING,
    PONG,
    TEXT,
    TEXT_REASON,
    UNSUPPORTED_DATA,
    BadFrame,
    FrameReader,
    new_key,
    read_close,
    write_close,
    write_frame,
)
from hatchway.client.tunnel.local import parting, standard_streams
from hatchway.client.tunnel.opening import open_with_retries
from hatchway.client.tunnel.read_watchdog import watched_reads
from hatchway.client.tunnel.signals import deferring_signals
from hatchway.domain.tunnel_protocol import END_OF_DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatchway.client.connection.retry import RetryBudget
    from hatchway.client.connection.tls import Trust
    from hatchway.client.discovery.plan import TunnelPlan
    from hatchway.client.tunnel.local import LocalEnd
    from hatchway.client.tunnel.opening import Opened, Preconnection
    from hatchway.client.tunnel.read_watchdog import ReadWatchdog
    from hatchway.client.tunnel.signals import DeferredSignals

MAX_FRAME: Final = 65_000
"""Bytes in a frame that we send, as in the AWS CLI."""

_READ_BUFFER: Final = 256 * 1024
_MOST_READS: Final = 64
"""Bytes and reads before signals and the clock are looked at. A record of TLS gives one byte to 16 KiB."""


def relay_standard_streams(
    plan: TunnelPlan,
    trust: Trust,
    preconnection: Preconnection | None = None,
    *,
    retry_budget: RetryBudget | None = None,
    host_speaks: Callable[[], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Carry one tunnel on standard input and output, as ssh's ProxyCommand does.

    Args:
        trust: decides whom to trust.
        ahead: a connection that may lead to the plan's gateway.
        retry_budget: for a gateway that is just restarting.
        host_speaks: is called before the first byte that comes from the host.
        tell: is told what a signal has cost.

    Raises:
        InvalidOption: standard input is a terminal.
        SystemExit, KeyboardInterrupt: a signal ended the tunnel, in order.
        ClientError: as `tunnel.open_tunnel`.
    """
    with standard_streams() as local:
        carry(
            plan, trust, local, preconnection, retry_budget=retry_budget, host_speaks=host_speaks, tell=tell
        )


def carry(
    plan: TunnelPlan,
    trust: Trust,
    local: LocalEnd,
    preconnection: Preconnection | None = None,
    *,
    retry_budget: RetryBudget | None = None,
    host_speaks: Callable[[], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Open one tunnel and carry it to its end. Nothing has been read from the local end when none is opened.

    Raises:
        SystemExit, KeyboardInterrupt: a signal ended the tunnel, in order.
        ClientError: as `tunnel.open_tunnel`.
    """
    opened = open_with_retries(plan, trust, preconnection, retry_budget)
    with opened.sock, deferring_signals() as signals, watched_reads(opened.sock, signals) as reads:
        untaken = StreamRelay(opened, local, signals, reads, host_speaks).run()
        if untaken and tell is not None:
            tell(relay_limits.cut_short(untaken))
        signals.raise_again()


class StreamRelay:
    """One tunnel's traffic."""

    def __init__(
        self,
        opened: Opened,
        local: LocalEnd,
        signals: DeferredSignals,
        reads: ReadWatchdog,
        host_speaks: Callable[[], None] | None = None,
    ) -> None:
        self._sock, self._half_close, self._request_id = opened.sock, opened.half_close, opened.request_id
        self._first = opened.received
        self._host_speaks = host_speaks
        self._local = local
        self._signals = signals
        self._reads = reads
        self._poll = select.poll()
        self._polled: dict[int, int] = {}
        self._frames = FrameReader()
        self._incoming = memoryview(bytearray(_READ_BUFFER))
        # Those that have come and are not read yet: meanwhile nothing more is received.
        self._came: Iterator[tuple[int, memoryview | bytes]] | None = None
        self._unsent: deque[memoryview] = deque()
        # The newest that is not answered yet (RFC 6455 section 5.5.3).
        self._ping: bytes | None = None
        self._more_received = True
        self._lost = False
        # Whether TLS has to answer first, which the gateway does not take: nothing is read until it does.
        self._answers = False
        self._backlog = bytearray()
        self._input_ended = False
        self._target_ended = False
        self._close_sent = False
        self._leaving = False
        self._over = False
        self._outcome: TunnelClosed | NotCarried | None = None
        self._look_at: float | None = None
        self._close_by: float | None = None
        self._owed = 0

    def run(self) -> int:
        """Until the tunnel has ended and all that came through it has been written. A signal has what is
        there of the local input sent and the tunnel closed; a second one has nothing waited for.

        Returns:
            After a signal, how many bytes of the local input the gateway has not taken.

        Raises:
            TunnelClosed: it ended with another close code than 1000.
            NotCarried: a file that is the local end failed, as on a full disk.
        """
        relay_limits.keep_alive(self._sock)
        if self._first:
            self._came = self._frames.read(memoryview(self._first))
        while not self._over or self._backlog:
            self._turn()
        untaken = self._untaken() if self._signals.numbers else 0
        self._part()
        self._part_from_reader()
        if self._outcome is not None and not self._signals.numbers:
            raise self._outcome
        return untaken

    def _turn(self) -> None:
        gateway, local = self._sock.fileno(), self._local
        hears = not self._over and (self._close_sent or len(self._backlog) <= relay_limits.BACKLOG_LIMIT)
        reads = not (self._input_ended or self._over or self._close_sent or self._unsent)
        wanted = {} if self._signals.wakes is None else {self._signals.wakes: select.POLLIN}
        writes = bool(self._unsent) or (hears and self._answers)
        if not self._over and (hears or writes):
            reads_gateway = hears and not self._answers
            wanted[gateway] = (select.POLLIN if reads_gateway else 0) | (select.POLLOUT if writes else 0)
        if reads and local.input_waits:
            wanted[local.input] = select.POLLIN
        ending = self._input_ended and not self._over and not self._close_sent
        if self._backlog or (ending and local.output_waits):
            # Whether it takes something; or, once nothing more comes from here, whether anybody reads it.
            wanted[local.output] = wanted.get(local.output, 0) | (select.POLLOUT if self._backlog else 0)
        more = self._more_received or self._came is not None
        at_once = (hears and more) or (reads and not local.input_waits)
        ready = self._wait(wanted, 0.0 if at_once else self._until_next())
        if self._signals.wakes is not None and ready.get(self._signals.wakes):
            self._leave()
        if self._unsent and ready.get(gateway):
            self._flush()
            self._answer()
        if hears and (more or ready.get(gateway)):
            if self._came is None:
                self._receive()
            self._read_frames()
            self._answer()
        if self._backlog and ready.get(local.output):
            self._write_backlog()
        elif ending and ready.get(local.output):
            self._hang_up()
        if reads and (ready.get(local.input) or not local.input_waits):
            self._read()
        self._look_at_the_clock()

    def _wait(self, wanted: dict[int, int], seconds: float | None) -> dict[int, int]:
        if wanted != self._polled:
            for descriptor in self._polled.keys() - wanted.keys():
                self._poll.unregister(descriptor)
            for descriptor, events in wanted.items():
                self._poll.register(descriptor, events)
            self._polled = wanted
        return dict(self._poll.poll(None if seconds is None else max(0.0, seconds * 1000)))

    # From the local input to the gateway.

    def _read(self) -> int:
        """How many bytes there were."""
        if self._input_ended or self._over or self._close_sent:
            return 0
        try:
            data = os.read(self._local.input, MAX_FRAME)
        except BlockingIOError:
            return 0
        except OSError as error:
            if not self._local.input_waits:
                self._fail(f"standard input cannot be read any further: {error.strerror}")
            self._hang_up()
            return 0
        if not data:
            self._input_ended = True
            if self._half_close:
                self._send(TEXT, END_OF_DATA)
            self._look_at = time.monotonic() + relay_limits.CHECK_INTERVAL
            return 0
        self._send(BINARY, data)
        return len(data)

    def _send(self, kind: int, payload: bytes | memoryview) -> None:
        self._unsent.append(memoryview(write_frame(kind, payload, new_key())))
        self._flush()

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent[0])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError:
                # What the gateway said before it left is still to be read.
                self._unsent.clear()
                return
            if sent < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][sent:]
            else:
                self._unsent.popleft()

    # From the gateway to the local output.

    def _receive(self) -> None:
        """As much as the buffer takes, or as so many reads give."""
        filled, reads = 0, self._reads
        self._more_received = True
        for _ in range(_MOST_READS):
            reads.count += 1
            try:
                size = self._sock.recv_into(self._incoming[filled:])
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as waits:
                self._more_received = False
                self._answers = isinstance(waits, ssl.SSLWantWriteError)
                break
            except OSError:
                size = 0
            finally:
                reads.count += 1
            if size == 0:
                self._lost = True
                break
            filled += size
            if filled == _READ_BUFFER:
                break
        self._came = self._frames.read(self._incoming[:filled])

    def _read_frames(self) -> None:
        """The next few of those that have come; and the connection's end, when all of them have been read."""
        assert self._came is not None
        try:
            for _ in range(relay_limits.MOST_FRAMES):
                kind, payload = next(self._came, (None, b""))
                if kind is None or self._over:
                    self._came = None
                    break
                self._act_on(kind, payload)
        except BadFrame as problem:
            self._came = None
            self._refuse(problem.code, str(problem))
        if self._lost and self._came is None:
            self._end(self._closed(CONNECTION_LOST, "the connection to the gateway was lost"))

    def _answer(self) -> None:
        """Answer the newest ping once the gateway has taken what was sent before: one that takes nothing has
        one answer wait for it, however many pings it sends."""
        if self._ping is not None and not (self._unsent or self._close_sent or self._over):
            payload, self._ping = self._ping, None
            self._send(PONG, payload)

    def _act_on(self, kind: int, payload: memoryview | bytes) -> None:
        if kind == BINARY:
            if payload and not self._target_ended:
                self._deliver(payload)
        elif kind == CLOSE:
            code, reason = read_close(payload)
            self._send_close(NORMAL)
            self._end(None if code in (NORMAL, NO_STATUS) else self._closed(code, printable(reason)))
        elif kind == PING:
            self._ping = bytes(payload)
        elif kind == TEXT and self._half_close and payload == END_OF_DATA:
            self._target_ended = True
            self._end_output()
        elif kind == TEXT:
            self._refuse(UNSUPPORTED_DATA, TEXT_REASON)

    def _deliver(self, payload: memoryview | bytes) -> None:
        if self._close_sent:
            return
        if self._host_speaks is not None:
            self._host_speaks()
            self._host_speaks = None
        written = 0 if self._backlog else self._write(payload)
        if written < len(payload) and not self._close_sent:
            # In one piece of memory: each of its own would be hundreds of bytes for a frame of one.
            self._backlog += payload[written:]

    def _write_backlog(self) -> None:
        written = self._write(self._backlog)
        # It is empty where nobody is left to read it.
        del self._backlog[:written]
        self._end_output()

    def _end_output(self) -> None:
        """Let the reader know that nothing more comes, once it has all of it and the target has ended."""
        if self._target_ended and not self._backlog and not self._close_sent and not self._over:
            self._local.end_output()

    def _write(self, data: memoryview | bytes | bytearray) -> int:
        written = 0
        try:
            written = os.write(self._local.output, data)
            while not self._local.output_waits and written < len(data):
                written += os.write(self._local.output, data[written:])
        except BlockingIOError:
            pass
        except OSError as error:
            if not self._local.output_waits:
                self._fail(f"standard output takes no more, and lacks what came since: {error.strerror}")
            self._hang_up()
        return written

    # Ends.

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if self._look_at is not None and now >= self._look_at:
            self._look_at = now + relay_limits.CHECK_INTERVAL
            if self._close_by is not None:
                self._look_whether_it_takes_more(now)
            elif self._local.reader_is_gone():
                self._hang_up()
        if self._close_by is not None and now >= self._close_by:
            self._end(self._closed(CONNECTION_LOST, relay_limits.no_close(self._owed)))

    def _look_whether_it_takes_more(self, now: float) -> None:
        """What the kernel holds for a slow gateway is on its way like what waits here."""
        before, self._owed = self._owed, self._still_owed()
        if self._owed < before and not self._leaving:
            self._close_by = now + relay_limits.CLOSE_TIMEOUT

    def _still_owed(self) -> int:
        return sum(map(len, self._unsent)) + relay_limits.unacknowledged(self._sock.fileno())

    def _until_next(self) -> float | None:
        times = [each for each in (self._close_by, self._look_at) if each is not None]
        return min(times) - time.monotonic() if times else None

    def _leave(self) -> None:
        """What waits is at most what the kernel holds."""
        if self._signals.again:
            self._end(self._closed(CONNECTION_LOST, relay_limits.NO_CLOSE))
            self._backlog.clear()
            return
        if self._leaving or not self._signals.numbers:
            return
        left = self._local.waiting()
        while left > 0 and (size := self._read()):
            left -= size
        self._leaving = True
        self._hang_up()
        self._close_by = time.monotonic() + relay_limits.LEAVE_TIMEOUT

    def _untaken(self) -> int:
        outcome = self._outcome
        if outcome is None or (isinstance(outcome, TunnelClosed) and outcome.code != CONNECTION_LOST):
            # The gateway has ended it.
            return 0
        unsent = sum(map(len, self._unsent)) + self._reads.owed
        return relay_limits.untaken(unsent, self._sock.fileno(), self._local)

    def _hang_up(self) -> None:
        """Nobody is left to hear the target: what was sent still reaches it, what it says is dropped."""
        self._backlog.clear()
        if not self._over and not self._close_sent:
            now = time.monotonic()
            self._close_by = now + relay_limits.CLOSE_TIMEOUT
            self._look_at = now + relay_limits.CHECK_INTERVAL
            self._send_close(NORMAL)

    def _fail(self, reason: str) -> None:
        """A file ends a tunnel by no choice of its reader's or writer's, who has to know of it."""
        self._outcome = NotCarried(reason)

    def _refuse(self, code: int, reason: str) -> None:
        self._send_close(code)
        self._end(self._closed(code, reason))

    def _send_close(self, code: int) -> None:
        if not self._close_sent:
            self._close_sent = True
            self._send(CLOSE, write_close(code))

    def _closed(self, code: int, reason: str) -> TunnelClosed:
        return TunnelClosed(code, reason, self._request_id)

    def _end(self, outcome: TunnelClosed | None) -> None:
        if self._over:
            return
        self._over = True
        self._outcome = self._outcome or outcome
        self._look_at = self._close_by = None

    def _part_from_reader(self) -> None:
        """inetd and its like give a connection as both standard streams, and it is closed with us."""
        with suppress(OSError):
            sock = self._local.output_socket()
            if sock is None:
                return
            with sock:
                for pause in parting(sock, cut=self._outcome is not None):
                    if self._signals.numbers:
                        return
                    time.sleep(pause)

    def _part(self) -> None:
        """Have our Close leave, and TLS be told of the end."""
        until = time.monotonic() + relay_limits.HANG_UP_TIMEOUT
        while self._unsent and (left := until - time.monotonic()) > 0 and not self._signals.again:
            self._wait({self._sock.fileno(): select.POLLOUT}, left)
            self._flush()
        try:
            # It reads too.
            with self._reads.one():
                self._sock.unwrap()
        except (OSError, ValueError):
            # It does not wait for the gateway's, which closes next.
            return
