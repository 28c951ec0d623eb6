"""The AWS services of this API, and what each calls what all of them have."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import parse_qs

from hatchway.access.authentication import HttpRequest
from hatchway.protocol import Service, ServiceError, load_service, not_offered


@dataclass(frozen=True, slots=True)
class Dialect:
    """One service's own words. The strings are its error codes, except for `event_source`."""

    event_source: str
    denied: str
    internal: str
    invalid: str
    throttled: str


DIALECTS: Final[Mapping[str, Dialect]] = {
    "ec2": Dialect(
        "ec2.amazonaws.com",
        "UnauthorizedOperation",
        "InternalError",
        "InvalidParameterValue",
        "RequestLimitExceeded",
    ),
    "ec2-instance-connect": Dialect(
        "ec2-instance-connect.amazonaws.com",
        "AuthException",
        "ServiceException",
        "InvalidArgsException",
        "ThrottlingException",
    ),
    "iam": Dialect("iam.amazonaws.com", "AccessDenied", "InternalFailure", "ValidationError", "Throttling"),
    "hatchway": Dialect(
        "hatchway.amazonaws.com",
        "AccessDeniedException",
        "InternalServerException",
        "ValidationException",
        "ThrottlingException",
    ),
    "sts": Dialect("sts.amazonaws.com", "AccessDenied", "InternalFailure", "ValidationError", "Throttling"),
    "cloudtrail": Dialect(
        "cloudtrail.amazonaws.com",
        "AccessDeniedException",
        "InternalFailure",
        "ValidationException",
        "ThrottlingException",
    ),
}
"""By the name that credential scopes give the service."""

_CREDENTIAL: Final = re.compile(r"Credential=(\w{16,128})/\d{8}/[\w-]{1,64}/([\w-]{1,64})/", re.ASCII)
_PRESIGNED: Final = re.compile(
    r"(?:^|&)X-Amz-Credential=(\w{16,128})%2F\d{8}%2F[\w-]{1,64}%2F([\w-]{1,64})%2F", re.ASCII | re.IGNORECASE
)
_OF_SIGNATURE: Final = "x-amz-"
_TARGET: Final = "x-amz-target"
_LONGEST_ACTION: Final = 128


@cache
def services() -> Mapping[str, Service]:
    """The services, loaded once. EC2's model takes a quarter of a second."""
    return {name: load_service(name) for name in DIALECTS}


def claimed_key_id(request: HttpRequest) -> str:
    """The access key ID that a request's signature claims, unverified; empty when it claims none."""
    found = _claimed(request)
    return "" if found is None else found.group(1)


def claimed_service_name(request: HttpRequest) -> str:
    """The service that a request's signature claims to be for, unverified; empty when it claims none."""
    found = _claimed(request)
    return "" if found is None else found.group(2)


def _claimed(request: HttpRequest) -> re.Match[str] | None:
    if is_presigned(request):
        return _PRESIGNED.search(request.query)
    return _CREDENTIAL.search(_first_header(request, "authorization"))


def is_presigned(request: HttpRequest) -> bool:
    """Whether the signature is in the URL, where a client puts it that hands the request to another."""
    return "X-Amz-Signature=" in request.query and not any(request.header_values("authorization"))


def unsigned_query(query: str) -> str:
    """What a presigned URL asks for: its query without the parameters of its signature."""
    pairs = query.split("&")
    return "&".join(pair for pair in pairs if not pair.lower().startswith(_OF_SIGNATURE))


def claimed_service(request: HttpRequest) -> Service:
    """The service that a request claims to be signed for, or else seems to be for: to answer as it does."""
    service = services().get(claimed_service_name(request))
    return guess_service(request) if service is None else service


def guess_service(request: HttpRequest) -> Service:
    """The service that a request without a readable signature seems to be for, to answer in its protocol.

    The signature's scope says which service a call is for; this is for those that have none.
    """
    prefix = _first_header(request, _TARGET).rpartition(".")[0]
    version = _form_value(request, "Version")
    for service in services().values():
        metadata = service.model.metadata
        if service.is_target_prefix(prefix):
            return service
        if version and "targetPrefix" not in metadata and service.model.api_version == version:
            return service
    return services()["sts"]


def named_operation(service: Service, request: HttpRequest) -> str | None:
    """The operation that a request names, if the service has it. For requests that were never parsed."""
    target = _first_header(request, _TARGET)
    name = target.rpartition(".")[2] if target else _form_value(request, "Action")
    return name if name in service.model.operation_names else None


def lacking_without_signature(
    service: Service, request: HttpRequest, offered: Container[str]
) -> ServiceError | None:
    """What is wrong with an unsigned request for an operation that is not here and that no client signs.

    None where it is the signature that is missing.
    """
    name = named_operation(service, request)
    if name is None or name in offered or service.model.operation_model(name).auth_type != "none":
        return None
    return ServiceError("InvalidAction", not_offered(service.model, name), status=400)


def _first_header(request: HttpRequest, lower_name: str) -> str:
    return next(iter(request.header_values(lower_name)), "")


def _form_value(request: HttpRequest, name: str) -> str:
    """The value of a form parameter, found without reading the whole form as one."""
    for text in (request.query, request.body.decode("latin-1")):
        start = 0 if text.startswith(f"{name}=") else text.find(f"&{name}=") + 1
        if start or text.startswith(f"{name}="):
            pair = text[start : start + _LONGEST_ACTION].partition("&")[0]
            return parse_qs(pair).get(name, [""])[0]
    return ""
