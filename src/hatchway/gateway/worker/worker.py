"""One gateway worker: its parts, assembled; and when it listens, drains and ends."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import structlog

from hatchway.domain.addresses import is_range
from hatchway.gateway.admission.admission import Admission
from hatchway.gateway.admission.off_limits import OffLimits
from hatchway.gateway.admission.resolver import Resolver
from hatchway.gateway.admission.served import Served
from hatchway.gateway.lifecycle import TunnelHandler, WorkerHooks
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
from hatchway.gateway.worker.drain import drain, wait_for_first, watch_stop_requests
from hatchway.gateway.worker.id_generator import IdGenerator
from hatchway.gateway.worker.startup_checks import (
    log_foreign_keys,
    require_own_key,
    uses_core,
    warn_of_settings,
)
from hatchway.privileges import as_owner_of
from hatchway.settings import Address, Cipher
from hatchway.transport.connection.transparent_proxying import may_take_addresses
from hatchway.transport.core.core_tls import CoreTls
from hatchway.transport.core.loading import CORE
from hatchway.transport.listening.listener import Listener
from hatchway.transport.listening.sources import Sources
from hatchway.transport.own_addresses import OwnAddresses
from hatchway.transport.server_tls import AES_128_FIRST, AES_256_FIRST, ServerTls
from hatchway.transport.websocket.server import WebSocketServer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterator

    from hatchway.gateway.snapshot.dependencies import Touched
    from hatchway.gateway.worker.drain import StopRequests
    from hatchway.gateway.worker.resources import Resources
    from hatchway.settings import Settings
    from hatchway.store import Changes

log = structlog.get_logger("hatchway.gateway")

_CIPHERS: Final = {Cipher.AES_128: AES_128_FIRST, Cipher.AES_256: AES_256_FIRST}

_RECORD_SECONDS: Final = 1.0
"""Seconds, at least, that a worker that ends waits for its last audit records to be committed."""


@dataclass(frozen=True, slots=True)
class _Serving:
    """The parts that a worker has once it accepts connections."""

    lease: Lease
    pending_records: PendingRecords
    trail: Trail
    may_open: Callable[[], bool]
    handler: TunnelHandler
    clients: WebSocketServer
    listener: Listener


class Worker:
    """One worker. It is made in the process that has acquired its resources, and `run` once."""

    def __init__(self, settings: Settings, resources: Resources) -> None:
        self._settings = settings
        self._resources = resources
        self._worker_id = f"gw-{token_hex(9)[:17]}"
        traces = resources.traces
        self._tracing = None if traces is None else TunnelTracing(traces, self._worker_id)
        self._snapshot = Snapshot(resources.gateway_key)
        self._store_restored: Callable[[], None] = lambda: None
        self._registry = Registry()
        self._may_take_addresses = may_take_addresses()
        self._served = Served(settings.vpcs, settings.endpoints)
        self._follower = Follower(
            resources.store,
            self._snapshot,
            self._changed,
            self._served.reaches,
            resources.schema.require_own_account,
        )
        self._own_addresses = OwnAddresses()
        ranges = [text for text in settings.never_targets if is_range(text)]
        hosts = [text for text in settings.never_targets if not is_range(text)]
        self._resolver = Resolver((*resources.store.server_hosts, *hosts))
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
                drain_ports=frozenset(resources.drain_ports),
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
            BackgroundTaskEnded: after the tunnels were closed and recorded.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_loop_problem)
        stop_requests = watch_stop_requests(loop, self._resources.supervised)
        loop.add_signal_handler(signal.SIGHUP, self._tls.read_again)
        address = Address(self._settings.gateway.host, sock.getsockname()[1])
        self._load()
        lease = self._make_lease(address)
        await lease.renew()
        self._store_restored = lease.store_restored
        serving = await self._serve(sock, lease)
        self._export_metrics(serving)
        tasks = BackgroundTasks(self._background_work(serving), stop_requests)
        core = "compiled" if uses_core(self._settings) else "Python"
        log.info("gateway starts", address=str(address), worker_id=self._worker_id, core=core)
        on_ready(address)
        drained_at = await drain(
            stop_requests,
            handler=serving.handler,
            listener=serving.listener,
            clients=serving.clients,
            registry=self._registry,
            replaced=self._resources.replaced,
            seconds=self._settings.drain_seconds,
        )
        await self._finish(serving, tasks, stop_requests, drained_at)
        tasks.check()

    def _load(self) -> None:
        """Read the account into memory, and check what can be checked by it.

        Raises:
            KeyProblem: see `run`.
        """
        settings, snapshot = self._settings, self._snapshot
        with _spare_the_snapshot():
            self._follower.catch_up()
            require_own_key(snapshot, self._resources.gateway_key, settings)
            self._resolver.start()
            warn_of_settings(
                settings,
                snapshot,
                self._served,
                self._own_addresses,
                may_take_addresses=self._may_take_addresses,
            )

    def _make_lease(self, address: Address) -> Lease:
        return Lease(
            self._resources.store,
            self._resources.commits,
            _now,
            _boot_time,
            end=self._end,
            recorded=self._registry.recorded,
            required=self._resources.schema.require_own,
            worker_id=self._worker_id,
            host=socket.gethostname(),
            port=address.port,
        )

    async def _serve(self, sock: socket.socket, lease: Lease) -> _Serving:
        """Make what handles tunnels, and accept connections."""
        resources = self._resources
        schema, membership = resources.schema, resources.membership
        drain_requests = resources.drain_requests
        pending_records = PendingRecords(resources.commits)
        sources = Sources(time.monotonic)
        ids = IdGenerator()
        trail = Trail(resources.commits, self._worker_id, ids.event, pending_records)

        def may_open() -> bool:
            fits = schema.fits and membership.holds
            return lease.runs and fits and not pending_records.full

        handler = TunnelHandler(
            admission=self._admission,
            trail=trail,
            registry=self._registry,
            metrics=resources.metrics,
            sources=sources,
            hooks=WorkerHooks(
                may_open=may_open,
                asked_to_drain=lambda: drain_requests.refuses,
                caught_up=self._follower.caught_up,
                credentials_expired=self._expired,
                clock=_now,
                new_request_id=ids.event,
                new_tunnel_id=ids.tunnel,
            ),
            tracing=self._tracing,
        )
        clients = WebSocketServer(handler.serve, lambda: self._tls.session_context)
        listener = Listener(
            clients.begin,
            sources,
            proxies=self._settings.proxy_protocol_from,
            max_pending=resources.max_pending,
        )
        await listener.start(sock)
        return _Serving(lease, pending_records, trail, may_open, handler, clients, listener)

    def _export_metrics(self, serving: _Serving) -> None:
        listener, handler, lease = serving.listener, serving.handler, serving.lease
        drain_requests = self._resources.drain_requests
        self._resources.metrics.watch(
            self._registry,
            pending=lambda: listener.pending,
            shed=lambda: listener.shed,
            revision=lambda: self._snapshot.revision,
            age=lambda: time.monotonic() - self._follower.looked_at,
            pending_records=lambda: len(serving.pending_records),
            ready=lambda: (
                serving.may_open()
                and not (handler.draining or drain_requests.is_asked or lease.clock_is_useless)
            ),
            restores=lambda: self._follower.restores,
            certificate_expires_at=lambda: self._tls.expires_at,
        )

    def _background_work(self, serving: _Serving) -> list[Coroutine[Any, Any, None]]:
        """Everything that this worker does all the time beside its tunnels."""
        resources, registry = self._resources, self._registry
        loop = asyncio.get_running_loop()
        liveness = LivenessCheck(registry, loop.time, idle_limit=self._settings.idle_limit)
        return [
            self._follower.follow(),
            serving.lease.run(),
            serving.lease.watch(),
            serving.pending_records.run(),
            serving.trail.keep_counts(),
            ByteCountReports(resources.commits, registry).run(),
            resources.metrics.measure_lag(),
            self._revocation.run(),
            self._tls.follow(),
            liveness.run(),
            resources.schema.run(),
            # A machine that was removed no longer gets what it would need to go on.
            resources.membership.run(removed=lambda: registry.cut_all(GATEWAY_STOPPING)),
        ]

    async def _finish(
        self, serving: _Serving, tasks: BackgroundTasks, stop_requests: StopRequests, drained_at: float
    ) -> None:
        """Close everything, after the last records have been committed if that takes no longer than the
        drain."""
        loop = asyncio.get_running_loop()
        pending_records = serving.pending_records
        serving.listener.stop()
        serving.trail.enter_counts()
        # The task that commits the records may be the one that has ended: then waiting is of no use.
        left = _RECORD_SECONDS if tasks.has_ended else max(_RECORD_SECONDS, drained_at - loop.time())
        await wait_for_first(pending_records.wait_until_empty(), stop_requests.get(), seconds=left)
        if len(pending_records):
            log.error("audit records left to the control plane", records=len(pending_records))
        tasks.cancel()
        with suppress(Exception):
            async with asyncio.timeout(_RECORD_SECONDS):
                await serving.lease.give_up()
        self._resolver.stop()
        self._own_addresses.close()
        log.info("gateway ended", worker_id=self._worker_id)

    def _end(self, tunnel_ids: Collection[str] | None) -> int:
        """End tunnels that the store does not have, or that cannot be recorded; all of them if None is given.

        Returns how many it ended.
        """
        ended = 0
        for admitted, relay in self._registry:
            if (tunnel_ids is None or admitted.tunnel_id in tunnel_ids) and relay.closure is None:
                self._registry.cut(admitted.tunnel_id, OUT_OF_TOUCH, {})
                ended += 1
        return ended

    def _changed(self, changes: Changes, dependencies: Touched) -> None:
        """These changes have been applied to the snapshot; they affect decisions with these dependencies."""
        log_foreign_keys(self._resources.gateway_key, changes)
        if changes.restored:
            self._store_restored()
        terminate(self._registry, changes)
        if self._settings.revocation:
            self._revocation.changed(dependencies)

    def _expired(self, tunnel_id: str) -> None:
        """The credentials of a tunnel have expired."""
        if self._settings.revocation:
            self._revocation.decide_again_on(tunnel_id)


@contextmanager
def _spare_the_snapshot() -> Iterator[None]:
    """Keep the garbage collector from traversing what lives as long as the process.

    While a large account is read, collections would take almost half of the time. A tunnel's own objects are
    freed by their reference counts: cycles are rare and may wait.
    """
    gc.disable()
    try:
        yield
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
    finally:
        gc.enable()


def _log_loop_problem(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.error("event loop problem", problem=context.get("message"), exc_info=context.get("exception"))


def _now() -> datetime:
    return datetime.now(UTC)


def _boot_time() -> float:
    """Monotonic seconds that go on while the machine is suspended (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
