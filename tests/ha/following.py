"""The change feed as a model: a store that changes, forgets and is put back to what it was; who follows it.

A store's past is its revisions with their marks, each another one, and what was in force at each. It goes
back when a standby that lagged is promoted, or a backup restored.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.ha.explore import Step

from hatchway.store.change_feed.feed import BEGINNING, Position, next_epoch


@dataclass(frozen=True)
class Revision:
    position: Position
    allowed: frozenset[str]
    """Who may open tunnels."""


@dataclass(frozen=True)
class Follower:
    """A gateway's memory."""

    position: Position = BEGINNING
    allowed: frozenset[str] = frozenset()
    is_current: bool = False
    """Whether it has just looked."""


@dataclass(frozen=True)
class Feed:
    past: tuple[Revision, ...]
    floor: int
    """Before it, what has been taken away is forgotten."""
    marks: int
    """How many have been made: no two are alike."""
    follower: Follower = Follower()
    history: Position | None = None
    """What the task that forgets has seen the last time."""

    @property
    def now(self) -> Revision:
        return self.past[-1]


def beginning() -> Feed:
    return Feed((Revision(Position(1, "m0"), frozenset()),), 0, 1)


def steps(feed: Feed, *, by_mark: bool = True) -> Iterator[Step[Feed]]:
    """Whatever may happen next; without `by_mark` a follower goes by the revision's number alone."""
    feed = replace(feed, follower=replace(feed.follower, is_current=False))
    for who in ("alice", "bob"):
        yield (
            f"{who} is allowed or forbidden",
            _change(feed, feed.now.allowed ^ {who}, feed.now.position.revision + 1),
        )
    for back in range(1, min(3, len(feed.past))):
        yield f"a standby {back} behind takes over", replace(feed, past=feed.past[:-back])
        restored = replace(feed, past=feed.past[:-back])
        # As `hatchway restore` does: a new epoch, and nothing before it counts.
        epoch = next_epoch(restored.now.position.revision)
        yield (
            f"what was {back} ago is restored",
            replace(_change(restored, restored.now.allowed, epoch), floor=epoch),
        )
    yield "deletions are forgotten", _forget(feed)
    yield "the gateway looks", replace(feed, follower=_look(feed, by_mark=by_mark))


def _change(feed: Feed, allowed: frozenset[str], revision: int) -> Feed:
    made = Revision(Position(revision, f"m{feed.marks}"), allowed)
    return replace(feed, past=(*feed.past, made), marks=feed.marks + 1)


def _forget(feed: Feed) -> Feed:
    """`DeletionHistory.forget`: what had been seen the time before, where that is of this past."""
    floor = feed.floor
    if feed.history is not None and _follows(feed, feed.history, by_mark=True):
        floor = max(floor, feed.history.revision)
    return replace(feed, floor=min(floor, feed.now.position.revision), history=feed.now.position)


def _follows(feed: Feed, seen: Position, *, by_mark: bool) -> bool:
    if seen.revision < feed.floor:
        return False
    return not by_mark or any(revision.position == seen for revision in feed.past)


def _look(feed: Feed, *, by_mark: bool) -> Follower:
    """`Store.changes` since what was seen, applied."""
    seen, now = feed.follower.position, feed.now
    if (seen if by_mark else seen.revision) == (now.position if by_mark else now.position.revision):
        return replace(feed.follower, is_current=True)
    if seen.revision == 0 or not _follows(feed, seen, by_mark=by_mark):
        return Follower(now.position, now.allowed, is_current=True)
    # Who has been touched since, by the revision that his row or his tombstone has.
    touched: set[str] = set()
    before = frozenset[str]()
    for revision in feed.past:
        if revision.position.revision > seen.revision:
            touched |= before ^ revision.allowed
        before = revision.allowed
    allowed = (feed.follower.allowed - touched) | (now.allowed & touched)
    return Follower(now.position, frozenset(allowed), is_current=True)


def enforces_what_is_there(feed: Feed) -> str | None:
    """Who has looked allows those whom the store allows."""
    follower = feed.follower
    if follower.is_current and follower.allowed != feed.now.allowed:
        return f"the gateway allows {sorted(follower.allowed)}, the store {sorted(feed.now.allowed)}"
    return None
