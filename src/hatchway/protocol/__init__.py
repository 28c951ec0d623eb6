"""AWS wire protocols from botocore's service models: bytes to parameters, results and errors to bytes. Pure.

A `Service` is one AWS service model and its protocol. It reads requests and writes replies; what happens
between is the caller's::

    service = load_service("iam")                   # the name in the credential scope of the signature
    try:
        call = service.parse(method, path, query, content_type, headers, body)
        result = operations[call.operation](**call.parameters)
        reply = service.render_result(call.operation, result, request_id)
    except ServiceError as error:
        reply = service.render_error(error, request_id)

Parameters and results are dicts with the model's member names; timestamps are aware datetimes, blobs are
bytes, policy documents are their text.
What `parse` returns has been checked against the model: every name is known, everything required is
there, and types, enumerations, lengths, ranges and patterns hold. What it refuses, it refuses with the error
code and the wording that the real service has. It raises nothing but `ServiceError`, whatever the bytes.

The three protocols are those of smithy.io's "AWS protocols": EC2 query, query and JSON 1.1.
"""

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.messages import Call, Reply
from hatchway.protocol.service import LARGEST_REQUEST, Service, load_service
from hatchway.protocol.service_models import UnknownServiceError

__all__ = [
    "LARGEST_REQUEST",
    "Call",
    "Reply",
    "Service",
    "ServiceError",
    "UnknownServiceError",
    "load_service",
]
