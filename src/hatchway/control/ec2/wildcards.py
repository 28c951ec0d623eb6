"""Patterns of filters: `*` is any run of characters, `?` any one, a backslash takes the meaning away.

A pattern is compiled once and matched by `re`, in a form that never goes back on what it has matched: taking
each piece between two `*` where it first occurs leaves the most room for the rest. So matching takes at most
the product of both lengths, and both are bounded.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

_ANY_RUN = "*"
_ANY_ONE = "?"


@dataclass(frozen=True, slots=True)
class Values:
    """What one filter asks for: any of the literal texts, or what matches any of the patterns."""

    literals: frozenset[str]
    patterns: tuple[Callable[[str], object], ...]

    def match(self, text: str) -> bool:
        return text in self.literals or any(matches(text) for matches in self.patterns)


def read_values(values: Iterable[str]) -> Values:
    """The values of a filter, as a request gives them."""
    literals: set[str] = set()
    patterns: dict[str, Callable[[str], object]] = {}
    for value in values:
        pieces = _pieces(value)
        if len(pieces) == 1 and all(character is not None for character in pieces[0]):
            literals.add("".join(character or "" for character in pieces[0]))
        else:
            expression = _expression(pieces)
            patterns[expression] = re.compile(expression, re.DOTALL).fullmatch
    return Values(frozenset(literals), tuple(patterns.values()))


def _pieces(text: str) -> list[list[str | None]]:
    """What stands between the `*` of a pattern: its characters, None for any one."""
    pieces: list[list[str | None]] = [[]]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            pieces[-1].append(next(characters, "\\"))
        elif character == _ANY_RUN:
            pieces.append([])
        else:
            pieces[-1].append(None if character == _ANY_ONE else character)
    return pieces


def _expression(pieces: Sequence[Sequence[str | None]]) -> str:
    first, *others = ["".join("." if c is None else re.escape(c) for c in piece) for piece in pieces]
    if not others:
        return first
    *middle, last = others
    # Atomic groups (Python: "re"): none is tried at another place once it has matched.
    return first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + f".*{last}"
