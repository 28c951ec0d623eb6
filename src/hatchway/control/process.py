"""The control plane as a process."""

import gc
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from hatchway.audit.group_commit import GroupCommit
from hatchway.control.application import create_application
from hatchway.control.call_rates import DEFAULT_RATES, CallRates, Kind
from hatchway.control.housekeeping.tasks import record_refusals
from hatchway.control.housekeeping.upkeep import Upkeep, Watches
from hatchway.control.http.server import HttpsServer
from hatchway.control.metrics import ControlMetrics
from hatchway.control.own_keys import Authority, OwnKeys
from hatchway.control.plane import ControlPlane
from hatchway.control.threads import ThreadCounts
from hatchway.domain.arns import Arns
from hatchway.keys.key_files import GATEWAY_KEY, MASTER_KEY, FollowedKeyFile
from hatchway.keys.vault import Vault
from hatchway.metrics_listener import metrics_listener
from hatchway.privileges import become
from hatchway.settings import Address, Settings
from hatchway.store import SERVERS_READ_TIMEOUT, MachineMembership, SchemaWatch, Store
from hatchway.supervision.supervised import Supervised
from hatchway.tracing import tracing
from hatchway.transport.listening.listener import MAX_PENDING, bind_shared
from hatchway.transport.open_files import allow_open_files, max_pending_for

if TYPE_CHECKING:
    from hatchway.tracing.spans import Traces

OTHER_CONNECTIONS: Final = 7
"""To the store, of what is not a request: the audit trail's, the housekeepers', and some to spare."""

log = structlog.get_logger("hatchway.control")


def open_plane(
    store: Store,
    vault: Vault,
    gateway_vault: Vault,
    audit: GroupCommit,
    *,
    own_keys: OwnKeys | None = None,
    traces: "Traces | None" = None,
    rates: Mapping[Kind, float] = DEFAULT_RATES,
    metrics: ControlMetrics | None = None,
) -> ControlPlane:
    """The control plane of the account that a store holds, with the system's clock and randomness."""
    with store.read() as tx:
        account = tx.account()
    return ControlPlane(
        store=store,
        vault=vault,
        gateway_vault=gateway_vault,
        log=audit,
        arns=Arns(account.id, account.region),
        clock=lambda: datetime.now(UTC),
        random_bytes=os.urandom,
        rates=CallRates(rates),
        own_keys=own_keys,
        traces=traces,
        metrics=metrics or ControlMetrics(),
    )


def run_control(
    settings: Settings, on_ready: Callable[[Address], None], supervised: Supervised | None = None
) -> None:
    """Serves the control plane until SIGTERM or SIGINT, then lets what is under way come to its end.

    When it is replaced (see `hatchway.supervision`), it accepts no more, and ends with its last connection.

    Args:
        on_ready: called once, with the address at which it listens.
        supervised: what it has of its supervisor.

    Raises:
        OSError: it cannot listen there.
        KeyProblem, SchemaMismatch, MachineRemoved: the installation is not one that it can serve.
    """
    with ExitStack() as stack:
        inherited = None if supervised is None else supervised.listener
        listener = stack.enter_context(inherited or bind_shared(settings.api.host, settings.api.port))
        metrics = ControlMetrics()
        replaces = supervised is not None and supervised.replaces
        told = stack.enter_context(metrics_listener(metrics, settings.api_metrics, patient=replaces))
        # Read before this process is another user's: their files may be root's alone.
        files = settings.data_directory
        master_key = FollowedKeyFile(MASTER_KEY, files.master_key, os.environ)
        vault = Vault(*master_key.held.all, changed=master_key.changed)
        gateway_key = FollowedKeyFile(GATEWAY_KEY, files.gateway_key, os.environ)
        gateway_vault = Vault(*gateway_key.held.all, changed=gateway_key.changed)
        own_keys = OwnKeys(
            FollowedKeyFile(MASTER_KEY, files.master_key, os.environ),
            FollowedKeyFile(GATEWAY_KEY, files.gateway_key, os.environ),
            Authority(files.ca_certificate, files.ca_key),
        )
        if settings.run_as is not None:
            become(settings.run_as)
        traces = stack.enter_context(tracing("control", os.environ))
        threads = ThreadCounts.of_one_among(settings.api_workers)
        connections = threads.all + OTHER_CONNECTIONS
        store = Store.open(settings.store_url, connections=connections, read_timeout=SERVERS_READ_TIMEOUT)
        stack.callback(store.close)
        metrics.watch_store(store, connections)
        watches = _watches(store, settings)
        store = store.only_when(watches.schema.require).only_while(watches.require)
        # What the last calls recorded goes out too: this is left after their records are committed.
        ending = stack.enter_context(ExitStack())
        audit = GroupCommit(store)
        stack.callback(audit.close)
        rates = {
            Kind.READ: DEFAULT_RATES[Kind.READ] if settings.api_reads is None else settings.api_reads,
            Kind.WRITE: DEFAULT_RATES[Kind.WRITE] if settings.api_writes is None else settings.api_writes,
        }
        plane = open_plane(
            store, vault, gateway_vault, audit, own_keys=own_keys, traces=traces, rates=rates, metrics=metrics
        )
        upkeep = Upkeep(plane, settings, watches)
        ending.callback(upkeep.end)
        stack.callback(record_refusals, plane)

        address = Address(settings.api.host, listener.getsockname()[1])

        def replaced() -> None:
            if told is not None:
                told.close()
            upkeep.end()

        upkeep.start()
        stack.callback(upkeep.stop)
        open_files = allow_open_files()

        def ready() -> None:
            _spare_the_collector()
            metrics.is_ready = True
            on_ready(address)

        server = HttpsServer(
            create_application(plane, files.ca_certificate, threads),
            certificate=settings.api_certificate,
            key=settings.api_key,
            drain_seconds=settings.drain_seconds,
            on_ready=ready,
            most=min(MAX_PENDING, max_pending_for(open_files)),
            proxies=settings.api_proxy_protocol_from,
            supervised=supervised,
            # The next process does it: with other keys and by other rules, perhaps.
            on_replaced=replaced,
        )
        metrics.watch_connections(lambda: len(server.server_state.connections))
        metrics.watch_certificates(api=settings.api_certificate, ca=files.ca_certificate)
        log.info("control plane starts", address=str(address), account=plane.arns.account)
        server.run(sockets=[listener])
    log.info("control plane ended")


def _watches(store: Store, settings: Settings) -> Watches:
    """
    Raises:
        SchemaMismatch, BeingRestored, MachineRemoved: this program, or this machine, cannot serve it.
    """
    watches = Watches(SchemaWatch(store), MachineMembership(store, settings.machine_id))
    watches.schema.check_at_startup()
    watches.membership.look()
    watches.membership.require()
    return watches


def _spare_the_collector() -> None:
    """What is there now, service models above all, stays: it need not be looked through again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
