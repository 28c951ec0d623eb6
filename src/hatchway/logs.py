"""The one logger set-up: structured events, one a line, on standard error.

    log = structlog.get_logger("hatchway.gateway")
    log.info("tunnel opened", tunnel_id=…, endpoint_id=…)

What `structlog.contextvars` binds, such as the request id, is on every event of that request. Libraries
that use the standard library's `logging` come out in the same shape. Never log a secret, a signature, or what
went through a tunnel.
"""

import logging
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

import structlog

from hatchway.settings import LogFormat

if TYPE_CHECKING:
    from structlog.typing import Processor

# Libraries whose informational messages say nothing that our own events do not.
_QUIET = ("uvicorn.access", "alembic", "sqlalchemy", "botocore", "urllib3", "asyncio")

# structlog's own default shows the local variables of each frame, and among those are secrets.
_TRACEBACKS_AS_DICTS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure_logs(format_: LogFormat, *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sets up structlog and `logging` for this process; `stream` is standard error by default."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
    ]
    output = stream if stream is not None else sys.stderr
    rendering: list[Processor]
    if format_ is LogFormat.JSON:
        rendering = [_TRACEBACKS_AS_DICTS, structlog.processors.JSONRenderer()]
    else:
        rendering = [
            structlog.dev.ConsoleRenderer(
                colors=output.isatty(),
                timestamp_key="time",
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    structlog.configure(
        # Our own events do not go through `logging`: that would double what a line costs.
        processors=[*shared, *rendering],
        logger_factory=lambda name="root": _Lines(name, handler),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _Lines:
    """Where structlog's events go when they have become lines: to the stream that `logging` writes to."""

    def __init__(self, name: str, handler: "logging.StreamHandler[TextIO]") -> None:
        self.name = name
        self._stream = handler.stream
        self._lock = handler.lock or threading.RLock()

    def write(self, line: str) -> None:
        # A log that cannot be written, on a full disk or without a reader, stops nothing.
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = write
