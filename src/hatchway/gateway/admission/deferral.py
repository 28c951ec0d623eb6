"""Requests that wait for those of the same principal, where its policies take long to decide on."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from hatchway.gateway.admission.decision import Deferred

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.gateway.admission.decision import Admitted, Refused
    from hatchway.transport.websocket.connection import WebSocketConnection

LONGEST_WAIT: Final = 10.0
"""Seconds for which a request waits."""

MAX_OF_ONE_PRINCIPAL: Final = 8
"""Requests of one principal that wait at a time, so that they leave the others of their address theirs."""


class DeferredRequests:
    """Those of one worker."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    async def decide_when_due(
        self,
        client: WebSocketConnection,
        decide: Callable[[], Admitted | Refused | Deferred],
        deferred: Deferred,
    ) -> Admitted | Refused:
        """What `decide` says as soon as it is not to come later, as it has said; a refusal where there is no
        waiting for it.

        Raises:
            ConnectionResetError: the client has gone meanwhile. And what `decide` raises.
        """
        answer: Admitted | Refused | Deferred = deferred
        left = LONGEST_WAIT
        while isinstance(answer, Deferred):
            left -= answer.seconds
            if left < 0 or self._waiting[answer.maker_id] >= MAX_OF_ONE_PRINCIPAL:
                return answer.refusal
            await self._wait(answer)
            if client.is_gone:
                raise ConnectionResetError("the client left")
            answer = decide()
        return answer

    async def _wait(self, deferred: Deferred) -> None:
        waiting = self._waiting
        waiting[deferred.maker_id] += 1
        try:
            await asyncio.sleep(deferred.seconds)
        finally:
            waiting[deferred.maker_id] -= 1
            if not waiting[deferred.maker_id]:
                del waiting[deferred.maker_id]
