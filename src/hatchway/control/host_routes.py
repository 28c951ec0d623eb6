"""What hosts and machines ask and say, by tokens of their own: the paths, and how each request is taken."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hatchway.control.bearer_tokens import BearerRefused, claimed_id
from hatchway.control.hosts.authorized_keys import authorized_keys
from hatchway.control.hosts.key_reports import LARGEST_REPORT, report_host_keys
from hatchway.control.hosts.proofs import LARGEST_KEY, make_proof_key
from hatchway.control.hosts.registration import LARGEST_REQUEST as LARGEST_REGISTRATION
from hatchway.control.hosts.registration import register_host
from hatchway.control.http.bodies import Bodies, stated_length
from hatchway.control.machines.joining import join_machine
from hatchway.control.machines.renewal import renew_machine
from hatchway.control.machines.requests import LARGEST_REQUEST as LARGEST_OF_MACHINES
from hatchway.control.plain_answers import busy, plain, too_many_failures
from hatchway.control.plane import ControlPlane
from hatchway.control.threads import Busy, Threads
from hatchway.domain.enrollment_token import ENROLLMENT_TOKEN
from hatchway.domain.host_token import HOST_TOKEN
from hatchway.domain.machine import JOIN_TOKEN, MACHINE_TOKEN
from hatchway.protocol import ServiceError

if TYPE_CHECKING:
    from hatchway.control.http.protocol import ClientConnection

Answer = TypeVar("Answer")


class HostRoutes:
    """Those of one control plane."""

    def __init__(self, plane: ControlPlane, bodies: Bodies, calls: Threads, lookups: Threads) -> None:
        """`lookups` are the threads for what a login waits for, `calls` those for all else."""
        self._plane = plane
        self._bodies = bodies
        self._calls = calls
        self._lookups = lookups

    def routes(self) -> list[Route]:
        return [
            Route("/host/v1/authorized-keys", self.authorized_keys),
            Route("/host/v1/host-keys", self.report_host_keys, methods=["POST"]),
            Route("/host/v1/proof", self.prove_host, methods=["POST"]),
            Route("/host/v1/enroll", self.enroll, methods=["POST"]),
            Route("/machine/v1/join", self.join, methods=["POST"]),
            Route("/machine/v1/renew", self.renew, methods=["POST"]),
        ]

    async def authorized_keys(self, request: Request) -> Response:
        parameters = request.query_params
        connection: ClientConnection = request.state.connection
        authorization = request.headers.get("authorization", "")
        host = claimed_id(authorization, HOST_TOKEN)
        if not connection.may_authenticate(host):
            return too_many_failures(request)
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
        except BearerRefused as refused:
            return _refused(request, host, refused)
        except Busy:
            return busy(request)
        connection.prove(host)
        return PlainTextResponse("".join(f"{line}\n" for line in lines))

    async def report_host_keys(self, request: Request) -> Response:
        """The public keys by which a host is known, from that host itself."""
        host = claimed_id(request.headers.get("authorization", ""), HOST_TOKEN)
        answer = await self._from_host(request, host, LARGEST_REPORT, partial(report_host_keys, self._plane))
        if isinstance(answer, Response):
            return answer
        return PlainTextResponse("".join(f"{line}\n" for line in answer))

    async def prove_host(self, request: Request) -> Response:
        """A key by which a host sees that its sshd asks here."""
        host = claimed_id(request.headers.get("authorization", ""), HOST_TOKEN)
        make = partial(make_proof_key, self._plane, os_user=request.query_params.get("user", ""))
        answer = await self._from_host(request, host, LARGEST_KEY, make)
        return answer if isinstance(answer, Response) else PlainTextResponse(f"{answer}\n")

    async def enroll(self, request: Request) -> Response:
        """A host that registers itself."""
        token = claimed_id(request.headers.get("authorization", ""), ENROLLMENT_TOKEN)
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
        token = claimed_id(request.headers.get("authorization", ""), JOIN_TOKEN, MACHINE_TOKEN)
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
            return too_many_failures(request)
        try:
            if stated_length(request) > largest:
                return plain(request, f"the body has more than {largest} bytes", 413)
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
            return plain(request, refused.message, refused.status or 400)
        except BearerRefused as refused:
            return _refused(request, claimed, refused)
        except Busy:
            return busy(request)
        except ClientDisconnect:
            return Response(status_code=400)
        connection.prove(claimed)
        return answer


def _refused(request: Request, claimed: str, refused: BearerRefused) -> Response:
    """The answer to a host or a machine; it failed to authenticate where its token is not good."""
    if refused.status != 401:
        return plain(request, str(refused), refused.status)
    connection: ClientConnection = request.state.connection
    connection.failed(claimed)
    return plain(request, str(refused), 401, {"www-authenticate": "Bearer"})
