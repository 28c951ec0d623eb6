"""AWS wire protocols from botocore's service models: bytes to parameters, results and errors to bytes. Pure.

A `Service` is one AWS service model and its protocol. It reads requests and writes replies; what happens
between is the caller's:

    >>> service = load_service("iam")               # the name in the credential scope of the signature
    >>> body = b"Action=GetUser&Version=2010-05-08&UserName=alice"
    >>> form = "application/x-www-form-urlencoded"
    >>> call = service.parse("POST", "/", "", form, {}, body)
    >>> call.operation, call.parameters
    ('GetUser', {'UserName': 'alice'})
    >>> service.render_error(ServiceError("NoSuchEntity", "There is no such user."), "11111111").status
    404

A result is rendered by `service.render_result(call.operation, result, request_id)`. Parameters and results
are dicts with the model's member names; timestamps are aware datetimes, blobs are bytes, policy documents
are their text. What `parse` returns has been checked against the model: every name is known, everything
required is there, and types, enumerations, lengths, ranges and patterns hold. What it refuses, it refuses
with the error code and the wording that the real service has.

| module | holds |
|---|---|
| `service` | a service as one value; `load_service` |
| `service_models` | botocore's models, and our own for the service `hatchway` |
| `messages`, `errors` | `Call`, `Reply`, `ServiceError` |
| `query_request`, `form`, `xml` | EC2 query and query: requests, their form bodies, XML replies |
| `json_request`, `json_reply` | JSON 1.1 |
| `text` | text that may travel in XML; single values to and from it |
| `violations` | parameters against the constraints of the model |
| `refusals`, `statuses` | each service's wording of what is wrong, and the HTTP status of an error |

What must hold here: whatever the bytes, nothing is raised but `ServiceError`, and reading takes time and
memory in proportion to them (`tests/protocol/test_hostile_requests.py`).

The three protocols are those of smithy.io's "AWS protocols": EC2 query, query and JSON 1.1.
"""

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.messages import Call, Reply
from hatchway.protocol.refusals import not_offered
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
    "not_offered",
]
