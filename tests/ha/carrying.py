"""One tunnel, its gateway's lease and the control plane that buries dead gateways, as a model.

The times are the product's own, in steps of ten seconds. The store may be out of the gateway's reach, or be
written by nobody; the gateway may be suspended, its clock may go otherwise by a step.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from tests.ha.explore import Step

from hatchway.domain.tunnel import GRACE, LEASE
from hatchway.gateway.trail.lease import LONGEST_UNCERTAINTY

TICK: Final = 10.0


@dataclass(frozen=True)
class Carrying:
    """Seconds, all by one clock. `seen` is the lease that the control plane last found overdue."""

    now: float = 0.0
    reaches: bool = True
    """Whether the gateway reaches the store."""
    alive: bool = True
    carries: bool = True
    certain_at: float = 0.0
    lease_until: float | None = LEASE.total_seconds()
    """The gateway's row; None when it was taken for dead."""
    seen: float | None = None
    ends: int = 0
    entered_at: float = 0.0

    @property
    def is_entered(self) -> bool:
        return self.ends == 0


def steps(
    state: Carrying, *, uncertain: float = LONGEST_UNCERTAINTY, most: float = 200.0
) -> Iterator[Step[Carrying]]:
    """Whatever may happen next; `uncertain` is for how long a gateway carries tunnels out of touch.

    Time goes on when all has been done that is due by then: the gateway renews and watches, which it does
    many times within a step, and the control plane has its rounds.
    """
    due = _watch(_renew(state), uncertain)
    if state.now < most:
        later = _round(replace(due, now=state.now + TICK))
        yield "ten seconds pass", _watch(_renew(later), uncertain)
    yield (
        ("the store is gone" if state.reaches else "the store is back"),
        replace(due, reaches=not due.reaches),
    )
    if due.carries and due.alive:
        yield "the client closes", _close(due)
    if due.alive:
        yield "the gateway is killed", replace(due, alive=False, carries=False)


def _renew(state: Carrying) -> Carrying:
    """`Lease.renew`, where the store is reached: who finds his row gone ends what was entered as ended."""
    if not (state.alive and state.reaches):
        return state
    carries = state.carries and (state.lease_until is not None or state.is_entered)
    until = state.now + LEASE.total_seconds()
    return replace(state, certain_at=state.now, lease_until=until, carries=carries)


def _watch(state: Carrying, uncertain: float) -> Carrying:
    """`Lease.watch`: out of touch for too long, it ends all."""
    if state.alive and state.carries and state.now - state.certain_at >= uncertain:
        return _close(state)
    return state


def _close(state: Carrying) -> Carrying:
    """The end is entered, once: at once, or when the store is back (`PendingRecords`)."""
    entered = state.reaches and state.is_entered
    return replace(state, carries=False, ends=state.ends + entered, entered_at=state.now)


def _round(state: Carrying) -> Carrying:
    """`DeadWorkers`: dead is whose lease was overdue in the round before, and is the same yet."""
    until = state.lease_until
    if until is None or until > state.now - GRACE.total_seconds():
        return replace(state, seen=None)
    if state.seen != until:
        return replace(state, seen=until)
    return replace(state, lease_until=None, seen=None, ends=max(state.ends, 1), entered_at=state.now)


def none_is_open_that_was_entered_as_ended(state: Carrying) -> str | None:
    return "it carries bytes, and was entered as ended" if state.carries and state.ends else None


def has_one_end(state: Carrying) -> str | None:
    return f"it has {state.ends} ends" if state.ends > 1 else None
