"""The one logger set-up: structured events, one a line, on standard error.

    log = structlog.get_logger("hatchway.gateway")
    log.info("tunnel opened", tunnel_id=…, endpoint_id=…)

What `structlog.contextvars` binds, such as the request id, is on every event of that request. Libraries
that use the standard library's `logging` come out in the same shape. Never log a secret, a signature, or what
went through a tunnel.
"""

import io
import json
import logging
import os
import sys
import threading
import time
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from hatchway.settings import LogFormat

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor, WrappedLogger

# Libraries whose informational messages say nothing that our own events do not.
_QUIET = ("uvicorn.access", "uvicorn.error", "alembic", "sqlalchemy", "botocore", "urllib3", "asyncio")
# Its warnings are of what fails on the way from a failure that is raised all the same.
_SILENT = ("psycopg",)

# structlog's own default shows the local variables of each frame, and among those are secrets.
_TRACEBACKS_AS_DICTS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)

# `json.dumps` makes one for each value, as soon as it is told what to do with what JSON has no word for.
_ENCODER = json.JSONEncoder(default=repr)

_NOT_PLAIN = frozenset({"exc_info", "stack_info", "_record", "level", "logger", "time"})
"""What an event has that comes with a traceback, or from `logging`, and what every line has."""


def log_format_for(stream: TextIO) -> LogFormat:
    """What whoever reads `stream` reads best: a person before a terminal, programs anything else."""
    try:
        return LogFormat.CONSOLE if stream.isatty() else LogFormat.JSON
    except ValueError:
        # It is closed.
        return LogFormat.JSON


