"""Spans, in Hatchway's few shapes: one for what was asked of this process, and finished ones beneath it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hatchway import __version__
from hatchway.tracing.export import CollectorExporter

if TYPE_CHECKING:
    from collections.abc import Mapping

    Attributes = Mapping[str, str | int]

__all__ = ["Attributes", "Span", "SpanContext", "Traces"]

FLUSH_SECONDS: Final = 1.5
"""How long a process that ends waits for its last spans to be taken."""

TRACEPARENT: Final = "traceparent"
"""The header by which a caller says which trace it is in (W3C: "Trace Context")."""

log = structlog.get_logger("hatchway.tracing")

_OF_ITS_OWN: Final = Context()
_propagator: Final = TraceContextTextMapPropagator()


class Traces:
    """What one process tells of itself. Safe to use from many threads at once."""

    def __init__(self, plane: str) -> None:
        """
        Raises:
            ValueError: a variable of OpenTelemetry's has a value that it cannot have.
        """
        own = {"service.name": f"hatchway-{plane}", "service.version": __version__, "hatchway.plane": plane}
        told = OTELResourceDetector().detect().attributes
        resource = Resource.create({name: value for name, value in own.items() if name not in told})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(CollectorExporter()))
        self._tracer = self._provider.get_tracer("hatchway", __version__)
        # Time of day as it was when the process began, plus a clock that is never put right meanwhile.
        self._epoch = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """The moment, in nanoseconds since 1970, for spans to begin and to end with."""
        return self._epoch + time.monotonic_ns()

    def begin(self, name: str, attributes: Attributes, *, began: int) -> Span:
        """A span of something that was asked of this process. It is the first of a trace of its own.

        It may turn out not to be recorded: then the sampler has chosen to leave this one out.
        """
        return self._tracer.start_span(
            name,
            context=_OF_ITS_OWN,
            kind=SpanKind.SERVER,
            attributes=_encodable(attributes),
            start_time=began,
        )

    def bind(self, span: Span) -> None:
        """Have what this task or thread logs from now on name the span's trace."""
        structlog.contextvars.bind_contextvars(trace_id=f"{span.get_span_context().trace_id:032x}")

    def link(self, span: Span, traceparent: str | None) -> None:
        """Have a span refer to the one that a caller says it is in.

        A header is anybody's word. It neither chooses the id of a trace of ours nor whether that is kept.
        """
        if traceparent is not None:
            theirs = get_current_span(_propagator.extract({TRACEPARENT: traceparent}, _OF_ITS_OWN))
            context = theirs.get_span_context()
            if context.is_valid:
                span.add_link(context)

    def tell(
        self,
        parent: SpanContext,
        name: str,
        attributes: Attributes | None = None,
        *,
        began: int,
        ended: int,
        error: str | None = None,
        calls_out: bool = False,
    ) -> None:
        """A finished span beneath another, which may have ended before.

        Args:
            error: what kind of failure it was; None for none.
            calls_out: whether it was asked of somebody else.
        """
        span = self._tracer.start_span(
            name,
            context=set_span_in_context(NonRecordingSpan(parent), _OF_ITS_OWN),
            kind=SpanKind.CLIENT if calls_out else SpanKind.INTERNAL,
            attributes=attributes,
            start_time=began,
        )
        self.end(span, ended=ended, error=error)

    def end(
        self, span: Span, attributes: Attributes | None = None, *, ended: int, error: str | None = None
    ) -> None:
        """End a span; `error` makes it a failed one, and says of what kind."""
        if attributes:
            span.set_attributes(_encodable(attributes))
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def close(self) -> None:
        """Wait for `FLUSH_SECONDS` at most until the last spans have gone out."""
        flushing = threading.Thread(target=self._provider.shutdown, name="last-traces", daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)
        if flushing.is_alive():
            log.warning("last traces are not exported", seconds=FLUSH_SECONDS)


def _encodable(attributes: Attributes) -> dict[str, str | int]:
    """One string that is not Unicode, such as a hostile header, would make its whole batch fail."""
    return {
        name: value.encode("utf-8", "replace").decode()
        if isinstance(value, str) and not value.isascii()
        else value
        for name, value in attributes.items()
    }
