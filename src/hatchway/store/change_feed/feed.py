"""The change feed: what has changed since a revision.

Every transaction that alters what a gateway must know takes the next revision, one writer at a time, so that
revisions are committed in order: who has caught up to one has seen everything before it.

A store that is restored goes back. Then the next revisions are other changes under the same numbers, and who
has seen more than is there would wait for what never comes. So each revision has a random *mark*, and whoever
follows keeps both: when the store's past has another mark at that revision, or none, all is read anew. The
database's triggers make the marks, so that neither older programs nor the database's own tools of restoring
have to know of them. `hatchway restore` also begins a new *epoch*, the upper half of a revision, for those
who know of no marks, or have looked while only half was restored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

_EPOCH: Final = 1 << 32
"""More revisions than there are between two restores."""


class Position(NamedTuple):
    """A revision with its mark, which is empty where there is none."""

    revision: int
    mark: str


BEGINNING: Final = Position(0, "")
"""Where somebody is who has seen nothing."""


def epoch(revision: int) -> int:
    """How often the store had been restored by `hatchway restore`."""
    return revision // _EPOCH


def next_epoch(revision: int) -> int:
    """The revision with which the next epoch begins."""
    return (epoch(revision) + 1) * _EPOCH


@dataclass(frozen=True, slots=True)
class Changes:
    """What a follower applies to get to `position`: first `deleted`, then `changed`.

    Both are keyed by table name. A deleted row is named by its primary key, as texts. When `everything` is
    set, `changed` holds all there is and the follower must forget what it had. `restored` is whether that is
    because what it had seen is not this store's past: the store was restored, or put in another's place.
    """

    position: Position
    everything: bool
    restored: bool
    changed: Mapping[str, Sequence[Any]]
    deleted: Mapping[str, Sequence[tuple[str, ...]]]

    @property
    def revision(self) -> int:
        return self.position.revision
