"""Calls of AWS services that are not here, such as S3: refused in a form that the service's clients can read.

They come because an endpoint URL holds for all services alike (AWS SDKs and Tools Reference Guide,
"Service-specific endpoints"): `aws s3 ls` with a profile of ours is sent here.
"""

import json
import re
from typing import Final
from xml.sax.saxutils import escape

from hatchway.access.authentication import HttpRequest
from hatchway.control.services import DIALECTS, claimed_service_name
from hatchway.protocol import Reply, ServiceError

_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")
_OF_S3: Final = frozenset({"s3", "s3express", "s3-outposts", "s3-object-lambda"})
_REST_XML: Final = frozenset({"cloudfront", "route53"})
"""Whose calls have paths, as those of services that speak JSON do (botocore's models: `rest-xml`)."""


def other_service(request: HttpRequest) -> str | None:
    """The service that a request is signed for, when that is one that is not here."""
    name = claimed_service_name(request)
    return name if _NAME.fullmatch(name) and name not in DIALECTS else None


def not_here(service: str) -> ServiceError:
    """What a caller of that service is told."""
    here = ", ".join(DIALECTS)
    message = (
        f"Hatchway does not have the service {service}, only {here}. The call came here by its endpoint URL."
    )
    return ServiceError("UnknownService", message, status=400)


def render(error: ServiceError, service: str, request: HttpRequest, request_id: str) -> Reply:
    """The error in the protocol of the service's clients, as far as a request tells which that is."""
    status = error.status or 400
    headers = (("x-amzn-requestid", request_id), ("x-amzn-errortype", error.code))
    if _speaks_json(service, request):
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
        return Reply(status, (("content-type", "application/x-amz-json-1.1"), *headers), body)
    code, message = f"<Code>{error.code}</Code>", f"<Message>{escape(error.message)}</Message>"
    if service in _OF_S3:
        document = f"<Error>{code}{message}<RequestId>{request_id}</RequestId></Error>"
    else:
        document = (
            f"<ErrorResponse><Error><Type>Sender</Type>{code}{message}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{document}'.encode()
    return Reply(status, (("content-type", "text/xml;charset=UTF-8"), *headers), body)


def _speaks_json(service: str, request: HttpRequest) -> bool:
    if service in _OF_S3 | _REST_XML:
        return False
    content_type = next(iter(request.header_values("content-type")), "")
    return request.path != "/" or "json" in content_type or any(request.header_values("x-amz-target"))
