"""A service: its model, its protocol and its way to refuse, as one value."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hatchway.protocol import json_reply, xml
from hatchway.protocol.errors import ServiceError
from hatchway.protocol.json_request import is_target_prefix, read_json_request
from hatchway.protocol.messages import Call, Reply
from hatchway.protocol.query_request import read_query_request
from hatchway.protocol.refusals import REFUSALS
from hatchway.protocol.service_models import load_model
from hatchway.protocol.statuses import status_of
from hatchway.protocol.violations import Kind, find_violations

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from botocore.model import ServiceModel

LARGEST_REQUEST: Final = 1 << 20
"""Bytes of a body, or characters of a query string, that are read at all."""
LARGEST_DOCUMENT: Final = 1 << 16
"""Bytes of a body of JSON. What these services are sent is far smaller, and a document of a megabyte may hold
70,000 names, which took over a second to read and to find fault with. An operation that takes a file, which
its model says by a blob that may be larger, is sent as much as any, but no more names than other documents
hold."""
MOST_QUOTES: Final = LARGEST_DOCUMENT // 8
"""Quotation marks of a larger document, of which every name takes two."""


class Service:
    """One AWS service. Immutable in effect, and safe to share between threads."""

    def __init__(self, name: str, model: ServiceModel) -> None:
        self.name = name
        self.model = model
        self._refusal = REFUSALS[name]
        self._is_json = model.protocol == "json"
        self._take_files = frozenset(name for name in model.operation_names if _takes_file(model, name))

    def is_target_prefix(self, prefix: str) -> bool:
        """Whether what stands before the operation in `X-Amz-Target` means this service."""
        return is_target_prefix(self.model, prefix)

    def parse(  # noqa: PLR0917 - the parts of a request, in their order on the wire
        self,
        method: str,
        path: str,
        query: str,
        content_type: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        offered: Container[str] | None = None,
    ) -> Call:
        """The call that a request makes.

        Args:
            path, query: the request target's halves, undecoded.
            content_type: the header's value, empty when there is none.
            headers: names in lower case, or a mapping that does not care.
            offered: the operations that there are. Any other is refused before its parameters are looked at.
                None for all of the model's.

        Raises:
            ServiceError: and nothing else, whatever the request.
        """
        largest = self._largest(headers.get("x-amz-target", ""))
        if (
            len(body) > largest
            or len(query) > LARGEST_REQUEST
            or (self._is_json and len(body) > LARGEST_DOCUMENT and body.count(b'"') > MOST_QUOTES)
        ):
            raise ServiceError("RequestEntityTooLarge", f"The request is larger than {largest} bytes.", 413)
        if path != "/":
            raise ServiceError("MalformedHttpRequestException", "The path of an API request is /.", 404)
        if self._is_json:
            target = headers.get("x-amz-target", "")
            call, violations = read_json_request(
                self.model,
                self._refusal.naming,
                method=method,
                content_type=content_type,
                target=target,
                body=body,
                offered=offered,
            )
        else:
            call, violations = read_query_request(
                self.model, method, query, content_type, body, offered=offered
            )
        shape = self.model.operation_model(call.operation).input_shape
        if not violations and shape is not None:
            violations = list(find_violations(shape, call.parameters, self._refusal.naming))
        if violations:
            raise self._refusal.error(sorted(violations, key=lambda violation: _WORST.index(violation.kind)))
        return call

    def _largest(self, target: str) -> int:
        """Bytes that a body may have, by the header that names the operation of one of JSON."""
        if self._is_json and target.rpartition(".")[2] not in self._take_files:
            return LARGEST_DOCUMENT
        return LARGEST_REQUEST

    def render_result(self, operation: str, result: Mapping[str, Any], request_id: str) -> Reply:
        """The reply to a call that succeeded. A member whose value is None is left out.

        Raises:
            TypeError, KeyError: `result` holds something that the model has not, or of another type. A fault
            of the
                program, not of the caller.
        """
        if self._is_json:
            body = json_reply.result_body(self.model, operation, result)
        else:
            body = xml.result_body(self.model, operation, result, request_id)
        return Reply(200, self._headers(request_id), body)

    def render_error(self, error: ServiceError, request_id: str) -> Reply:
        """The reply to a call that failed.

        Raises:
            TypeError, KeyError: `error.fields` holds something that the model has not.
        """
        status = status_of(self.model, error)
        if self._is_json:
            headers = (*self._headers(request_id), ("x-amzn-errortype", error.code))
            return Reply(status, headers, json_reply.error_body(self.model, error))
        return Reply(status, self._headers(request_id), xml.error_body(self.model, error, status, request_id))

    def _headers(self, request_id: str) -> tuple[tuple[str, str], ...]:
        media_type = "application/x-amz-json-1.1" if self._is_json else "text/xml;charset=UTF-8"
        return (("content-type", media_type), ("x-amzn-requestid", request_id))


def _takes_file(model: ServiceModel, name: str) -> bool:
    shape = model.operation_model(name).input_shape
    return shape is not None and any(
        member.type_name == "blob" and member.metadata.get("max", 0) > LARGEST_DOCUMENT
        for member in shape.members.values()
    )


_WORST: Final = (Kind.UNREADABLE, Kind.UNKNOWN, Kind.MISSING, Kind.INVALID)
"""Which violation is told first."""


@cache
def load_service(name: str) -> Service:
    """The service with that name in credential scopes, loaded at its first use and kept.

    Raises:
        UnknownServiceError: there is none.
    """
    return Service(name, load_model(name))
