"""The condition operators: what each reads, and when it holds.

An operator is a row of the table `OPERATORS`; a condition of a policy is compiled once to a test of a
request's keys. (AWS IAM User Guide, "IAM JSON policy elements: Condition operators".)

Absent keys: a positive operator fails, a negated one holds, ``…IfExists`` holds. A multi-valued key satisfies
only an operator with a set prefix. A request value that the operator cannot read satisfies nothing, negated
or not. A policy value with a variable that the request leaves without a value equals nothing: a positive
operator is not met by it, a negated one is.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

from hatchway.iam.errors import UnreadableValue
from hatchway.iam.patterns import (
    Arn,
    Keys,
    Substituted,
    Tokens,
    Variable,
    arn_pattern,
    fold,
    glob,
    literal_text,
    read_arn,
    shorten,
    split_segments,
    substitute,
    tokenise,
    variables_of,
)
from hatchway.iam.readers import read_address, read_date, read_network, read_number

KeysTest = Callable[[Keys], bool]
Match = Callable[[Any], bool]
Read = Callable[[str], Any]
"""Gives None for what it cannot read."""


class Comparison(NamedTuple):
    """How one operator compares: its policy values become one test of one request value.

    `read_request` gives None for a value that the operator cannot read; it is itself None where any text will
    do. `reads` completes "'x' is not …".
    """

    reads: str
    read_policy: Callable[[Tokens], Any]
    read_request: Read | None
    any_of: Callable[[Sequence[Any]], Match]
    wildcards: bool = False
    negated: bool = False
    check_template: Callable[[Tokens], object] = lambda _: None
    """Refuses, with UnreadableValue, a value with variables that no substitution can make readable."""


class Operator(NamedTuple):
    """A comparison with its set prefix and suffix, as a document names it."""

    name: str
    comparison: Comparison
    quantifier: str = ""
    if_exists: bool = False


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


# --- what each family reads -------------------------------------------------------------------------------


def _required(read: Read) -> Callable[[Tokens], Any]:
    """A policy's reader from a request's: None becomes an error."""

    def read_policy(tokens: Tokens) -> Any:
        reading = read(literal_text(tokens))
        if reading is None:
            raise UnreadableValue
        return reading

    return read_policy


def _read_bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _read_binary(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


def _read_request_arn(text: str) -> Arn | None:
    arn = read_arn(text)
    return arn if arn.segments else None


def _read_arn_pattern(tokens: Tokens) -> Callable[[Arn], bool]:
    if len(tokens) == 1 and isinstance(tokens[0], Substituted):  # the whole ARN came from the request
        whole = str(tokens[0])
        if _read_request_arn(whole) is None:
            raise UnreadableValue
        return lambda arn: arn.text == whole
    return arn_pattern(tokens)


def _check_arn_template(tokens: Tokens) -> None:
    if len(tokens) > 1:  # a variable alone may stand for a whole ARN
        split_segments(tokens)


# --- several policy values as one test --------------------------------------------------------------------


def _equal_to_none(_reading: Any) -> bool:
    return False


def _equal_to_all(_reading: Any) -> bool:
    return True


def _equal_to_one(values: Sequence[Any]) -> Match:
    return frozenset(values).__contains__


def _some_test(tests: Sequence[Match]) -> Match:
    if len(tests) == 1:
        return tests[0]
    return lambda reading: any(test(reading) for test in tests)


def _below(values: Sequence[Any]) -> Match:
    bound = max(values)
    return lambda reading: bool(reading < bound)


def _at_most(values: Sequence[Any]) -> Match:
    bound = max(values)
    return lambda reading: bool(reading <= bound)


def _above(values: Sequence[Any]) -> Match:
    bound = min(values)
    return lambda reading: bool(reading > bound)


def _at_least(values: Sequence[Any]) -> Match:
    bound = min(values)
    return lambda reading: bool(reading >= bound)


def _in_one_network(networks: Sequence[tuple[int, int, int]]) -> Match:
    if len(networks) == 1:
        version, prefix, mask = networks[0]
        return lambda address: address[1] & mask == prefix and address[0] == version
    return lambda address: any(
        address[1] & mask == prefix and address[0] == version for version, prefix, mask in networks
    )


# --- the table --------------------------------------------------------------------------------------------


def _comparisons() -> dict[str, Comparison]:
    number, date = ("a number", read_number), ("a date with an offset or Z, or epoch seconds", read_date)
    arn = Comparison(
        "an ARN",
        _read_arn_pattern,
        _read_request_arn,
        _some_test,
        wildcards=True,
        check_template=_check_arn_template,
    )
    table = {
        "StringEquals": Comparison("a text", literal_text, None, _equal_to_one),
        "StringEqualsIgnoreCase": Comparison(
            "a text", lambda tokens: fold(literal_text(tokens)), fold, _equal_to_one
        ),
        "StringLike": Comparison("a text", glob, None, _some_test, wildcards=True),
        "Bool": Comparison("true or false", _required(_read_bool), _read_bool, _equal_to_one),
        "BinaryEquals": Comparison("base64", _required(_read_binary), _read_binary, _equal_to_one),
        "IpAddress": Comparison(
            "an IP address or CIDR range", _required(read_network), read_address, _in_one_network
        ),
        "ArnEquals": arn,
        "ArnLike": arn,
    }
    for family, (reads, read) in {"Numeric": number, "Date": date}.items():
        for order, any_of in {
            "Equals": _equal_to_one,
            "LessThan": _below,
            "LessThanEquals": _at_most,
            "GreaterThan": _above,
            "GreaterThanEquals": _at_least,
        }.items():
            table[family + order] = Comparison(reads, _required(read), read, any_of)
    negations = {
        "StringNotEquals": "StringEquals",
        "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
        "StringNotLike": "StringLike",
        "NumericNotEquals": "NumericEquals",
        "DateNotEquals": "DateEquals",
        "NotIpAddress": "IpAddress",
        "ArnNotEquals": "ArnEquals",
        "ArnNotLike": "ArnLike",
    }
    for name, positive in negations.items():
        table[name] = table[positive]._replace(negated=True)
    return table


FOR_ALL, FOR_ANY = "ForAllValues:", "ForAnyValue:"
NULL = "Null"

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for name, comparison in _comparisons().items()
    for quantifier in ("", FOR_ALL, FOR_ANY)
    for if_exists in (False, True)
    for operator in [
        Operator(f"{quantifier}{name}{'IfExists' if if_exists else ''}", comparison, quantifier, if_exists)
    ]
}
"""Every operator by the name that a document gives it, except Null, which looks at no value."""


# --- compiling --------------------------------------------------------------------------------------------


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
        absent = _read_bool(value)
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
        match: Match = _equal_to_all
    else:
        match = comparison.any_of(readings) if readings else _equal_to_none
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
    if comparison.any_of is _equal_to_one:
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
