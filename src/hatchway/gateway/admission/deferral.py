"""Requests that wait for other requests of the same principal, because its policies take long to decide
on."""

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
"""Seconds for which a request may wait."""

MAX_OF_ONE_PRINCIPAL: Final = 8
"""Requests of one principal that may wait at a time, so that others at the same address get their share."""


class DeferredRequests:
    """The waiting requests of one worker."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    async def decide_when_due(
        self,
        client: WebSocketConnection,
        decide: Callable[[], Admitted | Refused | Deferred],
        deferred: Deferred,
    ) -> Admitted | Refused:
        """Call `decide` again after the wait that it asked for, until it decides. Returns the refusal if the
        wait would be too long.

        Raises:
            ConnectionResetError: the client has gone in the meantime.
            Exception: what `decide` raises.
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
