"""The tunnels that this worker carries."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchway.gateway.admission import Admitted
    from hatchway.gateway.refusal import Closure
    from hatchway.gateway.relay import Relay


class Registry:
    """Live tunnels by id, from the upgrade until both connections are gone."""

    def __init__(self) -> None:
        self._tunnels: dict[str, tuple[Admitted, Relay]] = {}
        self._on_endpoint: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._tunnels)

    def __iter__(self) -> Iterator[tuple[Admitted, Relay]]:
        return iter(tuple(self._tunnels.values()))

    def on_endpoint(self, endpoint_id: str) -> int:
        return self._on_endpoint[endpoint_id]

    def add(self, admitted: Admitted, relay: Relay) -> None:
        self._tunnels[admitted.tunnel_id] = (admitted, relay)
        self._on_endpoint[admitted.request.endpoint_id] += 1
        self._empty.clear()

    def remove(self, admitted: Admitted) -> None:
        del self._tunnels[admitted.tunnel_id]
        endpoint_id = admitted.request.endpoint_id
        self._on_endpoint[endpoint_id] -= 1
        if not self._on_endpoint[endpoint_id]:
            del self._on_endpoint[endpoint_id]
        if not self._tunnels:
            self._empty.set()

    def cut_all(self, closure: Closure) -> None:
        for _, relay in self:
            relay.cut(closure)

    def drop_all(self) -> None:
        for _, relay in self:
            relay.drop()

    async def wait_until_empty(self) -> None:
        await self._empty.wait()
