"""What is told of API calls in traces: one span a call, none of its parameters."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from hatchway.control.request_state import RequestState

if TYPE_CHECKING:
    from hatchway.tracing.spans import Span, Traces

_OTHER: Final = "_OTHER"
"""The method of a call of none of our operations (OpenTelemetry: "Semantic conventions for RPC spans")."""

_TRACEPARENT: Final = "traceparent"
_LONGEST_USER_AGENT: Final = 1024


class CallTrace:
    """The span of one call that is being answered."""

    def __init__(self, traces: "Traces") -> None:
        self._traces = traces
        self._span: Span = traces.begin("call", {}, began=traces.now())
        if self._span.is_recording():
            traces.bind(self._span)

    def answered(self, state: RequestState, status: int, code: str | None) -> None:
        """Tell of the call, now that its answer is known; `code` is the error's.

        What unauthenticated clients do beyond the rate of records is too much here, too.
        """
        span = self._span
        if state.unrecorded or not span.is_recording():
            return
        request = state.request
        service = str(state.service.model.service_id)
        operation = state.operation.name if state.operation is not None else _OTHER
        span.update_name(f"{service}.{operation}")
        attributes: dict[str, str | int] = {
            "aws.request_id": request.request_id,
            "client.address": request.origin.source_ip,
            "http.request.method": request.http.method,
            "http.response.status_code": status,
            "rpc.method": operation,
            "rpc.service": service,
            "rpc.system": "aws-api",
            "user_agent.original": request.origin.user_agent[:_LONGEST_USER_AGENT],
        }
        if code is not None:
            attributes["error.type"] = code
        if state.principal is not None:
            attributes["hatchway.principal.arn"] = state.principal.arn
            headers = {name.lower(): value for name, value in request.http.headers}
            self._traces.link(span, headers.get(_TRACEPARENT))
        # A 4xx is no failure of a server's (OpenTelemetry: "Semantic conventions for HTTP spans").
        failed = code if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
        self._traces.end(span, attributes, ended=self._traces.now(), error=failed)
