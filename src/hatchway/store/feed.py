"""The change feed: what has changed since a revision.

Every transaction that alters what a gateway must know takes the next revision, one writer at a time, so that
revisions are committed in order: who has caught up to one has seen everything before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Changes:
    """What a follower applies to go from one revision to `revision`: first `deleted`, then `changed`.

    Both are keyed by table name. A deleted row is named by its primary key, as texts. When `everything` is
    set, `changed` holds all there is and the follower must forget what it had.
    """

    revision: int
    everything: bool
    changed: Mapping[str, Sequence[Any]]
    deleted: Mapping[str, Sequence[tuple[str, ...]]]
