"""What can go wrong on the user's side: one type for each kind, with the facts as fields.

`str(error)` is one line for the user that says what to do; `exit_code` is what the command ends with.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

_RENEW = "renew your credentials (of a profile with SSO by 'aws sso login') and connect again"
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
_EXPIRED_MESSAGES = ("security token included in the request is expired", "Request has expired")
"""EC2 has one error code for everything that is wrong with a signature, and `RequestExpired` for credentials
that have expired as for a signature's age, which has other words (`_OF_THE_CLOCK`)."""

_OF_THE_CLOCK = "Check the clock of the client"
"""Which a signature's age is refused with."""

_EXPLAIN = "'hatchway explain' with the request id may say more"

_ASK = f"{_EXPLAIN}, or ask your Hatchway administrator for the permission"

_ASK_WHY = "ask your Hatchway administrator why, and give the request id that you asked about"

_CHECK_KEY = "check the access key and the region of the profile, or of the environment ('hatchway doctor')"

_SET_CLOCK = "set this machine's clock ('hatchway doctor' tells by how much it is off)"

_API_HINTS = {
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "AuthException", "UnauthorizedOperation"), _ASK
    ),
    **dict.fromkeys(
        ("AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"),
        _CHECK_KEY,
    ),
    **dict.fromkeys(
        ("InvalidAction", "UnknownOperationException", "UnknownService"),
        "the server is older than this command, and does not have it: ask its administrator to upgrade it",
    ),
}
"""By an error code of the API: what to do."""

_OF_EXPLANATIONS = "ExplainDenial"
"""The operation of which a refusal is not explained by asking once more."""

_REFUSAL_HINTS = {
    "AccessDeniedException": _ASK,
    "ExpiredToken": _RENEW,
    "InvalidClientTokenId": f"{_CHECK_KEY}; temporary credentials may have expired",
    "RequestExpired": _SET_CLOCK,
    "SignatureDoesNotMatch": _CHECK_KEY,
    "ResourceNotFoundException": "'hatchway hosts' lists the hosts and endpoints that there are",
    "ServiceQuotaExceededException": "end one that is not needed ('hatchway tunnels list')",
}
"""By a refusal's error code: what to do, where its message does not say so."""

_OF_THE_ENDPOINT = frozenset(
    {"AccessDeniedException", "ResourceNotFoundException", "ServiceQuotaExceededException"}
)
"""The error codes of refusals that another endpoint may mend: all others are of the caller or its request."""

_OF_THE_PRINCIPAL = "of this principal"
"""In the message of a quota that is used up, whatever endpoint is asked."""

_CLOSURE_HINTS = {
    1001: "connect again",
    1006: "see that the network is there, and connect again",
    1013: "connect again in a moment",
    4001: "connect again; for longer, with --max-tunnel-duration",
    4002: "connect again, and have the program send something now and then (ssh: ServerAliveInterval)",
    4003: f"what you may do has changed; {_EXPLAIN}",
    4004: "ask your Hatchway administrator",
    4029: "end one that is not needed ('hatchway tunnels list'), or have the quota raised",
}
"""By a close code (docs/gateway.md, "From within a tunnel"): what to do."""

_UNREACHED = "see that the host runs, listens on that port, and that security groups let it through"

_SERVICE_UNAVAILABLE = 503

CONNECTION_LOST = 1006
"""RFC 6455 section 7.1.5: the close code of a connection that ended without a Close frame."""

REQUEST_ID_HEADER = "x-amzn-requestid"
"""In which every answer names its request, of the API and of a gateway."""

ENCODED = " Encoded authorization failure message:"
"""Behind it an error's message holds what only the server can read."""

NO_API = "the answer is not that of Hatchway's API: check the endpoint URL (a gateway's port is another)"


class ClientError(Exception):
    """Any failure of a client command."""

    exit_code: ClassVar[int] = 1


class InvalidOption(ClientError):
    """An option of the command is not usable, by itself or with the others."""

    exit_code = 2


class NotConfigured(ClientError):
    """Credentials, a region or a profile are missing."""


class ApiError(ClientError):
    """The control plane refused a call, or could not be asked.

    `code` is AWS's error code, empty when there was no answer. `request_id` leads to the reason.
    """

    def __init__(self, operation: str, code: str, message: str, request_id: str | None = None) -> None:
        said = f"{operation}: {code}: {message}" if code else f"{operation}: {message}"
        expired = code in _EXPIRED or any(each in message for each in _EXPIRED_MESSAGES)
        to_do = _RENEW if expired else _API_HINTS.get(code)
        if operation == _OF_EXPLANATIONS and to_do == _ASK:
            to_do = _ASK_WHY
        if _OF_THE_CLOCK in message:
            to_do = _SET_CLOCK
        super().__init__(_naming(said, request_id).rstrip(".") + (f": {to_do}" if to_do else ""))
        self.operation = operation
        self.code = code
        self.message = message
        self.request_id = request_id


