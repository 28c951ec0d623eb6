"""OpenTelemetry traces, for a process whose environment asks for them.

    with tracing("gateway", os.environ) as traces:
        …                                    # None unless OTEL_… asks for traces

The variables are OpenTelemetry's own, so any collector that speaks OTLP over HTTP will do. Nothing of
OpenTelemetry is imported unless it is asked for: what is not configured costs its users one `is None`.

| module | holds |
|---|---|
| `configuration` | whether the environment asks for traces, and whether it can be met |
| `spans` | the few shapes of spans there are |
| `export` | sending them, and telling the log when that fails |

What must hold here: spans go to a bounded queue, and from there to the collector in a thread of their own, so
that a collector that is slow or dead costs spans, never a tunnel or a call. This package alone knows
OpenTelemetry; `gateway.telemetry.tracing` and `control.tracing` say what is worth telling. A span never holds
a secret, a signature, a call's parameters or a byte of a tunnel.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from hatchway.tracing.configuration import BadConfiguration, asked_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hatchway.tracing.spans import Traces

log = structlog.get_logger("hatchway.tracing")

_NOT_INSTALLED = (
    "OpenTelemetry is not installed: install hatchway[otel], or the packages opentelemetry-sdk and"
    " opentelemetry-exporter-otlp-proto-http"
)


@contextmanager
def tracing(plane: str, environ: Mapping[str, str]) -> Iterator[Traces | None]:
    """Traces of this process, exported until the context ends; None when there are to be none.

    Does not raise when they are asked for in vain: that is logged, with what to do about it, and the process
    serves without. Enter it when the process has become the user that it runs as: its thread does not change.

    Args:
        plane: which of the two it is, `control` or `gateway`.
        environ: the environment, which OpenTelemetry itself reads too.
    """
    traces = _open(plane, environ)
    try:
        yield traces
    finally:
        if traces is not None:
            traces.close()


def _open(plane: str, environ: Mapping[str, str]) -> Traces | None:
    try:
        if not asked_for(environ):
            return None
        from hatchway.tracing.spans import Traces

        return Traces(plane)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "hatchway":
            raise
        log.warning("no traces", problem=_NOT_INSTALLED)
    except BadConfiguration as problem:
        log.warning("no traces", problem=str(problem))
    except ValueError as problem:
        # OpenTelemetry's own checks of OTEL_BSP_… and the limits of spans.
        log.warning("no traces", problem=f"OpenTelemetry refuses its OTEL_ variables: {problem}")
    return None
