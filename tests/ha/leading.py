"""Leadership as a model: processes that look at a row, are suspended, die, and a store that may forget.

The rules are the product's own (`Seen.then`, `is_free`). A transaction that takes or renews is one step,
as it is for everybody else; one that writes as the leader is two, between which others go on. Time goes in
steps of half a lease.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.ha.explore import Step

from hatchway.domain.leader import Leader
from hatchway.store.processes.leadership import LEASE, Seen, is_free

TICK = LEASE / 2


@dataclass(frozen=True)
class Process:
    """What one knows: the row as it has seen it, and until when it leads by what it knows."""

    name: str
    seen: Seen | None = None
    until: float = -1.0
    free: Leader | None = None
    """The row that it has just read, and takes in its next step."""


@dataclass(frozen=True)
class Leading:
    """`former` is the row as it was before the last commit, and `writing` who is within a transaction of a
    leader."""

    now: float
    row: Leader
    former: Leader
    processes: tuple[Process, ...]
    writing: str | None = None


Become = Callable[..., Leading]


def beginning(count: int) -> Leading:
    vacant = Leader(role="work", holder="", beat=0, place="")
    return Leading(0.0, vacant, vacant, tuple(Process(name) for name in "abcd"[:count]))


def steps(
    state: Leading, *, loses: bool = False, holds_row: bool = True, most: float = 2 * LEASE
) -> Iterator[Step[Leading]]:
    """Whatever may happen next.

    Args:
        loses: whether a failover may lose the last commit, as without a synchronous standby.
        holds_row: whether a leader's transaction keeps the row from others; if not, it only looks first.
        most: how long time goes on.
    """
    if state.now < most:
        yield "half a lease passes", replace(state, now=state.now + TICK)
    if loses and state.row != state.former:
        yield "a failover loses the last commit", replace(state, row=state.former, writing=None)
    if state.writing is not None:
        yield f"{state.writing} commits", replace(state, writing=None)
    for number, process in enumerate(state.processes):

        def become(changed: Process, number: int = number, **more: object) -> Leading:
            others = list(state.processes)
            others[number] = changed
            return replace(state, processes=tuple(others), **more)  # type: ignore[arg-type]

        name = process.name
        if process.until < 0 and process.free is None:
            seen = process.seen.then(state.row, state.now) if process.seen else Seen(state.row, state.now)
            free = state.row if is_free(seen, state.now) else None
            yield f"{name} looks", become(replace(process, seen=seen, free=free))
        elif process.until < 0:
            yield f"{name} takes it", _take(state, process, become, holds_row=holds_row)
        else:
            yield f"{name} renews", _renew(state, process, become)
            if state.writing is None:
                if state.row.holder == name:
                    yield f"{name} begins to write", become(process, writing=name)
                yield f"{name} leaves", _leave(state, process, become)
        writing = None if state.writing == name else state.writing
        yield f"{name} is killed and begins anew", become(Process(name), writing=writing)


def _take(state: Leading, process: Process, become: Become, *, holds_row: bool) -> Leading:
    if state.row != process.free or (holds_row and state.writing is not None):
        return become(replace(process, free=None))
    row = replace(state.row, holder=process.name, beat=state.row.beat + 1)
    return become(Process(process.name, until=state.now + LEASE), row=row, former=state.row)


def _renew(state: Leading, process: Process, become: Become) -> Leading:
    if state.row.holder != process.name:
        return become(Process(process.name))
    row = replace(state.row, beat=state.row.beat + 1)
    return become(replace(process, until=state.now + LEASE), row=row, former=state.row)


def _leave(state: Leading, process: Process, become: Become) -> Leading:
    row = replace(state.row, holder="") if state.row.holder == process.name else state.row
    return become(Process(process.name), row=row, former=state.row)


def one_leads(state: Leading) -> str | None:
    """Of the processes one at most takes itself for the leader, by clocks that go alike."""
    leading = [process.name for process in state.processes if state.now < process.until]
    return f"{leading} lead at once" if len(leading) > 1 else None


def who_writes_leads(state: Leading) -> str | None:
    """Nobody else leads while somebody writes as the leader, whatever he believes."""
    if state.writing is not None and state.row.holder != state.writing:
        return f"{state.writing} writes while {state.row.holder or 'nobody'} leads"
    return None
