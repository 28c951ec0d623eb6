"""The traces of a tunnel.

A span is exported when it ends, and tunnels live for hours. So a tunnel's trace has two spans: `OpenTunnel`,
from the connection until the target is connected or the request is refused, with the individual steps beneath
it; and `Tunnel`, from then on, which is exported when the tunnel ends.

Only requests that were decided on have a trace: garbage, and requests answered with 429 unexamined, only
count in the metrics. Of a URL only the path is exported, because the rest of it is a credential.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from hatchway.gateway.admission.decision import Admitted, Refused
from hatchway.gateway.telemetry.metrics import CLOSE_REASONS, REASON_NOT_RECORDED
from hatchway.gateway.tunnel.closures import CLIENT_GONE, NOT_RECORDED

if TYPE_CHECKING:
    from hatchway.gateway.tunnel.relay import Relay
    from hatchway.tracing.spans import Attributes, Span, SpanContext, Traces
    from hatchway.transport.websocket.handshake import Head

_FAILURES: Final = frozenset(
    {"client_lost", "no_target", "out_of_touch", "protocol_error", "wasteful", REASON_NOT_RECORDED}
)
"""The ends that count as errors, by their reasons in the metrics."""

_TRACEPARENT: Final = "traceparent"


class TunnelTracing:
    """Begins the traces of one worker's tunnels."""

    def __init__(self, traces: Traces, worker_id: str) -> None:
        self._traces = traces
        self._worker_id = worker_id

    def requested(self, client_port: int, seconds: float) -> TunnelTrace:
        """A request has come from a client that connected so many seconds ago. Nothing is exported before it
        has been decided on."""
        known: Attributes = {"client.port": client_port, "hatchway.gateway.id": self._worker_id}
        return TunnelTrace(self._traces, known, seconds)


class TunnelTrace:
    """The trace of one client. Each method reports a step that has just been taken; they are in the order of
    the steps."""

    __slots__ = ("_began", "_known", "_open", "_opening", "_since", "_traces")

    def __init__(self, traces: Traces, known: Attributes, seconds: float) -> None:
        self._traces = traces
        self._known = known
        self._since = traces.now()
        self._began = self._since - int(seconds * 1e9)
        self._opening: Span | None = None
        self._open: SpanContext | None = None

    def decided(self, head: Head, answer: Admitted | Refused) -> None:
        traces = self._traces
        opening = traces.begin("OpenTunnel", {**self._known, **_of_request(head, answer)}, began=self._began)
        self._known = {}
        if not opening.is_recording():
            return
        self._opening = opening
        traces.bind(opening)
        if isinstance(answer, Admitted):
            self._known = _of_tunnel(answer)
            opening.set_attributes(self._known)
        if isinstance(answer, Admitted) or answer.authenticated:
            traces.link(opening, head.header(_TRACEPARENT))
        traces.tell(opening.get_span_context(), "handshake", began=self._began, ended=self._since)
        self._step("decide")

    def refused(self, refused: Refused) -> None:
        """A refusal has been recorded."""
        if self._opening is None:
            return
        self._step("record")
        refusal = refused.refusal
        # A 4xx is not an error of the server (OpenTelemetry: "Semantic conventions for HTTP spans").
        failed = refusal.error_code if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
        self._opening.set_attribute("error.type", refusal.error_code)
        self._traces.end(self._opening, ended=self._since, error=failed)

    def recorded(self, relay: Relay, *, succeeded: bool) -> None:
        """A tunnel has been recorded as opened, or could not be recorded and ends."""
        if self._opening is not None:
            self._step("record", error=None if succeeded else _failure(_reason(relay)))

    def connecting_ended(self, admitted: Admitted, problem: str | None) -> None:
        """The target has answered, or it has not: then `problem` says why."""
        if self._opening is None:
            return
        target: Attributes = {
            "network.transport": "tcp",
            "server.address": str(admitted.address),
            "server.port": admitted.request.remote_port,
        }
        self._step("connect", target, error=problem, calls_out=True)
        if problem is None:
            self._open = self._opening.get_span_context()
            self._traces.end(self._opening, ended=self._since)
            self._opening = None

    def ended(self, relay: Relay) -> None:
        """Nothing more will be passed on."""
        traces, reason = self._traces, _reason(relay)
        code = (relay.closure or CLIENT_GONE).code
        attributes: Attributes = {"hatchway.close.code": code, "hatchway.close.reason": reason}
        error = _failure(reason)
        if self._opening is not None:
            traces.end(self._opening, attributes, ended=traces.now(), error=error)
        elif self._open is not None:
            carried = {"hatchway.bytes.in": relay.bytes_in, "hatchway.bytes.out": relay.bytes_out}
            attributes = {**self._known, **attributes, **carried}
            traces.tell(self._open, "Tunnel", attributes, began=self._since, ended=traces.now(), error=error)

    def _step(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        error: str | None = None,
        calls_out: bool = False,
    ) -> None:
        """Export what happened between the last step and now as a span."""
        assert self._opening is not None
        began, self._since = self._since, self._traces.now()
        parent = self._opening.get_span_context()
        self._traces.tell(
            parent, name, attributes, began=began, ended=self._since, error=error, calls_out=calls_out
        )


def _of_request(head: Head, answer: Admitted | Refused) -> Attributes:
    source, request = answer.call.source, answer.call.request
    status = HTTPStatus.SWITCHING_PROTOCOLS if isinstance(answer, Admitted) else answer.refusal.status
    attributes: dict[str, str | int] = {
        "aws.request_id": source.request_id,
        "client.address": source.source_ip,
        "http.request.method": "GET",
        "http.response.status_code": status.value,
        "network.transport": "tcp",
        "url.path": head.path,
        "url.scheme": "wss",
        "user_agent.original": source.user_agent,
    }
    principal = source.user_identity.get("arn")
    if principal is not None:
        attributes["hatchway.principal.arn"] = principal
    if request is not None:
        attributes |= {
            "hatchway.endpoint.id": request.endpoint_id,
            "hatchway.target.address": request.private_ip,
            "hatchway.target.port": request.remote_port,
        }
    return attributes


def _of_tunnel(admitted: Admitted) -> Attributes:
    """The attributes of both spans of a tunnel, so that either can be found by them."""
    attributes: dict[str, str | int] = {
        "aws.request_id": admitted.call.source.request_id,
        "hatchway.endpoint.id": admitted.request.endpoint_id,
        "hatchway.principal.arn": admitted.principal.arn,
        "hatchway.tunnel.id": admitted.tunnel_id,
    }
    if admitted.instance_id is not None:
        attributes["hatchway.instance.id"] = admitted.instance_id
    return attributes


def _reason(relay: Relay) -> str:
    """Why a tunnel ended, in the terms of the metrics."""
    closure = relay.closure or CLIENT_GONE
    return REASON_NOT_RECORDED if closure is NOT_RECORDED else CLOSE_REASONS.get(closure.code, "other")


def _failure(reason: str) -> str | None:
    return reason if reason in _FAILURES else None
