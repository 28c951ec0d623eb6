"""The HTTP status of an error that does not bring its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from botocore.model import ServiceModel

    from hatchway.protocol.errors import ServiceError

_BY_PROTOCOL: Final[dict[str, dict[str, int]]] = {
    # Amazon EC2 API Reference, "Error codes for the Amazon EC2 API".
    "ec2": {
        "AuthFailure": 401,
        "Blocked": 403,
        "DryRunOperation": 412,
        "InsufficientInstanceCapacity": 500,
        "InternalError": 500,
        "InternalFailure": 500,
        "OptInRequired": 401,
        "PendingVerification": 401,
        "RequestLimitExceeded": 503,
        "ServiceUnavailable": 503,
        "Unavailable": 503,
        "UnauthorizedOperation": 403,
    },
    # IAM API Reference, "Common errors".
    "query": {
        "AccessDenied": 403,
        "InternalFailure": 500,
        "InvalidClientTokenId": 403,
        "MissingAuthenticationToken": 403,
        "NotAuthorized": 403,
        "OptInRequired": 403,
        "ServiceUnavailable": 503,
        "SignatureDoesNotMatch": 403,
        "UnrecognizedClient": 403,
    },
    # smithy.io, "AWS JSON 1.1 protocol": 400 unless the model says otherwise, 500 for the server's faults.
    "json": {
        "InternalFailure": 500,
        "InternalServerError": 500,
        "ServiceException": 500,
        "ServiceUnavailable": 503,
    },
}
_DEFAULT: Final = 400


def status_of(model: ServiceModel, error: ServiceError) -> int:
    """The status of `error`: its own, the model's, AWS's habit, or 400."""
    if error.status is not None:
        return error.status
    shape = model.shape_for_error_code(error.code)
    modelled = shape.metadata.get("error", {}).get("httpStatusCode") if shape is not None else None
    return int(modelled or _BY_PROTOCOL[model.protocol].get(error.code, _DEFAULT))
