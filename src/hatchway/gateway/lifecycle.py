"""The life of a tunnel, from top to bottom: request, decision, upgrade, record, connection, end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from hatchway.domain.addresses import parse_address
from hatchway.domain.tunnel_protocol import HALF_CLOSE
from hatchway.gateway.admission.decision import Admitted, Deferred, Refused
from hatchway.gateway.admission.deferral import DeferredRequests
from hatchway.gateway.admission.refusal import (
    DRAINING,
    NO_SUCH_PATH,
    NOT_RECORDING,
    REQUEST_ID_HEADER,
    TOO_MANY_FAILURES,
    RequestRefused,
    handshake_refused,
    render_refusal,
)
from hatchway.gateway.admission.request import PATH, claimed_key_id
from hatchway.gateway.telemetry.metrics import REASON_NOT_RECORDED
from hatchway.gateway.trail.trail import QuotaReached, TunnelSummary
from hatchway.gateway.tunnel.closures import CLIENT_GONE, NOT_RECORDED, duration_reached
from hatchway.gateway.tunnel.relay import Relay
from hatchway.gateway.tunnel.target import Target
from hatchway.store import log_fields
from hatchway.transport.connection.connecting import CONNECT_TIMEOUT, TIMEOUT, Attempt
from hatchway.transport.listening.proxy_protocol import TransportAddress, proxy_header
from hatchway.transport.websocket.handshake import (
    SUBPROTOCOL_HEADER,
    BadHandshake,
    Head,
    render_upgrade,
    websocket_key,
)
from hatchway.transport.websocket.server import Continuation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from hatchway.gateway.telemetry.metrics import Metrics
    from hatchway.gateway.telemetry.tracing import TunnelTrace, TunnelTracing
    from hatchway.gateway.tunnel.registry import Registry
    from hatchway.transport.listening.sources import Sources
    from hatchway.transport.websocket.connection import WebSocketConnection

NEWS_SECONDS: Final = 1.0
"""How long a request waits for news about its access key or endpoint. News mostly comes within a quarter of a
second."""
MOST_WAITING: Final = 64
"""Requests that wait for news at a time; further ones are answered from what is known."""

_DELIVERY_CHECK: Final = 0.05
"""Seconds between two checks whether both ends have received what was sent before their tunnel ended."""

_CONNECTING: Final = {
    "ConnectionRefusedError": "the host refuses: nothing listens on that port",
    TIMEOUT: f"the host does not answer within {CONNECT_TIMEOUT:.0f} seconds",
}
"""Why a target could not be connected, for callers who may know."""

log = structlog.get_logger("hatchway.gateway")


@dataclass(slots=True)
class _Tunnel:
    """A tunnel that this worker carries.

    Attributes:
        admitted: the decision that opened it.
        relay: its bytes.
        deadline: fires when its maximum duration is over.
        recorded: whether the audit trail has it as opened.
        expiry: fires when the temporary credentials expire that opened it.
        delivery: fires at the next check whether both ends have received everything.
    """

    admitted: Admitted
    relay: Relay
    deadline: asyncio.TimerHandle
    recorded: bool = False
    expiry: asyncio.TimerHandle | None = None
    delivery: asyncio.TimerHandle | None = None


class DecisionPoint(Protocol):
    """Decides on requests; `Admission` implements it."""

    def decide(
        self, head: Head, *, source_ip: str, request_id: str, tunnel_id: str, now: datetime
    ) -> Admitted | Refused | Deferred: ...

    def explains(self, admitted: Admitted, now: datetime) -> bool: ...


class TunnelRecorder(Protocol):
    """Records tunnels and refusals; `Trail` implements it."""

    async def opened(self, admitted: Admitted, now: datetime) -> None: ...
    async def refused(self, refused: Refused, now: datetime) -> None: ...
    async def closed(self, admitted: Admitted, carried: TunnelSummary, now: datetime) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHooks:
    """What a handler asks of its worker.

    Attributes:
        may_open: whether tunnels may be opened: the worker can record them and its claim to be alive holds.
        asked_to_drain: whether somebody has asked that no tunnels be opened for now.
        caught_up: returns when decisions are based on what the store has by now, or after so many seconds.
        credentials_expired: called with the id of a tunnel whose temporary credentials have expired.
        clock: the time.
        new_request_id, new_tunnel_id: give unique ids.
    """

    may_open: Callable[[], bool]
    asked_to_drain: Callable[[], bool] = lambda: False
    caught_up: Callable[[float], Awaitable[None]]
    credentials_expired: Callable[[str], None] = lambda _tunnel_id: None
    clock: Callable[[], datetime]
    new_request_id: Callable[[], str]
    new_tunnel_id: Callable[[], str]


class TunnelHandler:
    """Handles the connections of one worker: each client, from its request to the end of its tunnel.

    Attributes:
        draining: whether the worker stops: then no tunnel is opened any more.
    """

    def __init__(
        self,
        *,
        admission: DecisionPoint,
        trail: TunnelRecorder,
        registry: Registry,
        metrics: Metrics,
        sources: Sources,
        hooks: WorkerHooks,
        tracing: TunnelTracing | None = None,
    ) -> None:
        self._admission = admission
        self._trail = trail
        self._registry = registry
        self._metrics = metrics
        self._sources = sources
        self._may_open = hooks.may_open
        self._asked_to_drain = hooks.asked_to_drain
        self._caught_up = hooks.caught_up
        self._credentials_expired = hooks.credentials_expired
        self._clock = hooks.clock
        self._new_request_id = hooks.new_request_id
        self._new_tunnel_id = hooks.new_tunnel_id
        self._tracing = tracing
        # `bind` looks up its processors once here, not for each line.
        self._log = log.bind()
        self._waiting = 0
        self._deferred_requests = DeferredRequests()
        self.draining = False

    async def serve(
        self, client: WebSocketConnection, source_ip: str, source_port: int
    ) -> Continuation | None:
        """Serve one client from its request to its tunnel, or to its end. Returns what is left to do when the
        tunnel ends.

        It never raises because of what a client does.
        """
        trace = None if self._tracing is None else self._tracing.requested(source_port, client.age)
        tunnel = await self._begin(client, source_ip, source_port, trace)
        return None if tunnel is None else Continuation(tunnel.relay.ended, self._end, tunnel, trace)

    async def _begin(
        self, client: WebSocketConnection, source_ip: str, source_port: int, trace: TunnelTrace | None
    ) -> _Tunnel | None:
        """The client's tunnel, upgraded, recorded and connected, or about to end; None if it gets none."""
        request_id = self._new_request_id()
        try:
            head = client.take_head()
            self._metrics.handshake_seconds.observe(client.age)
            if head.path != PATH:
                raise RequestRefused(NO_SUCH_PATH)
            key = websocket_key(head)
            if not self._sources.may_authenticate(source_ip, claimed_key_id(head.query)):
                raise RequestRefused(TOO_MANY_FAILURES)
            answer = await self._decide(client, head, source_ip, request_id)
        except (BadHandshake, RequestRefused) as problem:
            refusal = problem.refusal if isinstance(problem, RequestRefused) else handshake_refused(problem)
            self._metrics.refused.labels(refusal.error_code).inc()
            client.hang_up(render_refusal(refusal, request_id))
            return None
        except ConnectionError:
            return None
        if trace is not None:
            trace.decided(head, answer)
        if isinstance(answer, Refused):
            if answer.authenticated:
                self._sources.refused(source_ip)
            else:
                self._sources.failed(source_ip, claimed_key_id(head.query))
            await self._refuse(client, answer, trace)
            return None
        self._sources.admitted(source_ip, answer.principal.access_key_id)
        half_close = head.offers(HALF_CLOSE)
        return await self._open(client, key, answer, source_port, trace, half_close=half_close)

    async def _decide(
        self, client: WebSocketConnection, head: Head, source_ip: str, request_id: str
    ) -> Admitted | Refused:
        """The decision on a request. It comes at once, except for an access key or an endpoint that gateways
        do not know.

        Someone who has just received a key, been allowed tunnels or created the endpoint may be faster than
        the news of it. So the request is decided on again once this worker has seen what the store has by
        now. A request with an invented key waits as long, but only a few may wait at a time.

        Raises:
            RequestRefused: this worker opens no tunnel now.
            ConnectionResetError: the client has gone in the meantime.
        """
        decide = partial(self._decide_now, head, source_ip, request_id)
        answer = decide()
        if isinstance(answer, Deferred):
            answer = await self._deferred_requests.decide_when_due(client, decide, answer)
        if not (isinstance(answer, Refused) and answer.perhaps_too_new) or self._waiting >= MOST_WAITING:
            return answer
        self._waiting += 1
        try:
            await self._caught_up(NEWS_SECONDS)
        finally:
            self._waiting -= 1
        if client.is_gone:
            raise ConnectionResetError("the client left")
        answer = decide()
        return (
            await self._deferred_requests.decide_when_due(client, decide, answer)
            if isinstance(answer, Deferred)
            else answer
        )

    def _decide_now(self, head: Head, source_ip: str, request_id: str) -> Admitted | Refused | Deferred:
        if self.draining or self._asked_to_drain():
            raise RequestRefused(DRAINING)
        if not self._may_open():
            raise RequestRefused(NOT_RECORDING)
        return self._admission.decide(
            head,
            source_ip=source_ip,
            request_id=request_id,
            tunnel_id=self._new_tunnel_id(),
            now=self._clock(),
        )

    async def _refuse(self, client: WebSocketConnection, refused: Refused, trace: TunnelTrace | None) -> None:
        source = refused.call.source
        self._metrics.refused.labels(refused.refusal.error_code).inc()
        self._log.info(
            "tunnel refused",
            request_id=source.request_id,
            source_ip=source.source_ip,
            error_code=refused.refusal.error_code,
        )
        try:
            await self._trail.refused(refused, self._clock())
        finally:
            # The request is refused whether that is recorded or not.
            client.hang_up(render_refusal(refused.refusal, source.request_id))
            if trace is not None:
                trace.refused(refused)

    async def _open(
        self,
        client: WebSocketConnection,
        key: str,
        admitted: Admitted,
        source_port: int,
        trace: TunnelTrace | None,
        *,
        half_close: bool,
    ) -> _Tunnel:
        loop = asyncio.get_running_loop()
        relay = Relay(client, loop, half_close=half_close)
        duration = admitted.request.max_duration
        request_id = admitted.call.source.request_id
        subprotocol = ((SUBPROTOCOL_HEADER, HALF_CLOSE),) if half_close else ()
        answer = render_upgrade(key, (*subprotocol, (REQUEST_ID_HEADER, request_id)))
        client.upgrade(answer, relay, note=f"request id {request_id}")
        client.carry_to(relay)
        deadline = loop.call_later(duration, relay.cut, duration_reached(duration))
        kept = self._registry.add(admitted, relay)
        tunnel = _Tunnel(kept, relay, deadline)
        self._watch_expiry(tunnel)
        try:
            tunnel.recorded = await self._record(admitted, relay)
            if trace is not None:
                trace.recorded(relay, succeeded=tunnel.recorded)
            if tunnel.recorded:
                await self._connect(admitted, client, relay, source_port, trace)
            else:
                relay.no_target()
        except Exception as problem:
            # It may have been recorded as opened: then its end must be recorded too.
            relay.fail(f"opening: {problem!r}")
        except BaseException:
            self._forget(tunnel)
            raise
        return tunnel

    async def _end(self, tunnel: _Tunnel, trace: TunnelTrace | None) -> None:
        """Record the end of a tunnel, and forget the tunnel when its connections are gone."""
        relay = tunnel.relay
        try:
            if trace is not None:
                trace.ended(relay)
            if tunnel.recorded:
                self._free_quotas(tunnel)
                await self._close(tunnel.admitted, relay)
            await relay.gone
        finally:
            self._forget(tunnel)

    def _free_quotas(self, tunnel: _Tunnel) -> None:
        """Free the quotas of a tunnel that has ended, even before its end has been committed.

        Not while its target or its client has yet to receive what it was sent: that is up to megabytes of
        kernel memory, and a client that reads nothing, or has such a target, could otherwise have any number
        of them.
        """
        if tunnel.relay.undelivered:
            loop = asyncio.get_running_loop()
            tunnel.delivery = loop.call_later(_DELIVERY_CHECK, self._free_quotas, tunnel)
        else:
            tunnel.delivery = None
            self._registry.note_ended(tunnel.admitted)

    def _watch_expiry(self, tunnel: _Tunnel) -> None:
        session = tunnel.admitted.principal.session
        if session is None:
            return
        left = (session.expires_at - self._clock()).total_seconds()
        if left > 0:
            # The loop has another clock: when the timer fires, the time is checked again.
            loop = asyncio.get_running_loop()
            tunnel.expiry = loop.call_later(left, self._watch_expiry, tunnel)
        else:
            self._credentials_expired(tunnel.admitted.tunnel_id)

    def _forget(self, tunnel: _Tunnel) -> None:
        tunnel.deadline.cancel()
        if tunnel.expiry is not None:
            tunnel.expiry.cancel()
        if tunnel.delivery is not None:
            tunnel.delivery.cancel()
        self._metrics.gone(tunnel.relay, partial(self._registry.remove, tunnel.admitted))

    async def _record(self, admitted: Admitted, relay: Relay) -> bool:
        try:
            await self._trail.opened(admitted, self._clock())
        except QuotaReached as reached:
            self._metrics.refused.labels(reached.overrun.refusal.error_code).inc()
            relay.cut(reached.overrun.closure)
        except Exception as problem:
            log.error("tunnel not recorded", tunnel_id=admitted.tunnel_id, **log_fields(problem))
            self._metrics.refused.labels(REASON_NOT_RECORDED).inc()
            relay.cut(NOT_RECORDED)
        else:
            self._registry.note_recorded(admitted.tunnel_id)
            self._metrics.opened.inc()
            self._log.info(
                "tunnel opened",
                tunnel_id=admitted.tunnel_id,
                request_id=admitted.call.source.request_id,
                principal=admitted.principal.arn,
                source_ip=admitted.source_ip,
                endpoint_id=admitted.request.endpoint_id,
                target=f"{admitted.request.private_ip} port {admitted.request.remote_port}",
            )
            return True
        return False

    async def _connect(
        self,
        admitted: Admitted,
        client: WebSocketConnection,
        relay: Relay,
        source_port: int,
        trace: TunnelTrace | None,
    ) -> None:
        """Connect the relay to the target, or tell it that there is none."""
        if admitted.unreachable is not None or not relay.needs_target:
            self._no_target(admitted, relay, admitted.unreachable)
            return
        address, port = admitted.address, admitted.request.remote_port
        attempt = Attempt(client.readiness, address, port, admitted.source)
        relay.connecting(attempt)
        began = asyncio.get_running_loop().time()
        sock = await attempt.outcome
        if trace is not None:
            trace.connecting_ended(admitted, attempt.problem)
        if sock is None:
            self._no_target(admitted, relay, _CONNECTING.get(attempt.problem or ""))
            return
        self._metrics.connect_seconds.observe(asyncio.get_running_loop().time() - began)
        target = Target(relay, client.readiness, sock)
        if admitted.proxy_protocol is not None:
            source = TransportAddress(parse_address(admitted.source_ip), source_port)
            target.send(proxy_header(source, TransportAddress(address, port)))
        relay.attach(target)

    def _no_target(self, admitted: Admitted, relay: Relay, why: str | None) -> None:
        if why is not None and self._admission.explains(admitted, self._clock()):
            relay.explain(why)
        relay.no_target()

    async def _close(self, admitted: Admitted, relay: Relay) -> None:
        closure = relay.closure or CLIENT_GONE
        cause = self._registry.cause(admitted.tunnel_id)
        carried = TunnelSummary(relay.seconds, relay.bytes_in, relay.bytes_out, closure, cause)
        seconds, bytes_in, bytes_out, _, _ = carried
        self._metrics.closed(closure)
        self._log.info(
            "tunnel closed",
            tunnel_id=admitted.tunnel_id,
            code=closure.code,
            reason=closure.reason,
            seconds=round(seconds, 3),
            bytes_in=bytes_in,
            bytes_out=bytes_out,
        )
        await self._trail.closed(admitted, carried, self._clock())
