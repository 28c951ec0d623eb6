"""Requests that wait for those of the same principal, where its policies take long to decide on."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from hatchway.gateway.admission.decision import Later

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.gateway.admission.decision import Admitted, Refused
    from hatchway.transport.websocket.connection import WebSocketConnection

LONGEST_WAIT: Final = 10.0
"""Seconds for which a request waits."""

MOST_OF_ONE: Final = 8
"""Requests of one principal that wait at a time, so that they leave the others of their address theirs."""


class InTurn:
    """Those of one worker."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    async def decided(
        self, client: WebSocketConnection, decide: Callable[[], Admitted | Refused | Later], later: Later
    ) -> Admitted | Refused:
        """What `decide` says as soon as it is not to come later, as it has said; a refusal where there is no
        waiting for it.

        Raises:
            ConnectionResetError: the client has gone meanwhile. And what `decide` raises.
        """
        answer: Admitted | Refused | Later = later
        left = LONGEST_WAIT
        while isinstance(answer, Later):
            left -= answer.seconds
            if left < 0 or self._waiting[answer.maker_id] >= MOST_OF_ONE:
                return answer.otherwise
            await self._wait(answer)
            if client.is_gone:
                raise ConnectionResetError("the client left")
            answer = decide()
        return answer

    async def _wait(self, later: Later) -> None:
        waiting = self._waiting
        waiting[later.maker_id] += 1
        try:
            await asyncio.sleep(later.seconds)
        finally:
            waiting[later.maker_id] -= 1
            if not waiting[later.maker_id]:
                del waiting[later.maker_id]
