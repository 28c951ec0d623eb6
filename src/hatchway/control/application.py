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
from typing import Any, Final, TypeVar

import structlog
from anyio import to_thread
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
from hatchway.control.attempt import ApiRequest
from hatchway.control.bodies import Bodies, stated_length
from hatchway.control.dispatcher import Dispatcher, Outcome
from hatchway.control.host_authentication import HostRefused, claimed_host
from hatchway.control.host_key_reports import LARGEST_REPORT, report_host_keys
from hatchway.control.host_keys import authorized_keys
from hatchway.control.host_proofs import LARGEST_KEY, make_proof_key
from hatchway.control.host_registration import LARGEST_REQUEST as LARGEST_REGISTRATION
from hatchway.control.host_registration import claimed_token, register_host
from hatchway.control.http_protocol import REQUEST_ID_HEADER, ClientConnection
from hatchway.control.machines.joining import join_machine
from hatchway.control.machines.renewal import renew_machine
from hatchway.control.machines.requests import LARGEST_REQUEST as LARGEST_OF_MACHINES
from hatchway.control.machines.requests import claimed_machine
from hatchway.control.other_services import other_service
from hatchway.control.plane import ControlPlane
from hatchway.control.services import claimed_key_id
from hatchway.control.threads import Busy, ThreadCounts, Threads
from hatchway.protocol import Reply, ServiceError
from hatchway.store import MachineRemoved, log_fields
from hatchway.store.tables import gateway_workers
from hatchway.transport.listening.failures import WINDOW

REMEMBER_SECONDS: Final = 60
"""For which our own client may remember where hosts, endpoints and gateways are."""

READY_SECONDS: Final = 5.0
"""How long the store may take to answer before it counts as not answering."""
UNEXAMINED_BODY: Final = 16 * 1024
"""Bytes of a body that is read for anybody. Whoever sends more has to have an active key first."""
RETRY_SECONDS: Final = 2
DEFAULT_GATEWAY_PORT: Final = 443
TOO_MANY_FAILURES: Final = (
    "Too many requests from your address failed to authenticate. Check the credentials, and try again in a"
    " minute."
)
BUSY: Final = "The server is busy with other requests. Try again."

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
        Route("/host/v1/authorized-keys", api.authorized_keys),
        Route("/host/v1/host-keys", api.report_host_keys, methods=["POST"]),
        Route("/host/v1/proof", api.prove_host, methods=["POST"]),
        Route("/host/v1/enroll", api.enroll, methods=["POST"]),
        Route("/machine/v1/join", api.join, methods=["POST"]),
        Route("/machine/v1/renew", api.renew, methods=["POST"]),
    ]
    application = Starlette(
        routes=routes,
        middleware=[Middleware(_RequestIds, plane=plane)],
        exception_handlers={HTTPException: api.refused, MachineRemoved: _removed, 500: _failed},
    )
    # A redirect would go to whatever host the request names.
    application.router.redirect_slashes = False
    return application


