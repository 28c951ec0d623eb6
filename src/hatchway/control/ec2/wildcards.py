"""Patterns of filters: `*` is any run of characters, `?` any one, a backslash takes the meaning away.

Matching takes one step for each character of the text, whatever the pattern: nothing is tried twice. A
pattern is read once, in one step for each of its characters; compiling it for `re` takes a hundred times as
long.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_ANY_RUN: Final = "*"
_ANY_ONE: Final = "?"
MOST_RUNS: Final = 4
"""As many `*` as anybody's pattern has who means well."""


class Pattern:
    """A pattern as an automaton, whose set of states is the bits of one integer.

    Bit i is set when the first i single characters of the pattern have been matched. A `*` behind them lets
    that stay so, whatever comes. `characters` is the pattern as read: each with whether it is a wildcard.
    """

    __slots__ = ("_any_one", "_size", "_stays", "_steps", "characters")

    def __init__(self, text: str) -> None:
        self.characters: Final = _characters(text)
        self._size = self._stays = self._any_one = 0
        literal: dict[str, int] = {}
        for character, special in self.characters:
            bit = 1 << self._size
            if special and character == _ANY_RUN:
                self._stays |= bit
                continue
            if special:
                self._any_one |= bit
            else:
                literal[character] = literal.get(character, 0) | bit
            self._size += 1
        self._steps = {character: bits | self._any_one for character, bits in literal.items()}

    def matches(self, text: str) -> bool:
        """Whether it matches the whole text."""
        states, stays, steps, any_one = 1, self._stays, self._steps, self._any_one
        for character in text:
            states = states & stays | (states & steps.get(character, any_one)) << 1
            if not states:
                return False
        return bool(states >> self._size & 1)


@dataclass(frozen=True, slots=True)
class Values:
    """What one filter asks for: any of the literal texts, or what matches any of the patterns."""

    literals: frozenset[str]
    patterns: tuple[Pattern, ...]

    @property
    def costly(self) -> bool:
        """Whether one of the patterns may take a database long: some try a text in ever more ways with each
        `*` that the pattern has."""
        return any(pattern.characters.count((_ANY_RUN, True)) > MOST_RUNS for pattern in self.patterns)

    def match(self, text: str) -> bool:
        return text in self.literals or any(pattern.matches(text) for pattern in self.patterns)


def read_values(values: Iterable[str]) -> Values:
    """The values of a filter, as a request gives them."""
    literals: set[str] = set()
    patterns: list[Pattern] = []
    for value in dict.fromkeys(values):
        characters = _characters(value)
        if any(special for _, special in characters):
            patterns.append(Pattern(value))
        else:
            literals.add("".join(character for character, _ in characters))
    return Values(frozenset(literals), tuple(patterns))


def _characters(text: str) -> list[tuple[str, bool]]:
    """The characters of a pattern, each with whether it is a wildcard."""
    characters: list[tuple[str, bool]] = []
    rest = iter(text)
    for character in rest:
        if character == "\\":
            characters.append((next(rest, "\\"), False))
        else:
            characters.append((character, character in (_ANY_RUN, _ANY_ONE)))
    return characters
