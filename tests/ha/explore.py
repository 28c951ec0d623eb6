"""Every state that a small protocol can get into, breadth first: what breaks it has the shortest way."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

State = TypeVar("State", bound=Hashable)
Step = tuple[str, State]
"""What somebody may do next, and what comes of it."""


class Broken(AssertionError):
    """A state that must not be. The message has the way to it."""


def explore(
    first: State,
    steps: Callable[[State], Iterable[Step[State]]],
    holds: Callable[[State], str | None],
    depth: int,
) -> int:
    """Looks at each state within so many steps; how many there are.

    Args:
        holds: what is wrong with a state, if anything.

    Raises:
        Broken: one is not as it has to be.
    """
    came_from: dict[State, tuple[str, State] | None] = {first: None}
    due = deque([(first, 0)])
    while due:
        state, far = due.popleft()
        if (problem := holds(state)) is not None:
            raise Broken(f"{problem}\n" + "\n".join(_way(state, came_from)))
        if far == depth:
            continue
        for name, following in steps(state):
            if following not in came_from:
                came_from[following] = (name, state)
                due.append((following, far + 1))
    return len(came_from)


def _way(state: State, came_from: dict[State, tuple[str, State] | None]) -> list[str]:
    way = [f"  → {state}"]
    while (before := came_from[state]) is not None:
        name, state = before
        way.append(f"{name}")
    return way[::-1]
