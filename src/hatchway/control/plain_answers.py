"""Answers in plain text, where no service's protocol is known, or none has words for it."""

from collections.abc import Mapping
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from hatchway.store import BeingRestored, SchemaMismatch, StoreBusy, explain, log_fields
from hatchway.transport.listening.failures import WINDOW

RETRY_SECONDS: Final = 2
TOO_MANY_FAILURES: Final = (
    "Too many requests from your address failed to authenticate. Check the credentials, and try again in a"
    " minute."
)
BUSY: Final = "The server is busy with other requests. Try again."
NO_STORE: Final = "The server cannot use its store just now. Try again; the server's log says why."
OF_STORE: Final = (SQLAlchemyError, BeingRestored, SchemaMismatch, StoreBusy)
"""Whatever a store that cannot be used raises."""

log = structlog.get_logger("hatchway.control")


def plain(request: Request, text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal where no service's protocol is known. It shows the request id, under which the log has
    more."""
    return PlainTextResponse(f"{text} (request id {request.state.request_id})\n", status, headers)


async def removed(request: Request, _problem: Exception) -> Response:
    """The answer where this control plane is none of the installation's any more."""
    return plain(request, "this control plane serves no more: see its log", 503)


async def without_store(request: Request, problem: Exception) -> Response:
    """The answer to a host or machine, or to whoever looks for the gateway, while the store cannot be used.

    Raises:
        Exception: it is no such problem.
    """
    if explain(problem) is None:
        raise problem
    log.error("store cannot be used", path=request.url.path, **log_fields(problem))
    return plain(request, NO_STORE, 503, {"retry-after": str(RETRY_SECONDS)})


async def failed(request: Request, _problem: Exception) -> Response:
    """The answer to an unforeseen error. Starlette raises the problem again, for the log."""
    return plain(request, "internal error: see the server's log", 500)


def too_many_failures(request: Request) -> Response:
    """The answer to one from whose address too many have failed to authenticate."""
    return plain(request, TOO_MANY_FAILURES, 429, {"retry-after": f"{WINDOW:.0f}"})


def busy(request: Request) -> Response:
    """The answer where there is no thread for it."""
    return plain(request, BUSY, 503, {"retry-after": str(RETRY_SECONDS)})
