"""The tunnels that this worker carries."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from hatchway.gateway.snapshot.dependencies import DependencyIndex

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Set

    from hatchway.gateway.admission.decision import Admitted
    from hatchway.gateway.snapshot.dependencies import Dependency
    from hatchway.gateway.tunnel.relay import Relay
    from hatchway.transport.websocket.close import Closure


class Registry:
    """Live tunnels by id, from the upgrade until both connections are gone."""

    def __init__(self) -> None:
        self._tunnels: dict[str, tuple[Admitted, Relay]] = {}
        self._dependencies: dict[str, tuple[Dependency, ...]] = {}
        self._index = DependencyIndex()
        self._causes: dict[str, Mapping[str, Any]] = {}
        self._recorded: set[str] = set()
        # Tunnels that no longer count against a quota.
        self._ended: set[str] = set()
        self._on_endpoint: Counter[str] = Counter()
        self._of_principal: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._tunnels)

    def __iter__(self) -> Iterator[tuple[Admitted, Relay]]:
        return iter(tuple(self._tunnels.values()))

    def on_endpoint(self, endpoint_id: str) -> int:
        """How many tunnels through an endpoint have not ended."""
        return self._on_endpoint[endpoint_id]

    def of_principal(self, maker_id: str) -> int:
        """How many tunnels of a principal have not ended."""
        return self._of_principal[maker_id]

    def get(self, tunnel_id: str) -> Admitted | None:
        """The decision for a tunnel that is being carried; None once it is gone."""
        entry = self._tunnels.get(tunnel_id)
        return entry[0] if entry is not None else None

    def ids(self) -> Collection[str]:
        return tuple(self._tunnels)

    def recorded(self) -> Collection[str]:
        """The ids of the tunnels whose opening has been committed."""
        return tuple(self._recorded)

    def note_recorded(self, tunnel_id: str) -> None:
        """The opening of this tunnel, which is being carried, has been committed."""
        self._recorded.add(tunnel_id)

    def note_ended(self, admitted: Admitted) -> None:
        """A tunnel will pass on nothing more, and both ends have received everything: its quotas are free,
        even before its end has been committed."""
        self._ended.add(admitted.tunnel_id)
        self._free(admitted)

    def depending_on(self, dependencies: Set[Dependency]) -> Iterable[str]:
        """The ids of the tunnels whose decisions have any of these dependencies."""
        return self._index.depending_on(dependencies)

    def cause(self, tunnel_id: str) -> Mapping[str, Any]:
        """Why `cut` ended the tunnel; empty if something else did."""
        return self._causes.get(tunnel_id, {})

    def add(self, admitted: Admitted, relay: Relay) -> Admitted:
        """Add a tunnel. Returns the part of the decision that is to be kept while the tunnel lasts."""
        tunnel_id = admitted.tunnel_id
        # Nobody needs the decision itself while the tunnel lasts; the dependencies are shared.
        dependencies = self._dependencies[tunnel_id] = self._index.add(tunnel_id, admitted.dependencies)
        without_decision = admitted.without_decision(dependencies)
        self._tunnels[tunnel_id] = (without_decision, relay)
        self._on_endpoint[admitted.request.endpoint_id] += 1
        self._of_principal[admitted.principal.maker_id] += 1
        self._empty.clear()
        return without_decision

    def reindex(self, tunnel_id: str, dependencies: tuple[Dependency, ...]) -> None:
        """The decision for this tunnel, which is being carried, has these dependencies from now on."""
        if dependencies != self._dependencies[tunnel_id]:
            self._index.remove(tunnel_id, self._dependencies[tunnel_id])
            self._dependencies[tunnel_id] = self._index.add(tunnel_id, dependencies)

    def remove(self, admitted: Admitted) -> None:
        tunnel_id = admitted.tunnel_id
        del self._tunnels[tunnel_id]
        self._index.remove(tunnel_id, self._dependencies.pop(tunnel_id))
        self._causes.pop(tunnel_id, None)
        self._recorded.discard(tunnel_id)
        if tunnel_id in self._ended:
            self._ended.remove(tunnel_id)
        else:
            self._free(admitted)
        if not self._tunnels:
            self._empty.set()

    def _free(self, admitted: Admitted) -> None:
        _less_one(self._on_endpoint, admitted.request.endpoint_id)
        _less_one(self._of_principal, admitted.principal.maker_id)

    def cut(self, tunnel_id: str, closure: Closure, cause: Mapping[str, Any], why: str = "") -> None:
        """End a tunnel on the gateway's own initiative, if it is still being carried. `cause` goes into the
        audit trail; `why` is sent to the client beside the closure's reason."""
        entry = self._tunnels.get(tunnel_id)
        if entry is None:
            return
        relay = entry[1]
        if relay.closure is None:
            self._causes[tunnel_id] = cause
            relay.explain(why)
        relay.cut(closure)

    def cut_all(self, closure: Closure) -> None:
        for _, relay in self:
            relay.cut(closure)

    def drop_all(self) -> None:
        for _, relay in self:
            relay.drop()

    async def wait_until_empty(self) -> None:
        await self._empty.wait()


def _less_one(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
