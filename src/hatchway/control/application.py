"""The HTTP application of the control plane.

| path | who | what |
|---|---|---|
| `/` | AWS clients | every AWS service; the signature's credential scope says which |
| `/host/v1/authorized-keys` | a host's sshd, by its host token | the SSH keys that are good there now |
| `/.well-known/hatchway` | anybody | `{"gateway_port": N}` |
| `/healthz`, `/readyz` | monitoring | is the process up; does it reach its store |

Reading is done on the event loop, within bounds; everything else, being synchronous, in the thread pool.
"""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hatchway.access.authentication import HttpRequest
from hatchway.access.context import Origin
from hatchway.control.attempt import ApiRequest
from hatchway.control.dispatcher import Dispatcher
from hatchway.control.host_keys import HostRefused, authorized_keys
from hatchway.control.plane import ControlPlane
from hatchway.protocol import LARGEST_REQUEST, Reply, ServiceError
from hatchway.store import log_fields
from hatchway.store.tables import gateway_workers

BODY_SECONDS: Final = 30.0
"""How long a client may take over a request's body."""
DEFAULT_GATEWAY_PORT: Final = 443
REQUEST_ID_HEADER: Final = "x-amzn-requestid"
_CLOSE: Final = {"connection": "close"}

log = structlog.get_logger("hatchway.control")


def create_application(plane: ControlPlane) -> Starlette:
    """The application; it serves the account that `plane` holds."""
    api = _Api(plane)
    routes = [
        Route("/", api.call, methods=["GET", "POST"]),
        Route("/healthz", api.healthz),
        Route("/readyz", api.readyz),
        Route("/.well-known/hatchway", api.discovery),
        Route("/host/v1/authorized-keys", api.authorized_keys),
    ]
    application = Starlette(
        routes=routes, middleware=[Middleware(_RequestIds, plane=plane)], exception_handlers={500: _failed}
    )
    # A redirect would go to whatever host the request names.
    application.router.redirect_slashes = False
    return application


class _Api:
    """The routes of one control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._dispatcher = Dispatcher(plane)

    async def call(self, request: Request) -> Response:
        """Any call of any AWS service."""
        try:
            body = await _read_body(request)
        except ServiceError as error:
            reply = self._dispatcher.refuse(_api_request(request, b""), error)
            return _response(reply, _CLOSE)
        except ClientDisconnect:
            # Nobody is left to read the answer.
            return Response(status_code=400)
        return _response(await run_in_threadpool(self._dispatcher.dispatch, _api_request(request, body)))

    async def healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(self, _request: Request) -> Response:
        try:
            self._plane.store.revision()
        except Exception as problem:
            log.error("not ready", **log_fields(problem))
            return PlainTextResponse("the store cannot be read: see the server's log\n", 503)
        return PlainTextResponse("ok\n")

    def discovery(self, _request: Request) -> Response:
        """Where a client of ours finds the gateway, which need not be on the AWS CLI's port."""
        with self._plane.store.read() as tx:
            # The youngest: one that was killed keeps its lease for a while.
            workers = tx.gateway_workers.find(
                gateway_workers.c.lease_until > self._plane.clock(),
                order=(gateway_workers.c.started_at.desc(),),
                limit=1,
            )
        return JSONResponse({"gateway_port": workers[0].port if workers else DEFAULT_GATEWAY_PORT})

    def authorized_keys(self, request: Request) -> Response:
        parameters = request.query_params
        try:
            lines = authorized_keys(
                self._plane,
                authorization=request.headers.get("authorization", ""),
                os_user=parameters.get("user", ""),
                fingerprint=parameters.get("fingerprint", ""),
            )
        except HostRefused as refused:
            headers = {"www-authenticate": "Bearer"} if refused.status == 401 else None
            return PlainTextResponse(f"{refused}\n", refused.status, headers)
        return PlainTextResponse("".join(f"{line}\n" for line in lines))


async def _read_body(request: Request) -> bytes:
    """The body.

    Raises:
        ServiceError: it is too large or too slow.
        ClientDisconnect: it ends before its end.
    """
    too_large = ServiceError(
        "RequestEntityTooLarge", f"The request is larger than {LARGEST_REQUEST} bytes.", status=413
    )
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > LARGEST_REQUEST:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_REQUEST:
                    raise too_large
    except TimeoutError:
        raise ServiceError(
            "RequestTimeout",
            f"The request's body did not arrive within {BODY_SECONDS:.0f} seconds.",
            status=408,
        ) from None
    return bytes(body)


def _api_request(request: Request, body: bytes) -> ApiRequest:
    scope = request.scope
    http = HttpRequest(
        method=request.method,
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        body=body,
    )
    client = request.client
    origin = Origin(
        source_ip=client.host if client is not None else "",
        user_agent=request.headers.get("user-agent", ""),
        secure=scope["scheme"] == "https",
    )
    return ApiRequest(http=http, origin=origin, request_id=request.state.request_id)


def _response(reply: Reply, more_headers: Mapping[str, str] | None = None) -> Response:
    response = Response(reply.body, reply.status)
    for name, value in reply.headers:
        response.headers[name] = value
    response.headers.update(more_headers or {})
    return response


async def _failed(_request: Request, _problem: Exception) -> Response:
    """The answer where no service's dialect is at hand. Starlette raises the problem again, for the log."""
    return PlainTextResponse("internal error: see the server's log\n", 500)


class _RequestIds:
    """Gives each request an id, which is on its answer and on every event logged meanwhile."""

    def __init__(self, app: ASGIApp, plane: ControlPlane) -> None:
        self._app = app
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.UUID(bytes=self._plane.random_bytes(16), version=4))
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)
