"""What is wrong with a fleet file: every problem, each with its place."""

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hatchway.domain.counting import counted

if TYPE_CHECKING:
    from hatchway.fleet.declarations import Fleet

_MOST_SHOWN = 100
_LONGEST_QUOTE = 80
MOST_PROBLEMS = 10_000
"""A file that has more is read no further: to tell of each takes longer than to read it."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """`place` is the path of the offending element, such as `vpcs.office.subnets.web.cidr`."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class BadFleet(ValueError):
    """A fleet file that cannot be applied. `problems` are all that were found, one a line as a text.

    `readable` is as much of the file as could be read, where that is worth looking at further.
    """

    def __init__(self, problems: Iterable[Problem], readable: "Fleet | None" = None) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        self.readable = readable
        lines = [str(problem) for problem in self.problems[:_MOST_SHOWN]]
        if len(self.problems) > _MOST_SHOWN:
            lines.append(f"and {counted(len(self.problems) - _MOST_SHOWN, 'more problem')}")
        super().__init__("\n".join(lines))


@dataclass(slots=True)
class Problems:
    """Gathers problems, so that one reading finds them all."""

    found: list[Problem] = field(default_factory=list)

    def add(self, place: str, message: str) -> None:
        """
        Raises:
            BadFleet: there are too many.
        """
        self.found.append(Problem(place, message))
        if len(self.found) >= MOST_PROBLEMS:
            raise BadFleet([*self.found, Problem("", "there are so many problems that the rest is not read")])

    def __len__(self) -> int:
        return len(self.found)

    def raise_any(self) -> None:
        """
        Raises:
            BadFleet: there was a problem.
        """
        if self.found:
            raise BadFleet(self.found)


def quoted(value: object) -> str:
    """A value of the file as a message quotes it: on one line, and short."""
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


MOST_COMPARED: Final = 200_000
"""Pairs of names that are compared to tell what was likely meant: each takes microseconds."""


def suggestion(word: str, known: Collection[str]) -> str:
    """` (did you mean …?)` when a known word is near, else nothing."""
    near = difflib.get_close_matches(word[:_LONGEST_QUOTE], known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
