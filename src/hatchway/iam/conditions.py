"""Conditions of policies, each compiled once to a test of a request's keys.

The operators are in `hatchway.iam.operators`. Absent keys: a positive operator fails, a negated one holds,
``…IfExists`` holds. A multi-valued key satisfies only an operator with a set prefix. A request value that the
operator cannot read satisfies nothing, negated or not. A policy value with a variable that the request leaves
without a value equals nothing: a positive operator is not met by it, a negated one is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from hatchway.iam.errors import UnreadableValue
from hatchway.iam.operators import (
    FOR_ALL,
    NULL,
    OPERATORS,
    Comparison,
    Match,
    Operator,
    Read,
    equal_to_all,
    equal_to_none,
    equal_to_one,
    read_bool,
)
from hatchway.iam.patterns import Keys, Tokens, Variable, shorten, substitute, tokenise, variables_of

KeysTest = Callable[[Keys], bool]


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key: the values as the document has them, and the compiled test."""

    operator: str
    key: str
    values: tuple[str, ...]
    variables: tuple[Variable, ...] = field(repr=False, compare=False)
    holds: KeysTest = field(repr=False, compare=False)

    @property
    def folded_key(self) -> str:
        """The key as a request's context has it."""
        return self.key.lower()


def compile_condition(operator: str, key: str, values: tuple[str, ...], *, variables: bool) -> Condition:
    """Compile one operator, Null or one of `OPERATORS`, on one key.

    Raises UnreadableValue (message, index) for a value that the operator cannot read.
    """
    # One text for all conditions on a key, so that a decision touches less memory.
    folded = intern(key.lower())
    if operator == NULL:
        return Condition(operator, key, values, (), _null(folded, values))
    known = OPERATORS[operator]
    comparison = known.comparison
    templates = []
    for index, value in enumerate(values):
        try:
            tokens = tokenise(value, wildcards=comparison.wildcards, variables=variables)
        except UnreadableValue as error:
            raise UnreadableValue(error.args[0], index) from None
        try:
            _check_readable(comparison, tokens)
        except UnreadableValue:
            raise UnreadableValue(f"'{shorten(value)}' is not {comparison.reads}", index) from None
        templates.append(tokens)
    found = tuple(variable for tokens in templates for variable in variables_of(tokens))
    if found:
        return Condition(operator, key, values, found, _substituting(known, folded, tuple(templates)))
    readings = [comparison.read_policy(tokens) for tokens in templates]
    return Condition(operator, key, values, (), _test(known, folded, readings))


def _check_readable(comparison: Comparison, tokens: Tokens) -> None:
    """Read a policy value as far as it can be without a request."""
    if variables_of(tokens):
        comparison.check_template(tokens)
    else:
        comparison.read_policy(tokens)


def _null(key: str, values: tuple[str, ...]) -> KeysTest:
    wanted = set()
    for index, value in enumerate(values):
        absent = read_bool(value)
        if absent is None:
            raise UnreadableValue(f"'{shorten(value)}' is not true or false", index)
        wanted.add(absent)
    return lambda keys: (key not in keys) in wanted


# What most conditions are, as slotted objects: a closure's cells are scattered, and with many policies the
# time of a decision goes into fetching memory.


class _TextAmong:
    __slots__ = ("accepted", "key")

    def __init__(self, key: str, accepted: frozenset[str]) -> None:
        self.key = key
        self.accepted = accepted

    def holds(self, keys: Keys) -> bool:
        return keys.get(self.key) in self.accepted


class _TextMatches:
    __slots__ = ("key", "match")

    def __init__(self, key: str, match: Match) -> None:
        self.key = key
        self.match = match

    def holds(self, keys: Keys) -> bool:
        value = keys.get(self.key)
        return isinstance(value, str) and self.match(value)


class _ReadingMatches:
    __slots__ = ("key", "match", "read")

    def __init__(self, key: str, read: Read, match: Match) -> None:
        self.key = key
        self.read = read
        self.match = match

    def holds(self, keys: Keys) -> bool:
        value = keys.get(self.key)
        if not isinstance(value, str):
            return False
        reading = self.read(value)
        return reading is not None and self.match(reading)


def _test(operator: Operator, key: str, readings: Sequence[Any], *, unreadable: bool = False) -> KeysTest:
    """The test of a request for one operator on the policy's values as the operator reads them.

    With `unreadable`, the policy has others that it cannot read: then no value meets a negated operator.
    """
    comparison = operator.comparison
    read = comparison.read_request
    expected = not comparison.negated
    if unreadable and comparison.negated:
        match: Match = equal_to_all
    else:
        match = comparison.any_of(readings) if readings else equal_to_none
    if operator.quantifier:
        accepts = _accepts(read, match, expected)
        if operator.quantifier == FOR_ALL:
            return _for_all(key, accepts)
        when_absent = operator.if_exists
        return lambda keys: any(map(accepts, _values(keys, key))) if key in keys else when_absent
    if operator.if_exists or comparison.negated:
        return _holds_when_absent(key, read, match, expected)
    if read is not None:
        return _ReadingMatches(key, read, match).holds
    if comparison.any_of is equal_to_one:
        return _TextAmong(key, frozenset(readings)).holds
    return _TextMatches(key, match).holds


def _holds_when_absent(key: str, read: Read | None, match: Match, expected: bool) -> KeysTest:
    accepts = _accepts(read, match, expected)

    def holds(keys: Keys) -> bool:
        value = keys.get(key)
        if value is None:
            return True
        return isinstance(value, str) and accepts(value)

    return holds


def _accepts(read: Read | None, match: Match, expected: bool) -> Callable[[str], bool]:
    def accepts(value: str) -> bool:
        reading = value if read is None else read(value)
        return reading is not None and match(reading) is expected

    return accepts


def _for_all(key: str, accepts: Callable[[str], bool]) -> KeysTest:
    def holds(keys: Keys) -> bool:
        values = _values(keys, key)
        # Empty texts alone are as good as no value (AWS: "Set operators for multivalued context keys").
        return not any(values) or all(map(accepts, values))

    return holds


def _values(keys: Keys, key: str) -> tuple[str, ...]:
    value = keys.get(key, ())
    return (value,) if isinstance(value, str) else value


def _substituting(operator: Operator, key: str, templates: tuple[Tokens, ...]) -> KeysTest:
    """The test of a condition whose policy values hold variables.

    A value whose variable the request does not resolve equals nothing: a positive operator goes on with the
    others, and a negated one is met (AWS: "Policy variables with no value"). What comes of a variable and
    cannot be read satisfies nothing, negated or not, as any such value of a request.
    """
    comparison = operator.comparison

    def holds(keys: Keys) -> bool:
        readings = []
        unreadable = False
        for tokens in templates:
            resolved = substitute(tokens, keys)
            if resolved is None:
                continue
            try:
                readings.append(comparison.read_policy(resolved))
            except UnreadableValue:
                unreadable = True
        return _test(operator, key, readings, unreadable=unreadable)(keys)

    return holds
