"""What a simulation costs its server, told before it is made.

One unit is about a microsecond. Prices are upper bounds by what the engine does: a pattern with ``?`` takes a
step for each of its characters, on integers as wide as the text, one with a variable is compiled for each
request.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hatchway.access.authorization import Context
from hatchway.iam import PolicySet, Statement

A_REQUEST = 20
A_STATEMENT = 20
A_VARIABLE = 30
A_KEY = 4


class Compared(NamedTuple):
    """What policies are held against: the characters of the longest value, and the most values of one key."""

    characters: int
    values: int


def compared(actions: Iterable[str], resources: Iterable[str], context: Context) -> Compared:
    """The extremes of a simulation's requests."""
    several = [(value,) if isinstance(value, str) else value for value in context.values()]
    several += [(text,) for text in (*actions, *resources)]
    return Compared(
        max((sum(map(len, values)) for values in several), default=0), max(map(len, several), default=1)
    )


class Prices:
    """The prices of requests to some policies, with those of each statement at hand."""

    def __init__(self, policies: Sequence[PolicySet], against: Compared) -> None:
        self._policies = policies
        self._statements: dict[int, int] = {}
        self._look_up = 0
        for statement in _statements(policies):
            self._statements[id(statement)] = A_STATEMENT + sum(
                _pattern(text, against) for text in _compared_texts(statement)
            )
            self._look_up += sum(_pattern(text, against) for text in statement.action.patterns)

    @property
    def of_looking_up(self) -> int:
        """What finding the statements for one action costs."""
        return self._look_up

    def of_request(self, action: str, keys_asked_about: int, context: Context) -> int:
        """What one request for an action costs, once its statements are found."""
        candidates = (
            candidate for policies in self._policies for candidate in policies.index.view(action).candidates
        )
        return (
            A_REQUEST * len(self._policies)
            + A_KEY * (keys_asked_about + len(context))
            + sum(self._statements[id(candidate.statement)] for candidate in candidates)
        )


def _statements(policies: Iterable[PolicySet]) -> Iterable[Statement]:
    for layers in policies:
        for layer in layers.layers.values():
            for policy in layer:
                yield from policy.statements


def _compared_texts(statement: Statement) -> Iterable[str]:
    if statement.resource is not None:  # pragma: no branch (only a trust policy's statement has none)
        yield from statement.resource.patterns
    for condition in statement.conditions:
        yield from condition.values


def _pattern(text: str, against: Compared) -> int:
    """The price of one comparison with the longest value; a text that is no pattern costs no more."""
    long, price = against.characters, against.values
    if "${" in text:  # each variable may stand for the longest value, all of which is compiled
        price += A_VARIABLE + (len(text) + text.count("${") * long) // 4
    if "?" in text:  # the value gone through for its characters, and a step for each of the pattern's
        steps = min(len(text), long)
        price += long // 8 + steps // 2 + long * steps // 16_000
    elif "*" in text[:-1]:  # each piece is searched for, and the value gone through once
        price += min(len(text), long) // 2 + long // 500
    return price
