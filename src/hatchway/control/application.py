"""The HTTP application of the control plane.

| path | who | what |
|---|---|---|
| `/` | AWS clients | every AWS service; the signature's credential scope says which |
| `/host/v1/authorized-keys` | a host's sshd, by its host token | the SSH keys that are good there now |
| `/host/v1/host-keys` | a host, by its host token | reports the public keys of its sshd |
| `/host/v1/proof` | a host, by its host token | gets a key by which it sees that its sshd asks here |
| `/host/v1/enroll` | a host without an account, by an enrollment token | registers itself |
| `/machine/v1/join` | a control plane or gateway elsewhere, by a join token | gets what its role needs |
| `/machine/v1/renew` | the same, by its own token | gets its next certificate, and keys that changed |
| `/.well-known/hatchway` | anybody | `{"gateway_port": N, "remember_seconds": N}` |
| `/.well-known/hatchway/ca.pem` | anybody | the private CA; both while one takes another's place |
| `/healthz`, `/readyz` | monitoring | is the process up; does it reach its store |

Requests are read on the event loop, within bounds. Everything else is synchronous and runs in threads: API
calls in one pool, hosts' look-ups in another, so that neither waits for the other.
"""

import asyncio
import uuid
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import structlog
from anyio import to_thread
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hatchway.access.authentication import HttpRequest
from hatchway.access.context import Origin
from hatchway.control.dispatcher import Dispatcher, Outcome
from hatchway.control.host_routes import HostRoutes
from hatchway.control.http.bodies import Bodies, stated_length
from hatchway.control.http.protocol import REQUEST_ID_HEADER, ClientConnection
from hatchway.control.other_services import other_service
from hatchway.control.plain_answers import (
    BUSY,
    OF_STORE,
    RETRY_SECONDS,
    TOO_MANY_FAILURES,
    busy,
    failed,
    plain,
    removed,
    without_store,
)
from hatchway.control.plane import ControlPlane
from hatchway.control.request_state import ApiRequest
from hatchway.control.services import claimed_key_id
from hatchway.control.threads import Busy, ThreadCounts, Threads
from hatchway.privileges import read_as_owner
from hatchway.protocol import Reply, ServiceError
from hatchway.store import NowThere, ServesNoMore, is_locked, is_useless, log_fields
from hatchway.store.tables import gateway_workers
from hatchway.transport.listening.failures import WINDOW

REMEMBER_SECONDS: Final = 60
"""For which our own client may remember where hosts, endpoints and gateways are."""

READY_SECONDS: Final = 5.0
"""How long the store may take to answer before it counts as not answering."""
UNEXAMINED_BODY: Final = 16 * 1024
"""Bytes of a body that is read for anybody. Whoever sends more has to have an active key first."""
DEFAULT_GATEWAY_PORT: Final = 443

Answer = TypeVar("Answer")

log = structlog.get_logger("hatchway.control")


def create_application(
    plane: ControlPlane, ca_certificate: Path | None = None, threads: ThreadCounts | None = None
) -> Starlette:
    """The application; it serves the account that `plane` holds.

    `ca_certificate` is the file with the CAs that clients are to trust, where there is a private one.
    """
    api = _Api(plane, ca_certificate, threads or ThreadCounts())
    routes = [
        Route("/", api.call, methods=["GET", "POST"]),
        Route("/healthz", api.healthz),
        Route("/readyz", api.readyz),
        Route("/.well-known/hatchway", api.discovery),
        Route("/.well-known/hatchway/ca.pem", api.authorities),
        *api.hosts.routes(),
    ]
    application = Starlette(
        routes=routes,
        middleware=[Middleware(_RequestIds, plane=plane)],
        exception_handlers={
            HTTPException: api.refused,
            ServesNoMore: removed,
            **dict.fromkeys(OF_STORE, without_store),
            500: failed,
        },
    )
    # A redirect would go to whatever host the request names.
    application.router.redirect_slashes = False
    return application


class ClockUseless(Exception):
    """By this machine's clock nobody's signature is good."""


