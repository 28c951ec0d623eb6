"""Decides again on open tunnels when something changes that they depend on, and cuts those that are now
denied.

It applies the checks of admission to the request as it was made: its address, its User-Agent and its
requested duration, but at the current time. The tunnels of a principal whose policies take long come after
all others.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from hatchway.gateway.tunnel.closures import ACCESS_REVOKED, TERMINATED

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hatchway.gateway.admission.decision import Admitted, Reevaluation
    from hatchway.gateway.snapshot.dependencies import Touched
    from hatchway.gateway.tunnel.registry import Registry
    from hatchway.store import Changes

TURN: Final = 0.005
"""Seconds of deciding after which the event loop passes on the tunnels' bytes again."""

SLOW: Final = 0.001
"""Seconds of CPU after which the other tunnels of the same principal are decided on last."""

MOST_BEFORE: Final = 200
"""Decisions on other tunnels after which one of the postponed ones is made all the same: changes may go on
without end."""

log = structlog.get_logger("hatchway.gateway")


class Reevaluator(Protocol):
    def reevaluate(self, admitted: Admitted, now: datetime) -> Reevaluation: ...
    def explains(self, admitted: Admitted, now: datetime) -> bool: ...


class Revocation:
    """Decides again on the tunnels of one worker."""

    def __init__(self, reevaluator: Reevaluator, registry: Registry, clock: Callable[[], datetime]) -> None:
        self._reevaluator = reevaluator
        self._registry = registry
        self._clock = clock
        # The tunnels that have waited longest come first.
        self._due: OrderedDict[str, None] = OrderedDict()
        # Postponed tunnels of principals whose policies take long, identified as for quotas.
        self._last: dict[str, OrderedDict[str, None]] = {}
        self._wake = asyncio.Event()

    def changed(self, dependencies: Touched) -> None:
        """Schedule new decisions on the tunnels with these dependencies. The changes that affect them have
        been applied."""
        registry = self._registry
        ids = registry.ids() if dependencies is None else registry.depending_on(dependencies)
        self._due.update(dict.fromkeys(ids))
        if self._due:
            self._wake.set()

    def decide_again_on(self, tunnel_id: str) -> None:
        """Schedule a new decision on one tunnel."""
        self._due[tunnel_id] = None
        self._wake.set()

    async def run(self) -> None:
        """Decide whenever something is scheduled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            until = loop.time() + TURN
            before = 0
            while self._due or self._last:
                if self._due and not (self._last and before >= MOST_BEFORE):
                    tunnel_id, _ = self._due.popitem(last=False)
                    self._review_or_postpone(tunnel_id)
                    before += 1
                else:
                    before = 0
                    # Other work gets as much time as this takes: it may be seconds in all.
                    await asyncio.sleep(self._review_postponed())
                if loop.time() > until:
                    await asyncio.sleep(0)
                    until = loop.time() + TURN

    def _review_or_postpone(self, tunnel_id: str) -> None:
        admitted = self._registry.get(tunnel_id)
        if admitted is None:
            return
        maker_id = admitted.principal.maker_id
        if maker_id in self._last:
            self._last[maker_id][tunnel_id] = None
        elif self._review(tunnel_id, admitted) > SLOW:
            self._last[maker_id] = OrderedDict()

    def _review_postponed(self) -> float:
        """Decide on a tunnel of the principal whose turn it is. Returns the seconds of CPU that this took."""
        maker_id, of_it = next(iter(self._last.items()))
        del self._last[maker_id]
        if not of_it:
            return 0.0
        tunnel_id, _ = of_it.popitem(last=False)
        self._last[maker_id] = of_it
        admitted = self._registry.get(tunnel_id)
        return 0.0 if admitted is None else self._review(tunnel_id, admitted)

    def _review(self, tunnel_id: str, admitted: Admitted) -> float:
        """Decide on a tunnel. Returns the seconds of CPU that this took."""
        began = time.thread_time()
        self._decide(tunnel_id, admitted)
        return time.thread_time() - began

    def _decide(self, tunnel_id: str, admitted: Admitted) -> None:
        now = self._clock()
        try:
            reevaluation = self._reevaluator.reevaluate(admitted, now)
            may_know = reevaluation.revoked is not None and self._reevaluator.explains(admitted, now)
        except Exception:
            # What cannot be decided is not allowed.
            log.exception("tunnel cannot be decided on again", tunnel_id=tunnel_id)
            cause = {"revocation": {"reason": "the tunnel could not be decided on again"}}
            self._registry.cut(tunnel_id, ACCESS_REVOKED, cause)
            return
        if reevaluation.revoked is None:
            self._registry.reindex(tunnel_id, reevaluation.dependencies)
        else:
            why = str(reevaluation.revoked["reason"]) if may_know else ""
            self._registry.cut(tunnel_id, ACCESS_REVOKED, {"revocation": reevaluation.revoked}, why)


def terminate(registry: Registry, changes: Changes) -> None:
    """Cut the tunnels whose termination an administrator has requested."""
    for termination in changes.changed.get("terminations", ()):
        cause = {
            "termination": {
                "requestedBy": termination.requested_by,
                "requestID": termination.request_id,
            }
        }
        registry.cut(termination.tunnel_id, TERMINATED, cause)
