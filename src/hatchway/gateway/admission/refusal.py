"""The gateway's refusals: the HTTP answers to requests that get no tunnel. Pure, except for the clock.

The AWS CLI prints the body as it is and none of the headers; so the body contains the request's id, for
`hatchway explain`. If a quota turns out to be used up only after the upgrade, the tunnel is closed instead.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from hatchway.transport.websocket.close import Closure
from hatchway.transport.websocket.handshake import render_answer

if TYPE_CHECKING:
    from hatchway.transport.websocket.handshake import BadHandshake

REQUEST_ID_HEADER: Final = "x-amzn-requestid"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer other than 101. `explanation` is only for callers whom policies allow to know more."""

    status: HTTPStatus
    error_code: str
    message: str
    explanation: str = ""

    def body(self, request_id: str) -> bytes:
        """The body as clients print it, with the request's id, by which the reasons can be found."""
        fields = {"ErrorCode": self.error_code, "Message": self.message, "RequestId": request_id}
        more = {"Explanation": self.explanation} if self.explanation else {}
        return json.dumps({**fields, **more}).encode()


class RequestRefused(Exception):
    """A request that no decision is made on."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def render_refusal(refusal: Refusal, request_id: str) -> bytes:
    """The whole HTTP answer. It contains the gateway's time, because a wrong clock refuses everybody (RFC
    9110 section 6.6.1)."""
    date = formatdate(usegmt=True)
    headers = (("Date", date), ("Content-Type", "application/json"), (REQUEST_ID_HEADER, request_id))
    return render_answer(refusal.status, refusal.body(request_id), headers)


def bad_request(message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "InvalidParameter", message)


def bad_handshake(message: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "BadRequest", message)


def unauthenticated(error_code: str, message: str) -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, error_code, message)


def access_denied(message: str, explanation: str = "") -> Refusal:
    return Refusal(HTTPStatus.FORBIDDEN, "AccessDeniedException", message, explanation)


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
        f"The instance connect endpoint {endpoint_id} is not one that this gateway serves. Connect to a"
        " gateway that does, by the endpoint's DnsName.",
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
SLOW_TO_DECIDE: Final = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "ThrottlingException",
    "Your policies take long to decide on, and so many tunnels at once are more than your share. Open fewer"
    " at once.",
)
DRAINING: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", "Gateway is shutting down. Retry your request."
)
NOT_RECORDING: Final = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "ServiceUnavailable",
    "The gateway cannot record tunnels just now. Retry your request.",
)


_OF_HANDSHAKES: Final = {
    HTTPStatus.UPGRADE_REQUIRED: UPGRADE_REQUIRED,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: HEADERS_TOO_LARGE,
}


def handshake_refused(problem: BadHandshake) -> Refusal:
    """The answer to a request that opens no WebSocket."""
    return _OF_HANDSHAKES.get(problem.status) or bad_handshake(str(problem))


@dataclass(frozen=True, slots=True)
class Overrun:
    """A quota that is used up: what a client is told before the upgrade, and after it."""

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
