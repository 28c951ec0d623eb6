"""How the gateway says no: the HTTP answer before the upgrade, the WebSocket close after it.

The AWS CLI prints the body of the first as it is, and `Websocket Closure Reason: <reason>` for any close
but 1000, and no header of either; so both name the request, for `hatchway explain`. One table for each, so
that every word that a client can read stands here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

MAX_REASON: Final = 123
"""Bytes of UTF-8 that a close frame has room for after its code (RFC 6455 section 5.5)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer other than 101."""

    status: HTTPStatus
    error_code: str
    message: str

    def body(self, request_id: str) -> bytes:
        """As clients print it, so it names the request by which its reasons can be found."""
        told = {"ErrorCode": self.error_code, "Message": self.message, "RequestId": request_id}
        return json.dumps(told).encode()


def bad_request(message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "InvalidParameter", message)


def bad_handshake(message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def unauthenticated(error_code: str, message: str) -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, error_code, message)


def access_denied(message: str) -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, "AccessDeniedException", message)


def no_such_endpoint(endpoint_id: str) -> Refusal:
    return Refusal(
        HTTPStatus.NOT_FOUND,
        "ResourceNotFoundException",
        f"The instance connect endpoint {endpoint_id} does not exist or is not ready.",
    )


def not_served(endpoint_id: str) -> Refusal:
    return Refusal(
        HTTPStatus.NOT_FOUND,
        "ResourceNotFoundException",
        f"The instance connect endpoint {endpoint_id} is in a VPC that this gateway does not serve. Connect"
        " to a gateway that does, by the endpoint's DnsName.",
    )


NO_SUCH_PATH: Final = Refusal(
    HTTPStatus.NOT_FOUND, "NotFound", "Only /openTunnel is served here. API requests go to the API address."
)
UPGRADE_REQUIRED: Final = Refusal(
    HTTPStatus.UPGRADE_REQUIRED, "UpgradeRequired", "Open a tunnel with a WebSocket (RFC 6455, version 13)."
)
HEADERS_TOO_LARGE: Final = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "RequestTooLarge",
    "The request and its headers exceed 16 KiB.",
)
TOO_MANY_FAILURES: Final = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "ThrottlingException",
    "Too many requests from this address failed to authenticate. Check the credentials and wait a minute.",
)
DRAINING: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", "Gateway is shutting down. Retry your request."
)
UNAVAILABLE: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "ServiceUnavailable",
    "The gateway cannot decide just now. Retry your request.",
)
NOT_RECORDING: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "ServiceUnavailable",
    "The gateway cannot record tunnels just now. Retry your request.",
)


@dataclass(frozen=True, slots=True)
class Closure:
    """Why a tunnel ends: the code and reason of the WebSocket close frame."""

    code: int
    reason: str = ""

    def __post_init__(self) -> None:
        if len(self.reason.encode()) > MAX_REASON:
            raise ValueError(f"a close reason has at most {MAX_REASON} bytes")

    def payload(self, request_id: str) -> bytes:
        """Of the close frame: the code, and the reason with the request's id, where it has room for both.

        An end that is as it should be needs no explanation.
        """
        reason = self.reason.encode()
        named = f" (request id {request_id})".encode() if reason else b""
        if len(reason) + len(named) > MAX_REASON:
            named = b""
        return self.code.to_bytes(2) + reason + named


TARGET_CLOSED: Final = Closure(1000)
CLIENT_CLOSED: Final = Closure(1000)
CLIENT_GONE: Final = Closure(1006)
"""Never sent (RFC 6455 section 7.4.1): the client went without a word."""
GATEWAY_STOPPING: Final = Closure(1001, "Gateway is shutting down")
PROTOCOL_ERROR: Final = Closure(1002, "The client broke the WebSocket protocol")
TEXT_REFUSED: Final = Closure(1003, "A tunnel carries binary frames only")
TOO_MUCH_WASTE: Final = Closure(1008, "Too many pings, empty fragments or TLS messages that carry nothing")
TARGET_UNREACHABLE: Final = Closure(1011, "Unable to connect to target")
NOT_RECORDED: Final = Closure(1011, "The tunnel could not be recorded in the audit trail")
OUT_OF_TOUCH: Final = Closure(1013, "Gateway has lost touch with its store")
ACCESS_REVOKED: Final = Closure(4003, "Access revoked")
TERMINATED: Final = Closure(4004, "Tunnel terminated by an administrator")


def duration_reached(seconds: int) -> Closure:
    return Closure(4001, f"Tunnel reached its maximum duration of {seconds} seconds")


@dataclass(frozen=True, slots=True)
class Overrun:
    """A quota that is used up: how a client is told before the upgrade, and after it."""

    what: str

    @property
    def refusal(self) -> Refusal:
        return Refusal(
            HTTPStatus.TOO_MANY_REQUESTS, "ServiceQuotaExceededException", f"Too many tunnels {self.what}."
        )

    @property
    def closure(self) -> Closure:
        return Closure(4029, f"Too many tunnels {self.what}")


ENDPOINT_FULL: Final = Overrun("on this endpoint")
PRINCIPAL_FULL: Final = Overrun("of this principal")
GATEWAY_FULL: Final = Overrun("on this gateway")


def idle_limit_reached(seconds: int) -> Closure:
    return Closure(4002, f"Tunnel idle for {seconds} seconds")
