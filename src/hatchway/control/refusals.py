"""Every way in which a call can fail, in the words of the service that was called."""

from typing import Final

from hatchway.access.authentication import ExpiredToken, SignatureError
from hatchway.access.authorization import AccessDenied
from hatchway.access.failure_message import encode_failure_message
from hatchway.control.concurrency import TooManyCalls
from hatchway.control.services import DIALECTS
from hatchway.keys.vault import Vault
from hatchway.protocol import ServiceError
from hatchway.store import explain

ENCODED_MESSAGE: Final = "Encoded authorization failure message: "
"""What EC2's sentence says before the message that `failure_message` makes."""

_SIGNATURE_STATUSES: Final = {"IncompleteSignature": 400, "RequestExpired": 400}
"""The rest are 403 (AWS: IAM API Reference, "Common errors")."""


def to_service_error(problem: Exception, service: str, vault: Vault) -> ServiceError:
    """What the caller is told of a problem. Of one that nobody foresaw, only that there was one."""
    match problem:
        case ServiceError():
            return problem
        case SignatureError():
            return _not_authenticated(problem, service)
        case AccessDenied():
            return _not_authorized(problem, service, vault)
        case TooManyCalls():
            return throttled(service, str(problem))
        case _ if explain(problem) is not None:
            message = "The server cannot use its store just now. Try again; the server's log says why."
            return ServiceError("ServiceUnavailable", message, status=503)
        case _:
            message = "An internal error has occurred. The server's log has more under the request's id."
            return ServiceError(DIALECTS[service].internal, message, status=500)


def naming(error: ServiceError, request_id: str) -> ServiceError:
    """The same with the request's id in its message: few clients show the id that every answer has."""
    sentence, mark, encoded = error.message.partition(f" {ENCODED_MESSAGE}")
    stop = "." if sentence.endswith(".") else ""
    message = f"{sentence.removesuffix('.')} (request id {request_id}){stop}{mark}{encoded}"
    return ServiceError(error.code, message, error.status, error.fields)


def is_unforeseen(problem: Exception) -> bool:
    """Whether a problem is a fault of the program or of what it runs on, not of the caller."""
    return not isinstance(problem, ServiceError | SignatureError | AccessDenied | TooManyCalls)


def throttled(service: str, message: str) -> ServiceError:
    """The service's own word for too much, with which its clients try again after a while."""
    # EC2's has this status (AWS: Amazon EC2 API Reference, "Error codes"), and botocore goes by both.
    status = 503 if service == "ec2" else 429
    return ServiceError(DIALECTS[service].throttled, message, status=status)


def _not_authenticated(problem: SignatureError, service: str) -> ServiceError:
    if service == "ec2" and isinstance(problem, ExpiredToken):
        return ServiceError("RequestExpired", "Request has expired.", status=400)
    if service == "ec2":
        sentence = "AWS was not able to validate the provided access credentials"
        return ServiceError("AuthFailure", f"{sentence}. {problem}", status=401)
    return ServiceError(problem.code, str(problem), status=_SIGNATURE_STATUSES.get(problem.code, 403))


def _not_authorized(problem: AccessDenied, service: str, vault: Vault) -> ServiceError:
    message = str(problem)
    if service == "ec2":
        # AWS, "Actions, resources, and condition keys: decode an authorization message".
        encoded = encode_failure_message(vault, problem)
        message = f"You are not authorized to perform this operation. {message}. {ENCODED_MESSAGE}{encoded}"
    return ServiceError(DIALECTS[service].denied, message, status=403)
