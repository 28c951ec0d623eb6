"""What a worker's process acquires before it serves: its store, keys, metrics and supervisor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hatchway.audit.group_commit import GroupCommit
    from hatchway.gateway.telemetry.metrics import Metrics
    from hatchway.gateway.worker.drain_requests import DrainRequests
    from hatchway.keys.vault import Vault
    from hatchway.store import MachineMembership, SchemaWatch, Store
    from hatchway.supervision.supervised import Supervised
    from hatchway.tracing.spans import Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What `run_gateway` hands to a worker.

    Attributes:
        store: usable only while its schema and this machine's membership have been checked successfully.
        commits: commits to the store, several writers at a time.
        schema: watches whether the store's schema still suits this program.
        membership: watches whether this machine still belongs to the installation.
        gateway_key: opens signing keys.
        max_pending: how many connections may exist that have not sent their request yet.
        metrics: this worker's metrics, which are being exported already.
        traces: where traces go; None without tracing.
        supervised: the supervisor of this process; None for a process that runs alone.
        replaced: to be called when another process accepts connections from now on.
        drain_requests: the requests to drain that came by HTTP.
        drain_ports: the ports of this machine at which gateways take such requests.
    """

    store: Store
    commits: GroupCommit
    schema: SchemaWatch
    membership: MachineMembership
    gateway_key: Vault
    max_pending: int
    metrics: Metrics
    traces: Traces | None
    supervised: Supervised | None
    replaced: Callable[[], None]
    drain_requests: DrainRequests
    drain_ports: Collection[int]