class NotFound(ClientError):
    """The control plane knows no such instance, or no endpoint that leads to it."""


class NotHere(ClientError):
    """This system has not what the command takes."""


class NoConnection(ClientError):
    """What kept a command in ssh's place, or behind it, from a connection."""

    exit_code = 255


class NotOpened(ClientError):
    """No tunnel was opened, and nothing has been read from the local end.

    `passing` is whether it may be otherwise in a moment; `restarting` whether it is what a gateway says, or
    does, while it restarts; `by_another` whether it may be otherwise by way of another endpoint.
    """

    exit_code = 255

    def __init__(self, said: str, *, passing: bool, by_another: bool, restarting: bool = False) -> None:
        super().__init__(said)
        self.passing = passing
        self.by_another = by_another
        self.restarting = restarting


class EveryEndpointRefused(NotOpened):
    """Each of several endpoints: `str(error)` has a line for each."""

    def __init__(self, refused: Sequence[tuple[str, NotOpened]]) -> None:
        """`refused` are the endpoints' ids, each with its refusal."""
        super().__init__(
            "\n".join(f"{endpoint_id}: {refusal}" for endpoint_id, refusal in refused),
            passing=any(refusal.passing for _, refusal in refused),
            by_another=False,
            restarting=any(refusal.restarting for _, refusal in refused),
        )
        self.refusals = [refusal for _, refusal in refused]


class GatewayUnreachable(NotOpened):
    """There is no connection to the gateway, or it cannot be trusted."""

    def __init__(self, address: str, reason: str, *, passing: bool = True, restarting: bool = False) -> None:
        super().__init__(
            f"cannot open a tunnel by way of {address}: {reason}",
            passing=passing,
            by_another=True,
            restarting=restarting,
        )
        self.address = address
        self.reason = reason


class TunnelRefused(NotOpened):
    """The gateway answered the request for a tunnel with something other than 101."""

    def __init__(
        self,
        status: int,
        error_code: str,
        message: str,
        request_id: str | None = None,
        explanation: str = "",
    ) -> None:
        """`explanation` is what the gateway tells those alone whom policies let know more."""
        name = error_code or f"HTTP status {status}"
        said = f"{name}: {message}" if message else f"the gateway answered {name}"
        to_do = explanation or _REFUSAL_HINTS.get(error_code, "")
        super().__init__(
            _naming(said, request_id) + (f": {to_do}" if to_do else ""),
            # The gateway is stopping, or cannot decide or record.
            passing=status == _SERVICE_UNAVAILABLE,
            restarting=status == _SERVICE_UNAVAILABLE,
            by_another=status == _SERVICE_UNAVAILABLE
            or (error_code in _OF_THE_ENDPOINT and _OF_THE_PRINCIPAL not in message),
        )
        self.status = status
        self.error_code = error_code
        self.message = message
        self.request_id = request_id
        self.explanation = explanation


class TunnelClosed(ClientError):
    """An open tunnel ended, and not because its target closed it: the close code is not 1000."""

    exit_code = 255

    def __init__(self, code: int, reason: str, request_id: str | None = None) -> None:
        said = _naming(f"tunnel closed: {reason or f'close code {code}'}", request_id)
        hint = _UNREACHED if reason.startswith("Unable to connect") else _CLOSURE_HINTS.get(code)
        super().__init__(f"{said}: {hint}" if hint else said)
        self.code = code
        self.reason = reason
        self.request_id = request_id


class NotCarried(ClientError):
    """A tunnel ended because standard input could not be read, or standard output not be written."""

    exit_code = 255


def _naming(said: str, request_id: str | None) -> str:
    """With the request's id, by which `hatchway explain` finds the decision, where the server named none.

    It names it for clients that show nothing else of an answer, and cannot where a connection is lost.
    """
    return said if not request_id or request_id in said else f"{said} (request id {request_id})"


def printable(text: str, limit: int = 1000) -> str:
    """Text from the other side or from a library, safe to print.

    No control characters, at most `limit` characters, and no password of a proxy, which libraries repeat when
    the proxy's URL is misspelt.
    """
    for password in _proxy_passwords():
        text = text.replace(password, "***")
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:limit])


def _proxy_passwords() -> set[str]:
    """The passwords in the environment's proxy URLs, however these are spelt."""
    urls = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    written = {url.rpartition("@")[0].rpartition(":")[2].strip("/") for url in urls}
    return {each for text in written for each in (text, unquote(text)) if each}
