"""What can go wrong on the user's side: one type for each kind, with the facts as fields.

`str(error)` is one line for the user that says what to do; `exit_code` is what the command ends with.
"""

from __future__ import annotations

import os
from typing import ClassVar
from urllib.parse import unquote

CONNECTION_LOST = 1006
"""RFC 6455 section 7.1.5: the close code of a connection that ended without a Close frame."""

REQUEST_ID_HEADER = "x-amzn-requestid"
"""In which every answer names its request, of the API and of a gateway."""


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
        super().__init__(_naming(said, request_id))
        self.operation = operation
        self.code = code
        self.message = message
        self.request_id = request_id


class NotFound(ClientError):
    """The control plane knows no such instance, or no endpoint that leads to it."""


class GatewayUnreachable(ClientError):
    """There is no connection to the gateway, or it cannot be trusted."""

    exit_code = 255

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot open a tunnel by way of {address}: {reason}")
        self.address = address
        self.reason = reason


class TunnelRefused(ClientError):
    """The gateway answered the request for a tunnel with something other than 101."""

    exit_code = 255

    def __init__(self, status: int, error_code: str, message: str, request_id: str | None = None) -> None:
        name = error_code or f"HTTP status {status}"
        said = f"{name}: {message}" if message else f"the gateway answered {name}"
        super().__init__(_naming(said, request_id))
        self.status = status
        self.error_code = error_code
        self.message = message
        self.request_id = request_id


class TunnelClosed(ClientError):
    """An open tunnel ended, and not because its target closed it: the close code is not 1000."""

    exit_code = 255

    def __init__(self, code: int, reason: str, request_id: str | None = None) -> None:
        super().__init__(_naming(f"tunnel closed: {reason or f'close code {code}'}", request_id))
        self.code = code
        self.reason = reason
        self.request_id = request_id


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