class _Api:
    """The routes of one control plane."""

    def __init__(self, plane: ControlPlane, ca_certificate: Path | None, threads: ThreadCounts) -> None:
        self._plane = plane
        self._ca_certificate = ca_certificate
        self._dispatcher = Dispatcher(plane, threads)
        self._bodies = Bodies()
        self._calls = Threads(threads.calls, share=threads.call_share)
        lookups = Threads(threads.lookups, share=threads.lookup_share)
        self._others = Threads(threads.others, share=1)
        for kind, some in (("call", self._calls), ("lookup", lookups), ("other", self._others)):
            plane.metrics.watch_threads(kind, some)
        self.hosts = HostRoutes(plane, self._bodies, self._calls, lookups)
        self._looking: asyncio.Future[None] | None = None
        self._gateway_seen: int | None = None

    async def call(self, request: Request) -> Response:
        """Any call of any AWS service."""
        asked = _api_request(request, b"")
        connection: ClientConnection = request.state.connection
        key_id = claimed_key_id(asked.http)
        if not connection.may_authenticate(key_id):
            reply = self._dispatcher.throttle(asked, TOO_MANY_FAILURES)
            return _response(reply, {"retry-after": f"{WINDOW:.0f}"})
        if (service := other_service(asked.http)) is not None:
            connection.failed(key_id)
            return _response(self._dispatcher.refuse_other(asked, service))
        try:
            return await self._call(request, asked, connection, key_id)
        except ServiceError as error:
            more = {"retry-after": str(RETRY_SECONDS)} if error.status == 503 else {}
            return _response(self._dispatcher.refuse(asked, error), more)
        except ClientDisconnect:
            # Nobody is left to read the answer.
            return Response(status_code=400)

    async def refused(self, request: Request, problem: Exception) -> Response:
        """The answer to what is not on any route: many services' calls have paths of their own."""
        assert isinstance(problem, HTTPException)
        asked = _api_request(request, b"")
        if request.method != "HEAD" and (service := other_service(asked.http)) is not None:
            return _response(self._dispatcher.refuse_other(asked, service))
        return plain(request, problem.detail, problem.status_code, problem.headers)

    async def _call(
        self, request: Request, asked: ApiRequest, connection: ClientConnection, key_id: str
    ) -> Response:
        """
        Raises:
            ServiceError: it is refused unexamined.
            ClientDisconnect: its body ends before its end.
        """
        client = connection.source, key_id
        proven = False
        if stated_length(request) > UNEXAMINED_BODY:
            examined = await _turn(self._calls, client, partial(self._dispatcher.examine, asked))
            if isinstance(examined, Outcome):
                _tell(connection, key_id, examined)
                return _response(examined.reply)
            proven = examined
        async with self._bodies.read(request, connection.source, proven=proven) as body:
            whole = replace(asked, http=replace(asked.http, body=body))
            outcome = await _turn(self._calls, client, partial(self._dispatcher.dispatch, whole))
        _tell(connection, key_id, outcome)
        return _response(outcome.reply)

    async def healthz(self, request: Request) -> Response:
        request.state.connection.excuse()
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        """Whether the store answers, and signatures can be judged. All who ask at once get one answer."""
        request.state.connection.excuse()
        if self._looking is None:
            self._looking = asyncio.ensure_future(to_thread.run_sync(self._look))
            self._looking.add_done_callback(self._looked)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.shield(self._looking)
        except ServesNoMore as problem:
            # Which has its own line in the log: load balancers ask several times a second.
            return await removed(request, problem)
        except ClockUseless:
            # As has this.
            return plain(request, "this machine's clock is wrong: see its log", 503)
        except Exception as problem:
            log.error("not ready", **log_fields(problem))
            return plain(request, "the store cannot be read: see the server's log", 503)
        return PlainTextResponse("ok\n")

    def _look(self) -> None:
        if (there := self._plane.store.answers()) is not None and is_useless(self._plane.clock(), there):
            raise ClockUseless

    def _looked(self, looking: asyncio.Future[None]) -> None:
        self._looking = None
        # Everybody who asked may have given up.
        looking.exception()

    async def discovery(self, request: Request) -> Response:
        """Where a client of ours finds the gateway, which need not be on the AWS CLI's port."""
        connection: ClientConnection = request.state.connection
        connection.excuse()
        try:
            port = await self._others.run(connection.source, self._gateway_port)
        except Busy:
            return busy(request)
        except DBAPIError as problem:
            if self._gateway_seen is None or not is_locked(problem):
                raise
            # Where it was before gateways locked what says so.
            return JSONResponse({"gateway_port": self._gateway_seen, "remember_seconds": 0})
        if port is None:
            # There will be one in a moment, at a port that is not known yet.
            return JSONResponse({"gateway_port": DEFAULT_GATEWAY_PORT, "remember_seconds": 0})
        self._gateway_seen = port
        return JSONResponse({"gateway_port": port, "remember_seconds": REMEMBER_SECONDS})

    async def authorities(self, request: Request) -> Response:
        """Which CAs clients are to trust: who trusts that of the certificate that he sees learns the next."""
        connection: ClientConnection = request.state.connection
        connection.excuse()
        try:
            text = await self._others.run(connection.source, self._ca_certificates)
        except Busy:
            return busy(request)
        if text is None:
            return PlainTextResponse("This server has no CA of its own.\n", status_code=404)
        return Response(text, media_type="application/x-pem-file")

    def _ca_certificates(self) -> bytes | None:
        try:
            return None if self._ca_certificate is None else read_as_owner(self._ca_certificate)
        except OSError:
            # It need not be there where others' certificates are used.
            return None

    def _gateway_port(self) -> int | None:
        with self._plane.store.read() as tx:
            tx.wait_briefly()
            # The one with the latest lease: one that was killed keeps its lease for a while.
            workers = tx.gateway_workers.find(
                gateway_workers.c.lease_until > NowThere(self._plane.clock()),
                order=(gateway_workers.c.started_at.desc(),),
                limit=1,
            )
        return workers[0].port if workers else None


async def _turn(threads: Threads, client: Hashable, work: Callable[[], Answer]) -> Answer:
    """
    Raises:
        ServiceError: there is no thread for it.
    """
    try:
        return await threads.run(client, work)
    except Busy:
        raise ServiceError("ServiceUnavailable", BUSY, status=503) from None


def _tell(connection: ClientConnection, key_id: str, outcome: Outcome) -> None:
    if outcome.proven:
        connection.prove(key_id)
    elif outcome.failed:
        connection.failed(key_id)


def _api_request(request: Request, body: bytes) -> ApiRequest:
    scope = request.scope
    http = HttpRequest(
        method=request.method,
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        body=body,
    )
    connection: ClientConnection = request.state.connection
    origin = Origin(
        source_ip=connection.address,
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
