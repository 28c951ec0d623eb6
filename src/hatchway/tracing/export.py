"""Sending spans to a collector, and telling the log when that does not succeed."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

REMINDER: Final = 60.0
"""Seconds between two log lines about a collector that takes nothing."""

log = structlog.get_logger("hatchway.tracing")

# It logs each attempt, and with it the URL, of which some collectors make a credential.
logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").setLevel(logging.CRITICAL)


class CollectorExporter(SpanExporter):
    """OTLP over HTTP, as the environment has it. The log is told when it fails, and when it recovers."""

    def __init__(self) -> None:
        self._session = _Session()
        self._exporter = OTLPSpanExporter(session=self._session)
        self._lost = 0
        self._reminded_at = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.info("traces are exported again", spans_lost=self._lost)
            self._lost = 0
            return result
        first = self._lost == 0
        self._lost += len(spans)
        now = time.monotonic()
        if first or now - self._reminded_at >= REMINDER:
            self._reminded_at = now
            log.warning("traces are not exported", problem=self._session.problem, spans_lost=self._lost)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


class _Session(requests.Session):
    """Remembers what came of the last request, in words that cannot hold a credential."""

    problem = ""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        try:
            response = super().send(request, **options)
        except Exception as problem:
            self.problem = _root(problem)
            raise
        self.problem = f"HTTP status {response.status_code}"
        return response

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """A CA that was named for the collector counts, where requests would prefer REQUESTS_CA_BUNDLE."""
        if isinstance(self.verify, str):
            verify = self.verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


def _root(problem: BaseException) -> str:
    """The name of what an exception began with, such as `ConnectionRefusedError`."""
    while (cause := problem.__cause__ or problem.__context__) is not None:
        problem = cause
    return type(problem).__name__
