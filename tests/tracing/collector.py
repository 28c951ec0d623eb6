"""A collector of traces on loopback: takes OTLP over HTTP, and remembers what it was sent."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

TIMEOUT = 60.0
SERVER, CLIENT, INTERNAL = (
    SpanMessage.SPAN_KIND_SERVER,
    SpanMessage.SPAN_KIND_CLIENT,
    SpanMessage.SPAN_KIND_INTERNAL,
)


@dataclass(frozen=True)
class Span:
    """A span as it arrived."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    began: int
    ended: int
    attributes: Mapping[str, Any]
    failed: bool
    links: tuple[str, ...]
    """The trace ids that it links to."""
    resource: Mapping[str, Any]


@dataclass
class Collector:
    """What it answers with is `status`, once `may_answer` is set. It remembers what it has taken."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    status: int = 200
    may_answer: threading.Event = field(default_factory=threading.Event)
    answers: int = 0
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://localhost:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a process that sends traces here, soon after they come to be."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    @property
    def spans(self) -> list[Span]:
        """All, in the order of their beginnings, a parent before what it begins with."""
        found = [span for body in tuple(self.bodies) for span in _spans(body)]
        return sorted(found, key=lambda span: (span.began, -span.ended))

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def wait_for(self, name: str, count: int = 1) -> list[Span]:
        """The spans of this name, once there are so many."""
        wait_until(
            lambda: len(self.named(name)) >= count,
            lambda: f"not {count} of {name} among {[span.name for span in self.spans]}",
        )
        return self.named(name)


def wait_until(condition: Callable[[], bool], problem: Callable[[], str]) -> None:
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end, problem()
        time.sleep(0.02)


@contextmanager
def collector(tls: ssl.SSLContext | None = None) -> Iterator[Collector]:
    made = Collector(tls=tls)
    made.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.may_answer.wait(4 * TIMEOUT)
            status = made.status
            if status == 200:
                made.bodies.append(body)
            made.answers += 1
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Tests have nothing to read here."""

    server = ThreadingHTTPServer(("127.0.0.1", made.port), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(body: bytes) -> Iterator[Span]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield Span(
                    name=span.name,
                    kind=span.kind,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=_values(span.attributes),
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    links=tuple(link.trace_id.hex() for link in span.links),
                    resource=resource,
                )


def _values(attributes: Any) -> dict[str, Any]:
    def value(any_value: AnyValue) -> Any:
        return getattr(any_value, any_value.WhichOneof("value") or "string_value")

    pairs: list[KeyValue] = list(attributes)
    return {pair.key: value(pair.value) for pair in pairs}
