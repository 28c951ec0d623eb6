"""A PostgreSQL server that says nothing any more: its processes are stopped, or its disk hangs.

Its connections do not break, so that whoever waits for an answer would wait for ever, and hold a thread. The
kernel's time-outs do not end that, as the kernel of the server answers for it.
"""

import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any, Final, NoReturn

import psycopg
from psycopg import capabilities
from sqlalchemy import Engine, event

IDLE_SECONDS: Final = 5.0
"""How long a connection that was in nobody's use may take to show that it is still good."""
_CANCEL_SECONDS: Final = 3.0
_NOTHING: Final = 0
"""What psycopg tells a generator that waits for the server, now and then, while nothing has come."""


class ReadTimeout(psycopg.OperationalError, TimeoutError):
    """The server has said nothing for too long. Whether it has done what it was asked is not known."""


def set_read_timeout(engine: Engine, seconds: float) -> None:
    """Has whoever waits for the server give up when nothing at all has come from it for so long.

    The connection is closed then, and all others of the pool are made anew before they are used again.
    """

    def connect(_dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> psycopg.Connection:
        connection = _ConnectionWithReadTimeout.connect(*arguments, **options)
        connection.read_timeout = seconds
        return connection

    def taken(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.read_timeout = seconds

    def given_back(connection: Any, _record: Any) -> None:
        # Of one that is closed already there is none.
        if connection is not None:
            connection.read_timeout = IDLE_SECONDS

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "checkout", taken)
    event.listen(engine, "checkin", given_back)


class _ConnectionWithReadTimeout(psycopg.Connection[Any]):
    read_timeout = IDLE_SECONDS

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        return super().wait(self._bounded(gen), *arguments, **options)

    def _bounded(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The same generator, which ends when nothing comes."""
        try:
            wanted = next(gen)
            silent_since: float | None = None
            while True:
                ready = yield wanted
                if ready != _NOTHING:
                    silent_since = None
                elif silent_since is None:
                    # Only now: nearly every answer comes before, and asks for no time.
                    silent_since = time.monotonic()
                elif time.monotonic() - silent_since >= self.read_timeout:
                    self._give_up(gen)
                wanted = gen.send(ready)
        except StopIteration as ended:
            return ended.value

    def _give_up(self, gen: Generator[Any, Any, Any]) -> NoReturn:
        """
        Raises:
            ReadTimeout: always.
        """
        with suppress(Exception):
            gen.close()
        if self.read_timeout > IDLE_SECONDS and capabilities.has_cancel_safe():
            # A server that hangs no more, or waits for its standby, is not to go on with it.
            with suppress(psycopg.Error):
                self.cancel_safe(timeout=_CANCEL_SECONDS)
        self.pgconn.finish()
        raise ReadTimeout(
            f"the database server has not answered for {self.read_timeout:.0f} seconds: see whether it hangs,"
            " or its disk. Whether it has done what it was asked is not known: look before you ask again"
        )
