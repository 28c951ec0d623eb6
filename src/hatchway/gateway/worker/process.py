"""A gateway worker as a process: it acquires ports, user, keys and store, then serves."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import uvloop

from hatchway.audit.group_commit import GroupCommit
from hatchway.gateway.telemetry.metrics import Metrics
from hatchway.gateway.worker.drain_requests import DrainRequests
from hatchway.gateway.worker.resources import Resources
from hatchway.gateway.worker.startup_checks import uses_core
from hatchway.gateway.worker.worker import Worker
from hatchway.keys.key_files import GATEWAY_KEY, FollowedKeyFile, former_gateway_key
from hatchway.keys.machines import GATEWAY
from hatchway.keys.vault import Vault
from hatchway.metrics_listener import MetricsListener, metrics_listener
from hatchway.privileges import CAP_NET_RAW, become
from hatchway.store import SERVERS_READ_TIMEOUT, MachineMembership, SchemaWatch, Store, is_denied
from hatchway.tracing import tracing
from hatchway.transport.core.event_loop import new_event_loop
from hatchway.transport.listening.listener import MAX_PENDING, bind_shared
from hatchway.transport.open_files import allow_open_files, max_pending_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.settings import Address, DataDirectory, Settings
    from hatchway.supervision.supervised import Supervised


def run_gateway(
    settings: Settings, on_ready: Callable[[Address], None], supervised: Supervised | None = None
) -> None:
    """Serve tunnels until SIGTERM or SIGINT. After that, new tunnels are refused with 503, and open ones may
    go on for up to `drain_seconds`; a second signal ends them at once.

    If another process replaces this one (see `hatchway.supervision`), this one accepts no more connections
    and goes on until its last tunnel has ended.

    Args:
        on_ready: called once, with the address at which it listens.
        supervised: the supervisor of this process, if it has one.

    Raises:
        OSError: it cannot listen there, or a certificate cannot be read.
        KeyProblem: there is no gateway key, or the key is unsuitable.
        SchemaMismatch: the store's schema is not one that this program can use.
        MachineRemoved: this machine no longer belongs to the installation.
        CoreProblem: the settings demand the compiled core, and it cannot be used.
        BackgroundTaskEnded: a background task has ended. The supervisor starts another process.
    """
    loop_factory = new_event_loop if uses_core(settings) else uvloop.new_event_loop
    with ExitStack() as stack:
        inherited = None if supervised is None else supervised.listener
        listener = stack.enter_context(inherited or bind_shared(settings.gateway.host, settings.gateway.port))
        worker = Worker(settings, _acquire(settings, supervised, stack))
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(worker.run(listener, on_ready))


def _acquire(settings: Settings, supervised: Supervised | None, stack: ExitStack) -> Resources:
    """What the worker needs. What has to be closed is closed with the stack.

    Raises:
        Exception: see `run_gateway`.
    """
    metrics = Metrics()
    replaces = supervised is not None and supervised.replaces
    drain_requests = DrainRequests(settings.drain_notice)
    exporter = stack.enter_context(
        metrics_listener(metrics, settings.metrics, patient=replaces, drain=drain_requests.answer)
    )
    # The key is read before this process changes its user, and ports are bound before that too.
    key_file = FollowedKeyFile(GATEWAY_KEY, settings.data_directory.gateway_key, os.environ)
    gateway_key = Vault(*key_file.held.all, changed=key_file.changed)
    if settings.run_as is not None:
        become(settings.run_as, keep=CAP_NET_RAW)
    max_pending = min(MAX_PENDING, max_pending_for(allow_open_files()))
    traces = stack.enter_context(tracing("gateway", os.environ))
    store = Store.open(settings.store_url, read_timeout=SERVERS_READ_TIMEOUT)
    stack.callback(store.close)
    schema = SchemaWatch(store)
    schema.check_at_startup()
    _require_own_key(store, gateway_key, settings.data_directory)
    membership = MachineMembership(store, settings.machine_id)
    membership.check_at_startup()
    store = store.only_when(schema.require_own_in_session).only_while(schema.require_own_so_far)
    commits = GroupCommit(store)
    stack.callback(commits.close)
    return Resources(
        store=store,
        commits=commits,
        schema=schema,
        membership=membership,
        gateway_key=gateway_key,
        max_pending=max_pending,
        metrics=metrics,
        traces=traces,
        supervised=supervised,
        replaced=(lambda: None) if exporter is None else exporter.close,
        drain_requests=drain_requests,
        drain_ports=_drain_ports(settings, exporter),
    )


def _require_own_key(store: Store, gateway_key: Vault, directory: DataDirectory) -> None:
    """Check the gateway keys that the store lists. It lists them even if there is no signing key yet.

    Raises:
        KeyProblem: the store lists other keys, for example because it belongs to another installation.
    """
    try:
        with store.read() as tx:
            state = tx.key_states.get(GATEWAY)
    except Exception as problem:
        # The database role of gateways was made for the previous version.
        if not is_denied(problem):
            raise
        return
    if state is not None and set(state.key_ids).isdisjoint(gateway_key.key_ids):
        raise former_gateway_key(directory.gateway_key, os.environ)


def _drain_ports(settings: Settings, exporter: MetricsListener | None) -> set[int]:
    """The ports at which this gateway and others on this machine are asked to drain."""
    own = [each.port for each in (settings.metrics, exporter) if each is not None]
    return {port for port in (*own, *settings.drain_ports) if port}
