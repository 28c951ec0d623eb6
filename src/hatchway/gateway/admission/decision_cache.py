"""A cache of decisions: what tunnels of one caller have in common, from the same place to the same target.

Who connects to a host does so again and again: the policies and security groups then say the same, and the
records are the same but for times and ids. Authentication, expiry, quotas and what is off limits are not in
here: they are asked about each time.

A cached decision has what it was made of, object by object. It is used only where every one of these inputs
is what the snapshot has now: the snapshot has another as soon as anything about it has changed. So nothing
that was revoked or altered outlives that, and nothing has to be told of changes.
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
"""Decisions that are kept, each some 6 KB with the forms of its records."""

LARGEST: Final = 8_000
"""Characters of a decision that is kept: how long one is, policies decide."""


class CacheKey(NamedTuple):
    """What a client says and where it comes from, as far as policies can ask about it."""

    access_key_id: str
    source_ip: str
    user_agent: str
    request: TunnelRequest


class DecisionInputs(NamedTuple):
    """What the snapshot had when it was decided; `between` is what it has of the network there."""

    caller: Caller
    endpoint: Endpoint | None
    instance: Instance | None
    arns: Arns
    between: tuple[object, ...] = ()


class CachedDecision(NamedTuple):
    """What comes of it: `decision`, which allows, as `to_json` writes it, and what events say.

    `key` is what was asked first: tunnels that are opened later have that too, and not the same once more.
    `is_reachable` is whether the target is registered and security groups let the connection through.
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
    """Those of one worker."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._decisions: dict[CacheKey, CachedDecision] = {}
        # Those of them that were found when the snapshot was last in this state.
        self._state = object()
        self._found: dict[CacheKey, CachedDecision] = {}

    def __len__(self) -> int:
        return len(self._decisions)

    def get(self, key: CacheKey, state: object) -> CachedDecision | None:
        """The decision that was put or found in this state of the snapshot: its inputs are the same."""
        return self._found.get(key) if state is self._state else None

    def revalidate(self, key: CacheKey, inputs: DecisionInputs, state: object) -> CachedDecision | None:
        """The decision made of these very inputs, if it is kept. The snapshot has them in this state."""
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
        """Keep one that depends on its inputs alone, which the snapshot has in this state. The oldest goes
        when there are too many.

        Returns whether it is kept.
        """
        if cached.inputs.endpoint is None or len(cached.decision) > LARGEST:
            return False
        if len(self._decisions) >= self._most:
            self._forget(next(iter(self._decisions)))
        self._decisions[cached.key] = cached
        self._note(cached.key, cached, state)
        return True