class _Api:
    """The routes of one control plane."""

    def __init__(self, plane: ControlPlane, ca_certificate: Path | None, threads: ThreadCounts) -> None:
        self._plane = plane
        self._ca_certificate = ca_certificate
        self._dispatcher = Dispatcher(plane, threads)
        self._bodies = Bodies()
        self._calls = Threads(threads.calls, share=threads.call_share)
        self._lookups = Threads(threads.lookups, share=threads.lookup_share)
        self._others = Threads(threads.others, share=1)
        for kind, some in (("call", self._calls), ("lookup", self._lookups), ("other", self._others)):
            plane.metrics.watch_threads(kind, some)
        self._looking: asyncio.Future[None] | None = None

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
        return _plain(request, problem.detail, problem.status_code, problem.headers)

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
        """Whether the store answers. All who ask at once get the answer to one question."""
        request.state.connection.excuse()
        if self._looking is None:
            self._looking = asyncio.ensure_future(to_thread.run_sync(self._look))
            self._looking.add_done_callback(self._looked)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.shield(self._looking)
        except MachineRemoved as problem:
            # Which has its own line in the log: load balancers ask several times a second.
            return await _removed(request, problem)
        except Exception as problem:
            log.error("not ready", **log_fields(problem))
            return _plain(request, "the store cannot be read: see the server's log", 503)
        return PlainTextResponse("ok\n")

    def _look(self) -> None:
        self._plane.store.revision()

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
            return _busy(request)
        if port is None:
            # There will be one in a moment, at a port that is not known yet.
            return JSONResponse({"gateway_port": DEFAULT_GATEWAY_PORT, "remember_seconds": 0})
        return JSONResponse({"gateway_port": port, "remember_seconds": REMEMBER_SECONDS})

    async def authorities(self, request: Request) -> Response:
        """Which CAs clients are to trust: who trusts that of the certificate that he sees learns the next."""
        connection: ClientConnection = request.state.connection
        connection.excuse()
        try:
            text = await self._others.run(connection.source, self._ca_certificates)
        except Busy:
            return _busy(request)
        if text is None:
            return PlainTextResponse("This server has no CA of its own.\n", status_code=404)
        return Response(text, media_type="application/x-pem-file")

    def _ca_certificates(self) -> bytes | None:
        try:
            return None if self._ca_certificate is None else self._ca_certificate.read_bytes()
        except OSError:
            # It need not be there where others' certificates are used.
            return None

    def _gateway_port(self) -> int | None:
        with self._plane.store.read() as tx:
            # The one with the latest lease: one that was killed keeps its lease for a while.
            workers = tx.gateway_workers.find(
                gateway_workers.c.lease_until > self._plane.clock(),
                order=(gateway_workers.c.started_at.desc(),),
                limit=1,
            )
        return workers[0].port if workers else None

    async def authorized_keys(self, request: Request) -> Response:
        parameters = request.query_params
        connection: ClientConnection = request.state.connection
        authorization = request.headers.get("authorization", "")
        host = claimed_host(authorization)
        if not connection.may_authenticate(host):
            return _too_many_failures(request)
        look_up = partial(
            authorized_keys,
            self._plane,
            authorization=authorization,
            os_user=parameters.get("user", ""),
            fingerprint=parameters.get("fingerprint", ""),
            trial="trial" in parameters,
        )
        try:
            lines = await self._lookups.run((connection.source, host), look_up)
        except HostRefused as refused:
            return _refused(request, host, refused)
        except Busy:
            return _busy(request)
        connection.prove(host)
        return PlainTextResponse("".join(f"{line}\n" for line in lines))

    async def report_host_keys(self, request: Request) -> Response:
        """The public keys by which a host is known, from that host itself."""
        host = claimed_host(request.headers.get("authorization", ""))
        answer = await self._from_host(request, host, LARGEST_REPORT, partial(report_host_keys, self._plane))
        if isinstance(answer, Response):
            return answer
        return PlainTextResponse("".join(f"{line}\n" for line in answer))

    async def prove_host(self, request: Request) -> Response:
        """A key by which a host sees that its sshd asks here."""
        host = claimed_host(request.headers.get("authorization", ""))
        make = partial(make_proof_key, self._plane, os_user=request.query_params.get("user", ""))
        answer = await self._from_host(request, host, LARGEST_KEY, make)
        return answer if isinstance(answer, Response) else PlainTextResponse(f"{answer}\n")

    async def enroll(self, request: Request) -> Response:
        """A host that registers itself."""
        token = claimed_token(request.headers.get("authorization", ""))
        answer = await self._from_host(
            request, token, LARGEST_REGISTRATION, partial(register_host, self._plane)
        )
        if isinstance(answer, Response):
            return answer
        return JSONResponse(answer.to_json())

    async def join(self, request: Request) -> Response:
        """A machine that is to be a control plane or a gateway."""
        return await self._from_machine(request, join_machine)

    async def renew(self, request: Request) -> Response:
        """What a machine that has joined is to have now."""
        return await self._from_machine(request, renew_machine)

    async def _from_machine(self, request: Request, take: Callable[..., Mapping[str, Any]]) -> Response:
        token = claimed_machine(request.headers.get("authorization", ""))
        answer = await self._from_host(request, token, LARGEST_OF_MACHINES, partial(take, self._plane))
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    async def _from_host(
        self, request: Request, claimed: str, largest: int, take: Callable[..., Answer]
    ) -> Answer | Response:
        """What a host sends, taken by a function of who it is and what it says, or the refusal.

        It waits for the store like a call: no look-up waits for it.
        """
        connection: ClientConnection = request.state.connection
        if not connection.may_authenticate(claimed):
            return _too_many_failures(request)
        try:
            if stated_length(request) > largest:
                return _plain(request, f"the body has more than {largest} bytes", 413)
            async with self._bodies.read(request, connection.source, proven=False) as content:
                work = partial(
                    take,
                    authorization=request.headers.get("authorization", ""),
                    content=content,
                    peer=connection.address,
                    user_agent=request.headers.get("user-agent", ""),
                )
                answer = await self._calls.run((connection.source, claimed), work)
        except ServiceError as refused:
            return _plain(request, refused.message, refused.status or 400)
        except HostRefused as refused:
            return _refused(request, claimed, refused)
        except Busy:
            return _busy(request)
        except ClientDisconnect:
            return Response(status_code=400)
        connection.prove(claimed)
        return answer


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


def _refused(request: Request, claimed: str, refused: HostRefused) -> Response:
    """The answer to a host or a machine; it failed to authenticate where its token is not good."""
    if refused.status != 401:
        return _plain(request, str(refused), refused.status)
    connection: ClientConnection = request.state.connection
    connection.failed(claimed)
    return _plain(request, str(refused), 401, {"www-authenticate": "Bearer"})


def _too_many_failures(request: Request) -> Response:
    return _plain(request, TOO_MANY_FAILURES, 429, {"retry-after": f"{WINDOW:.0f}"})


def _busy(request: Request) -> Response:
    return _plain(request, BUSY, 503, {"retry-after": str(RETRY_SECONDS)})


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


def _plain(request: Request, text: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal where no service's protocol is known. It shows the request id, under which the log has
    more."""
    return PlainTextResponse(f"{text} (request id {request.state.request_id})\n", status, headers)


async def _removed(request: Request, _problem: Exception) -> Response:
    """The answer where this control plane is none of the installation's any more."""
    return _plain(request, "this control plane serves no more: see its log", 503)


async def _failed(request: Request, _problem: Exception) -> Response:
    """The answer to an unforeseen error. Starlette raises the problem again, for the log."""
    return _plain(request, "internal error: see the server's log", 500)


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
