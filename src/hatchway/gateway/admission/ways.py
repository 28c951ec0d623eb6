"""What tunnels have in common that one caller opens from the same place to the same target.

Who connects to a host does so again and again: the policies and security groups then say the same, and the
records are the same but for times and ids. Authentication, expiry, quotas and what is off limits are not in
here: they are asked about each time.

A way is what its decision was made of, object by object. It is used only where every one of these is what the
snapshot has now: the snapshot has another as soon as anything about it has changed. So nothing that was
revoked or altered outlives that, and nothing has to be told of changes.
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
    from hatchway.gateway.snapshot.subjects import Subject

MOST: Final = 4096
"""Ways that are remembered, each some 6 KB with the forms of its records."""

LARGEST: Final = 8_000
"""Characters of a decision that is remembered: how long one is, policies decide."""


class Asked(NamedTuple):
    """What a client says and where it comes from, as far as policies can ask about it."""

    access_key_id: str
    source_ip: str
    user_agent: str
    request: TunnelRequest


class Ground(NamedTuple):
    """What the snapshot had when it was decided; `between` is what it has of the network there."""

    caller: Caller
    endpoint: Endpoint | None
    instance: Instance | None
    arns: Arns
    between: tuple[object, ...] = ()


class Way(NamedTuple):
    """What comes of it: `decision`, which allows, as `to_json` writes it, and what events say.

    `asked` is what was asked first: tunnels that are opened later have that too, and not the same once more.
    `is_reachable` is whether the target is registered and security groups let the connection through.
    """

    asked: Asked
    ground: Ground
    identity: JsonObject
    resources: tuple[tuple[str, str], ...]
    decision: str
    subjects: tuple[Subject, ...]
    forms: dict[str, RecordForm]
    is_reachable: bool = False


class Ways:
    """Those of one worker."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._ways: dict[Asked, Way] = {}
        # Those of them that were found when the snapshot was last in this state.
        self._state = object()
        self._found: dict[Asked, Way] = {}

    def __len__(self) -> int:
        return len(self._ways)

    def found(self, asked: Asked, state: object) -> Way | None:
        """The way that was remembered or found in this state of the snapshot: its ground is what it was."""
        return self._found.get(asked) if state is self._state else None

    def find(self, asked: Asked, ground: Ground, state: object) -> Way | None:
        """The way that was decided on this very ground, if it is remembered. The snapshot has it in this
        state."""
        way = self._ways.get(asked)
        if way is None:
            return None
        before = way.ground
        if (
            before.caller is ground.caller
            and before.endpoint is ground.endpoint
            and before.instance is ground.instance
            and before.arns is ground.arns
            and len(before.between) == len(ground.between)
            and all(map(is_, before.between, ground.between))
        ):
            self._note(asked, way, state)
            return way
        self._forget(asked)
        return None

    def _note(self, asked: Asked, way: Way, state: object) -> None:
        if state is not self._state:
            self._state = state
            self._found.clear()
        self._found[asked] = way

    def _forget(self, asked: Asked) -> None:
        del self._ways[asked]
        self._found.pop(asked, None)

    def remember(self, way: Way, state: object) -> bool:
        """Remember one whose decision depends on its ground alone, which the snapshot has in this state. The
        oldest goes when there are too many.

        Returns whether it is remembered.
        """
        if way.ground.endpoint is None or len(way.decision) > LARGEST:
            return False
        if len(self._ways) >= self._most:
            self._forget(next(iter(self._ways)))
        self._ways[way.asked] = way
        self._note(way.asked, way, state)
        return True
