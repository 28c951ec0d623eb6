"""All that one gateway worker has, put together, and when it listens, drains and ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import structlog

from hatchway.domain.addresses import is_range
from hatchway.gateway.admission.admission import Admission
from hatchway.gateway.admission.off_limits import OffLimits
from hatchway.gateway.admission.preserve_client_ip import NOT_PERMITTED
from hatchway.gateway.admission.resolver import Resolver
from hatchway.gateway.admission.served import Served
from hatchway.gateway.lifecycle import TunnelHandler
from hatchway.gateway.snapshot.follower import Follower
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.gateway.telemetry.tracing import TunnelTracing
from hatchway.gateway.trail.byte_count_reports import ByteCountReports
from hatchway.gateway.trail.lease import Lease
from hatchway.gateway.trail.pending_records import PendingRecords
from hatchway.gateway.trail.trail import Trail
from hatchway.gateway.tunnel.closures import GATEWAY_STOPPING, OUT_OF_TOUCH
from hatchway.gateway.tunnel.liveness import LivenessCheck
from hatchway.gateway.tunnel.registry import Registry
from hatchway.gateway.tunnel.revocation import Revocation, terminate
from hatchway.gateway.worker.background_tasks import BackgroundTasks
from hatchway.gateway.worker.id_generator import IdGenerator
from hatchway.keys.key_files import former_gateway_key
from hatchway.privileges import as_owner_of
from hatchway.settings import Address, Cipher, Settings
from hatchway.transport.connection.transparent_proxying import may_take_addresses
from hatchway.transport.core.core_tls import CoreTls
from hatchway.transport.core.loading import CORE, IS_BUILT, PROBLEM, CoreProblem
from hatchway.transport.listening.listener import Listener
from hatchway.transport.listening.sources import Sources
from hatchway.transport.own_addresses import OwnAddresses
from hatchway.transport.server_tls import AES_128_FIRST, AES_256_FIRST, ServerTls
from hatchway.transport.websocket.server import WebSocketServer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from hatchway.audit.group_commit import GroupCommit
    from hatchway.gateway.snapshot.dependencies import Touched
    from hatchway.gateway.telemetry.metrics import Metrics
    from hatchway.gateway.worker.drain_requests import DrainRequests
    from hatchway.keys.vault import Vault
    from hatchway.store import Changes, MachineMembership, SchemaWatch, Store
    from hatchway.supervision.supervised import Supervised
    from hatchway.tracing.spans import Traces

log = structlog.get_logger("hatchway.gateway")

_CIPHERS: Final = {Cipher.AES_128: AES_128_FIRST, Cipher.AES_256: AES_256_FIRST}

_CUT_SECONDS: Final = 2.0
"""Seconds that the tunnels still open at the end of the drain get to end in order; then they are dropped."""

_DROP_SECONDS: Final = 1.0
_RECORD_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.2

_REPLACED: Final = 0
"""Instead of a signal: this process has been replaced, and others accept from now on."""

_ORPHANED: Final = -1
"""Instead of a signal: the supervisor is gone, and nobody has replaced this process."""


class Worker:
    """Everything that one worker has."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        commits: GroupCommit,
        metrics: Metrics,
        schema: SchemaWatch,
        *,
        membership: MachineMembership,
        gateway_key: Vault,
        most_pending: int,
        traces: Traces | None,
        supervised: Supervised | None,
        replaced: Callable[[], None],
        drain: DrainRequests,
        drain_ports: Collection[int],
    ) -> None:
        """
        Args:
            most_pending: how many connections there may be that have not sent their request.
            replaced: called when others accept from now on.
            drain: what is asked for by URL.
            drain_ports: where this machine's gateways are asked for it.
        """
        self._settings = settings
        self._supervised = supervised
        self._replaced = replaced
        self._asked_to_drain = drain
        self._most_pending = most_pending
        self._store = store
        self._commits = commits
        self._metrics = metrics
        self._schema = schema
        self._membership = membership
        self._worker_id = f"gw-{token_hex(9)[:17]}"
        self._tracing = None if traces is None else TunnelTracing(traces, self._worker_id)
        self._gateway_key = gateway_key
        self._snapshot = Snapshot(gateway_key)
        self._store_restored: Callable[[], None] = lambda: None
        self._registry = Registry()
        self._may_take_addresses = may_take_addresses()
        self._served = Served(settings.vpcs, settings.endpoints)
        self._follower = Follower(
            store, self._snapshot, self._changed, self._served.reaches, schema.require_own_account
        )
        self._own_addresses = OwnAddresses()
        ranges = [text for text in settings.never_targets if is_range(text)]
        hosts = [text for text in settings.never_targets if not is_range(text)]
        self._resolver = Resolver((*store.server_hosts, *hosts))
        self._admission = Admission(
            self._snapshot,
            self._registry,
            settings.max_tunnels,
            served=self._served,
            off_limits=OffLimits(
                self._own_addresses,
                self._snapshot,
                named=self._resolver,
                ranges=ranges,
                drain_ports=frozenset(drain_ports),
            ),
            may_take_addresses=self._may_take_addresses,
            reader=CORE if uses_core(settings) else None,
        )
        self._revocation = Revocation(self._admission, self._registry, _now)
        with as_owner_of(settings.gateway_tls_key.absolute().parent):
            self._tls = (CoreTls if uses_core(settings) else ServerTls)(
                settings.gateway_certificate, settings.gateway_tls_key, _CIPHERS[settings.tls_prefer]
            )

    async def run(self, sock: socket.socket, on_ready: Callable[[Address], None]) -> None:
        """Serve on a bound socket until told to stop.

        Raises:
            KeyProblem: the gateway key is not the one under which the store's signing keys are sealed.
            PartEnded: after the tunnels were closed, and what there was to record.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_loop_problem)
        stopping = _signals(loop)
        loop.add_signal_handler(signal.SIGHUP, self._tls.read_again)
        if self._supervised is not None:
            self._supervised.watch(
                loop,
                replaced=lambda: stopping.put_nowait(_REPLACED),
                orphaned=lambda: stopping.put_nowait(_ORPHANED),
            )
        address = Address(self._settings.gateway.host, sock.getsockname()[1])
        with _spare_the_snapshot():
            self._follower.catch_up()
            self._require_own_key()
            self._resolver.start()
            self._warn()
        registry = self._registry
        lease = Lease(
            self._store,
            self._commits,
            _now,
            _monotonic,
            end=self._end,
            recorded=registry.recorded,
            required=self._schema.require_own,
            worker_id=self._worker_id,
            host=socket.gethostname(),
            port=address.port,
        )
        await lease.renew()
        self._store_restored = lease.store_restored

        pending_records = PendingRecords(self._commits)
        sources = Sources(time.monotonic)
        ids = IdGenerator()
        trail = Trail(self._commits, self._worker_id, ids.event, pending_records)

        def may_open() -> bool:
            fits = self._schema.fits and self._membership.holds
            return lease.runs and fits and not pending_records.full

        handler = TunnelHandler(
            admission=self._admission,
            trail=trail,
            registry=registry,
            metrics=self._metrics,
            sources=sources,
            may_open=may_open,
            clock=_now,
            new_request_id=ids.event,
            new_tunnel_id=ids.tunnel,
            tracing=self._tracing,
            credentials_expired=self._expired,
            caught_up=self._follower.caught_up,
            asked_to_drain=lambda: self._asked_to_drain.refuses,
        )
        clients = WebSocketServer(handler.serve, lambda: self._tls.session_context)
        listener = Listener(
            clients.begin,
            sources,
            proxies=self._settings.proxy_protocol_from,
            max_pending=self._most_pending,
        )
        await listener.start(sock)
        self._metrics.watch(
            registry,
            pending=lambda: listener.pending,
            shed=lambda: listener.shed,
            revision=lambda: self._snapshot.revision,
            age=lambda: time.monotonic() - self._follower.looked_at,
            pending_records=lambda: len(pending_records),
            ready=lambda: (
                may_open()
                and not (handler.draining or self._asked_to_drain.is_asked or lease.clock_is_useless)
            ),
            restores=lambda: self._follower.restores,
        )
        watch = LivenessCheck(registry, loop.time, idle_limit=self._settings.idle_limit)
        work = [
            self._follower.follow(),
            lease.run(),
            lease.watch(),
            pending_records.run(),
            trail.keep_counts(),
            ByteCountReports(self._commits, registry).run(),
            self._metrics.measure_lag(),
            self._revocation.run(),
            self._tls.follow(),
            watch.run(),
            self._schema.run(),
            # What it would need to go on is not given to it any more.
            self._membership.run(removed=lambda: registry.cut_all(GATEWAY_STOPPING)),
        ]
        parts = BackgroundTasks(work, stopping)
        core = "compiled" if uses_core(self._settings) else "Python"
        log.info("gateway starts", address=str(address), worker_id=self._worker_id, core=core)
        on_ready(address)

        drained_at = await self._drain(stopping, handler, listener, clients)
        listener.stop()
        trail.enter_counts()
        # What enters the records may be the part that has ended: then there is nothing to wait for.
        left = _RECORD_SECONDS if parts.has_ended else max(_RECORD_SECONDS, drained_at - loop.time())
        await _first(pending_records.wait_until_empty(), stopping.get(), seconds=left)
        if len(pending_records):
            log.error("audit records left to the control plane", records=len(pending_records))
        parts.cancel()
        with suppress(Exception):
            async with asyncio.timeout(_RECORD_SECONDS):
                await lease.give_up()
        self._resolver.stop()
        self._own_addresses.close()
        log.info("gateway ended", worker_id=self._worker_id)
        parts.check()

    async def _drain(
        self,
        stopping: asyncio.Queue[int],
        handler: TunnelHandler,
        listener: Listener,
        clients: WebSocketServer,
    ) -> float:
        """Wait until told to stop, then for the end of the tunnels. Returns when their time was up, by the
        loop."""
        loop, registry = asyncio.get_running_loop(), self._registry
        reason = await stopping.get()
        if reason in (_REPLACED, _ORPHANED):
            listener.retire()
            await asyncio.to_thread(self._replaced)
        if reason == _REPLACED:
            log.info("gateway succeeded by another", tunnels=len(registry))
            told = asyncio.ensure_future(stopping.get())
            while (listener.pending or len(clients)) and not told.done():
                await asyncio.wait([told], timeout=_LOOK_SECONDS)
            told.cancel()
        handler.draining = True
        log.info("gateway drains", tunnels=len(registry), seconds=self._settings.drain_seconds)
        drained_at = loop.time() + self._settings.drain_seconds
        await _first(registry.wait_until_empty(), stopping.get(), seconds=self._settings.drain_seconds)
        registry.cut_all(GATEWAY_STOPPING)
        await _first(registry.wait_until_empty(), seconds=_CUT_SECONDS)
        registry.drop_all()
        await _first(registry.wait_until_empty(), seconds=_DROP_SECONDS)
        return drained_at

    def _require_own_key(self) -> None:
        """
        Raises:
            KeyProblem: the gateway key opens no signing key that there is: every tunnel would be refused.
        """
        under = self._snapshot.sealed_under
        if under and under.isdisjoint(self._gateway_key.key_ids):
            raise former_gateway_key(self._settings.data_directory.gateway_key, os.environ)

    def _warn(self) -> None:
        """Log settings that do not have the effect that one may expect."""
        if not self._may_take_addresses:
            for endpoint in self._snapshot.endpoints:
                if endpoint.preserve_client_ip:
                    log.warning("endpoint is of no use here", endpoint_id=endpoint.id, problem=NOT_PERMITTED)
        missing = self._served.missing(self._snapshot.vpcs, self._snapshot.endpoints)
        if missing:
            log.warning("bound to VPCs or endpoints that are not there", missing=missing)
        if self._settings.compiled_core is None and CORE is None and IS_BUILT:
            log.warning("the compiled core cannot be used: Python carries", problem=PROBLEM)
        if not self._own_addresses.is_exact:
            log.warning(
                "the kernel tells no routes: this machine's addresses are known by its interfaces alone",
                remedy="allow AF_NETLINK: RestrictAddressFamilies= of the systemd unit",
            )

    def _end(self, tunnel_ids: Collection[str] | None) -> int:
        """End tunnels that may not be, or are not, entered in the store; all when None is given."""
        ended = 0
        for admitted, relay in self._registry:
            if (tunnel_ids is None or admitted.tunnel_id in tunnel_ids) and relay.closure is None:
                self._registry.cut(admitted.tunnel_id, OUT_OF_TOUCH, {})
                ended += 1
        return ended

    def _changed(self, changes: Changes, dependencies: Touched) -> None:
        """The snapshot has become what these changes make it; they touch these dependencies."""
        self._log_foreign_keys(changes)
        if changes.restored:
            self._store_restored()
        terminate(self._registry, changes)
        if self._settings.revocation:
            self._revocation.changed(dependencies)

    def _expired(self, tunnel_id: str) -> None:
        """The credentials of a tunnel have expired."""
        if self._settings.revocation:
            self._revocation.decide_again_on(tunnel_id)

    def _log_foreign_keys(self, changes: Changes) -> None:
        """Without the control plane's gateway key no tunnel is opened: its operator must know."""
        rows = changes.changed.get("sealed_signing_keys", ())
        under = {row.sealed_under for row in rows}
        if not under <= set(self._gateway_key.key_ids):
            self._gateway_key.follow()
        if foreign := under - set(self._gateway_key.key_ids):
            log.error(
                "signing keys cannot be opened",
                gateway_key_id=self._gateway_key.key_id,
                sealed_under=sorted(foreign),
                problem="this gateway has another gateway key than the control plane: put that in the place"
                " of gateway.key (or HATCHWAY_GATEWAY_KEY), or have this machine join again (hatchway join)",
            )


@contextmanager
def _spare_the_snapshot() -> Iterator[None]:
    """Keep the garbage collector from walking, again and again, what lives as long as the process.

    While a large account is read, that takes almost half of the time. A tunnel's own objects go by their
    reference counts: cycles are few and may wait.
    """
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
    finally:
        gc.enable()


def _signals(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[int]:
    """The signals to stop, as they come."""
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received.put_nowait, number)
    return received


async def _first(*awaitables: Any, seconds: float) -> None:
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _log_loop_problem(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("event loop problem", problem=context.get("message"), exc_info=context.get("exception"))


def _now() -> datetime:
    return datetime.now(UTC)


def _monotonic() -> float:
    # A machine that was suspended knows that time has passed.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def uses_core(settings: Settings) -> bool:
    """Whether bytes are carried by the compiled core.

    Raises:
        CoreProblem: they are to be, and it cannot be used.
    """
    if settings.compiled_core and CORE is None:
        raise CoreProblem(f"the compiled core (--compiled-core on) cannot be used: {PROBLEM}")
    return settings.compiled_core is not False and CORE is not None
