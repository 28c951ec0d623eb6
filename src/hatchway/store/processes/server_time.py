"""The time by which all who share a store judge each other: the database server's.

A lease that one machine writes by its own clock and another reads by its own is good for as long as these two
happen to agree. So leases, what is old enough to be deleted, and the days for which signing keys are derived
go by the clock of PostgreSQL's server. A store in SQLite is one machine's, and has its clock.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from hatchway.kernel_clock import kept_right
from hatchway.store.columns import UtcDateTime

TOLERANCE: Final = timedelta(seconds=5)
"""How far two clocks are apart before anybody is told."""
CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far off a clock may be by which signatures are judged: beyond it all of them are refused (Signature
Version 4)."""
ASKED_EVERY: Final = 30.0
"""Seconds for which the server's time is counted on by this process's own monotonic clock."""

log = structlog.get_logger("hatchway.store")


class NowThere(FunctionElement[datetime]):
    """The moment, in a statement: the server's; in SQLite the own one that is given."""

    inherit_cache = True
    type = UtcDateTime()

    def __init__(self, own: datetime | str) -> None:
        """`own` is the own moment, or the name of the parameter that gives it."""
        super().__init__(bindparam(own, type_=self.type) if isinstance(own, str) else literal(own, self.type))


@compiles(NowThere)
def _own(element: NowThere, compiler: Any, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(NowThere, "postgresql")
def _of_server(_element: NowThere, _compiler: Any, **_options: Any) -> str:
    return "statement_timestamp()"


def is_useless(own: datetime, there: datetime) -> bool:
    """Whether by the own clock nobody's signature is good, of two moments that were one.

    Where something keeps the own one right, it is the database server's that is wrong. Then signatures are
    judged rightly here, and everywhere: nobody is helped if all say that they are not ready.
    """
    return abs(own - there) > CLOCK_SKEW and not kept_right()


class ClockCheck:
    """Tells in the log when this machine's clock and the server's are apart, and when they agree again."""

    def __init__(self) -> None:
        self._apart = False
        self.useless = False
        """Whether by the own clock nobody's signature is good, by the last comparison."""

    def compare(self, own: datetime, there: datetime) -> None:
        """Two moments that were one."""
        ahead = (own - there).total_seconds()
        apart = abs(ahead) > TOLERANCE.total_seconds()
        if apart and not self._apart:
            log.error(
                "clocks differ",
                seconds_ahead=round(ahead),
                problem="this machine's clock and the database server's are apart: set the one that is wrong"
                " (chrony, systemd-timesyncd). By its own clock a machine judges signatures, conditions on"
                " time and the ends of credentials",
            )
        elif self._apart and not apart:
            log.info("clocks agree again")
        self._apart = apart
        self.useless = is_useless(own, there)


class ServerTime:
    """The server's time, asked for now and then; in SQLite the own one. Thread-safe.

    A clock that is set meanwhile, or jumps, changes nothing of it.
    """

    def __init__(
        self,
        ask: Callable[[], datetime | None],
        own: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """`ask` gives the server's time, None where the store has no server: `Store.server_time`."""
        self._ask = ask
        self._own = own
        self._monotonic = monotonic
        self._check = ClockCheck()
        self._known: tuple[datetime, float] | None = None

    def __call__(self) -> datetime:
        """
        Raises:
            Exception: the store does not answer, and has not for a while.
        """
        known = self._known
        if known is None or self._monotonic() - known[1] >= ASKED_EVERY:
            at = self._monotonic()
            there = self._ask()
            if there is None:
                return self._own()
            self._known = known = there, at
            self._check.compare(self._own(), there)
        return known[0] + timedelta(seconds=self._monotonic() - known[1])

    def earlier(self) -> datetime:
        """This or the own time, whichever is earlier: what is deleted is gone, so both have to say so."""
        return min(self._own(), self())
