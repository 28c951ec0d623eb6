"""A cache of decisions: what tunnels of one caller from the same address to the same target have in common.

Whoever connects to a host does so again and again: the policies and security groups then give the same
result, and the records differ only in times and ids. Authentication, expiry, quotas and off-limits addresses
are not cached: they are checked each time.

A cached decision holds its inputs, object by object. It is used only if the snapshot still has every one of
these objects: the snapshot gets another object as soon as something about it changes. So a revocation takes
effect at once, and the cache need not be notified of changes.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from hatchway.access.open_tunnel import TunnelRequest
    from hatchway.access.principal import Caller
    from hatchway.audit.events import JsonObject
    from hatchway.audit.record_form import RecordForm
    from hatchway.domain.arns import Arns
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.network import Instance
    from hatchway.gateway.snapshot.dependencies import Dependency

MOST: Final = 4096
"""Decisions that are kept, each about 6 KB with the forms of its records."""

LARGEST: Final = 8_000
"""Characters of the longest decision that is kept: policies determine the length."""


class CacheKey(NamedTuple):
    """What a client sends and where it comes from, as far as policies can test it."""

    access_key_id: str
    source_ip: str
    user_agent: str
    request: TunnelRequest


class DecisionInputs(NamedTuple):
    """What the snapshot had at the time of the decision; `between` is what it had of the network."""

    caller: Caller
    endpoint: Endpoint | None
    instance: Instance | None
    arns: Arns
    between: tuple[object, ...] = ()


class CachedDecision(NamedTuple):
    """The results: `decision`, which allows, as `to_json` writes it, and the content of events.

    `key` is the request that was decided on first: later tunnels share it instead of keeping an equal one.
    `is_reachable` is whether the target is registered and security groups allow the connection.
    """

    key: CacheKey
    inputs: DecisionInputs
    identity: JsonObject
    resources: tuple[tuple[str, str], ...]
    decision: str
    dependencies: tuple[Dependency, ...]
    forms: dict[str, RecordForm]
    is_reachable: bool = False


class DecisionCache:
    """The cache of one worker."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._decisions: dict[CacheKey, CachedDecision] = {}
        # Those that were found when the snapshot was last in this state.
        self._state = object()
        self._found: dict[CacheKey, CachedDecision] = {}

    def __len__(self) -> int:
        return len(self._decisions)

    def get(self, key: CacheKey, state: object) -> CachedDecision | None:
        """The decision that was stored or found in this state of the snapshot: its inputs are the same."""
        return self._found.get(key) if state is self._state else None

    def revalidate(self, key: CacheKey, inputs: DecisionInputs, state: object) -> CachedDecision | None:
        """The decision made from exactly these inputs, if it is kept. The snapshot has them in this state."""
        cached = self._decisions.get(key)
        if cached is None:
            return None
        before = cached.inputs
        if (
            before.caller is inputs.caller
            and before.endpoint is inputs.endpoint
            and before.instance is inputs.instance
            and before.arns is inputs.arns
            and len(before.between) == len(inputs.between)
            and all(map(is_, before.between, inputs.between))
        ):
            self._note(key, cached, state)
            return cached
        self._forget(key)
        return None

    def _note(self, key: CacheKey, cached: CachedDecision, state: object) -> None:
        if state is not self._state:
            self._state = state
            self._found.clear()
        self._found[key] = cached

    def _forget(self, key: CacheKey) -> None:
        del self._decisions[key]
        self._found.pop(key, None)

    def put(self, cached: CachedDecision, state: object) -> bool:
        """Store a decision that depends on its inputs alone. The snapshot has them in this state. The oldest
        decision is removed if there are too many.

        Returns:
            Whether it is kept.
        """
        if cached.inputs.endpoint is None or len(cached.decision) > LARGEST:
            return False
        if len(self._decisions) >= self._most:
            self._forget(next(iter(self._decisions)))
        self._decisions[cached.key] = cached
        self._note(cached.key, cached, state)
        return True
