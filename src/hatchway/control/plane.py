"""What the control plane works with, made once by whoever starts it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from hatchway.access.callers import Callers
from hatchway.access.granted_keys import derive_granted
from hatchway.audit.group_commit import GroupCommit
from hatchway.audit.refusals import Refusals
from hatchway.control.call_rates import MACHINE_RATES, CallRates
from hatchway.control.metrics import ControlMetrics
from hatchway.domain.arns import Arns
from hatchway.keys.vault import Vault
from hatchway.store import Store, Transaction

if TYPE_CHECKING:
    from hatchway.control.own_keys import OwnKeys
    from hatchway.tracing.spans import Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """The store and everything else that an operation may draw on.

    `vault` seals secrets, `gateway_vault` what gateways verify with.

    `log` commits the audit records of what changes nothing; its owner closes it. `clock` gives aware moments,
    `random_bytes` bytes fit for secrets. `callers` remembers who has called, and `rates` how fast;
    `machine_rates` how fast each machine has told what is new with it. `refusals` counts those that have no
    record of their own; housekeeping writes the counts. `own_keys` are what machines that join are given.
    `metrics` is what Prometheus is told. `traces` are there when somebody wants to be told of calls.
    """

    store: Store
    vault: Vault
    gateway_vault: Vault
    log: GroupCommit
    arns: Arns
    clock: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]
    callers: Callers = field(default_factory=Callers)
    rates: CallRates = field(default_factory=CallRates)
    machine_rates: CallRates = field(default_factory=lambda: CallRates(MACHINE_RATES))
    refusals: Refusals = field(default_factory=Refusals)
    own_keys: "OwnKeys | None" = None
    metrics: ControlMetrics = field(default_factory=ControlMetrics)
    traces: "Traces | None" = None

    def derive_granted(self, tx: Transaction, now: datetime) -> None:
        """Derives what gateways verify those with whom a transaction newly allows tunnels."""
        derive_granted(tx, self.vault, self.gateway_vault, now=now, region=self.arns.region)