def configure_logs(format_: LogFormat, *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sets up structlog and `logging` for this process; `stream` is standard error by default."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _stamp,
        structlog.processors.StackInfoRenderer(),
    ]
    output = stream if stream is not None else sys.stderr
    rendering: list[Processor]
    if format_ is LogFormat.JSON:
        rendering = [_in_json]
    else:
        rendering = [
            _for_people,
            structlog.dev.ConsoleRenderer(
                colors=output.isatty() and not os.environ.get("NO_COLOR"),
                timestamp_key="time",
                exception_formatter=_traceback_for_people,
            ),
        ]
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _without_pools_tracebacks],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    structlog.configure(
        # Our own events do not go through `logging`: that would double what a line costs.
        processors=[*shared, *rendering],
        logger_factory=lambda name="root": _Lines(name, handler),
        wrapper_class=_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _SILENT:
        logging.getLogger(name).setLevel(max(level, logging.ERROR))


def _bound_logger(level: int) -> "type[FilteringBoundLogger]":
    """structlog's own, but with a shorter way to its line for what informs, which is most of a log."""
    usual: Any = structlog.make_filtering_bound_logger(level)
    if level > logging.INFO:
        return usual  # type: ignore[no-any-return]

    class Direct(usual):  # type: ignore[misc]
        """The same lines: all that is not plain goes structlog's way, and so does what is not for JSON."""

        def info(self, event: str, *args: Any, **values: Any) -> Any:
            if (
                args
                or self._context
                or self._processors[-1] is not _in_json
                or not values.keys().isdisjoint(_NOT_PLAIN)
            ):
                return super().info(event, *args, **values)
            logger: _Lines = self._logger
            if structlog.contextvars.get_contextvars():
                told = {**values, "event": event}
                complete = structlog.contextvars.merge_contextvars(logger, "info", told)
                return logger.write(_json_line(_stamp(logger, "info", complete)))
            second, microsecond = _moment()
            form = _informing_form(tuple(values), event, logger.name)
            return logger.write(_filled(form, [*_written_values(values), second, f"{microsecond:06}"]))

    return Direct


def _stamp(logger: "WrappedLogger", method: str, event: "EventDict") -> "EventDict":
    """The level of an event, its logger, and the time: in one, because a gateway logs two for each tunnel."""
    record = event.get("_record")  # of `logging`, when the event is not our own
    event["level"] = method
    event["logger"] = logger.name if record is None else record.name
    second, microsecond = _moment()
    event["time"] = f"{second}.{microsecond:06}Z"
    return event


def _moment() -> tuple[str, int]:
    """Now, as its second, written, and microseconds."""
    second, microsecond = divmod(time.time_ns() // 1000, 1_000_000)
    return _written(second), microsecond


def _without_pools_tracebacks(logger: "WrappedLogger", method: str, event: "EventDict") -> "EventDict":
    """SQLAlchemy's pool tells with a traceback of each connection that it throws away because it has broken.
    Whoever used that one says what it means."""
    if event["_record"].name.startswith("sqlalchemy.pool") and (failure := event.get("exc_info")):
        told = str(failure[1]).strip().splitlines()
        del event["exc_info"]
        event["problem"] = told[0] if told else type(failure[1]).__name__
    return event


@lru_cache(maxsize=1)
def _written(second: int) -> str:
    """A second since 1970 as ISO 8601 has it, in UTC. Of many lines most are of the last one's second."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


def _for_people(logger: "WrappedLogger", method: str, event: "EventDict") -> "EventDict":
    """What a person wants of an event: the time on his own clock, and nothing that says nothing."""
    event["time"] = f"{datetime.now().astimezone():%H:%M:%S}"
    if event["logger"].startswith("hatchway"):
        del event["logger"]
    return {
        name: _visible(value) if isinstance(value, str) else value
        for name, value in event.items()
        if value is not None
    }


def _traceback_for_people(stream: TextIO, failure: "ExcInfo") -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, failure)
    stream.write("\n".join(map(_visible, text.getvalue().split("\n"))))


def _visible(text: str) -> str:
    """What a terminal shows and does not obey: what others sent may be in an event or in an exception."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _float(value: float) -> str:
    return float.__repr__(value) if isfinite(value) else _ENCODER.encode(value)


_WRITTEN: "dict[type, Callable[[Any], str]]" = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    float: _float,
}
"""What the encoder makes of them, without it."""


def _in_json(logger: "WrappedLogger", method: str, event: "EventDict") -> str:
    if "exc_info" in event:
        event = _TRACEBACKS_AS_DICTS(logger, method, event)
    return _json_line(event)


def _json_line(event: "EventDict") -> str:
    """What the encoder makes of the whole event. Most of what is in one needs none."""
    return _filled(_form(tuple(event)), _written_values(event))


def _written_values(event: "EventDict") -> list[str]:
    written, encode = _WRITTEN.get, _ENCODER.encode
    return [written(type(value), encode)(value) for value in event.values()]


def _filled(form: list[str], values: list[str]) -> str:
    """A line whose form has an empty place for each of these values, between what is in every such line."""
    parts = form.copy()
    parts[1::2] = values
    return "".join(parts)


@lru_cache(maxsize=256)
def _form(names: tuple[str, ...]) -> list[str]:
    """That of events with these members."""
    return _parts([*_labels(names), "}"])


@lru_cache(maxsize=256)
def _informing_form(names: tuple[str, ...], event: str, logger: str) -> list[str]:
    """That of one that informs, with these members besides what all have: with places for them, and for its
    moment's second and microseconds."""
    stamp = _ENCODER.encode({"event": event, "level": "info", "logger": logger})[1:-1]
    return _parts([*_labels(names), f'{", " if names else "{"}{stamp}, "time": "', ".", 'Z"}'])


def _labels(names: tuple[str, ...]) -> list[str]:
    return [f"{', ' if place else '{'}{encode_basestring_ascii(name)}: " for place, name in enumerate(names)]


def _parts(fixed: list[str]) -> list[str]:
    """These, with an empty place after each but the last."""
    return [part for each in fixed for part in (each, "")][:-1]


class _Lines:
    """Where structlog's events go when they have become lines: to the stream that `logging` writes to."""

    def __init__(self, name: str, handler: "logging.StreamHandler[TextIO]") -> None:
        self.name = name
        self._stream = handler.stream
        self._lock = handler.lock or threading.RLock()

    def write(self, line: str) -> None:
        with self._lock:
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except (OSError, ValueError):
                # A log that cannot be written, on a full disk or without a reader, stops nothing.
                pass

    debug = info = warning = error = critical = write
