"""The condition operators: what each reads of policies and requests, and how it compares.

An operator is a row of the table `OPERATORS`. (AWS IAM User Guide, "IAM JSON policy elements: Condition
operators".)
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hatchway.iam.errors import UnreadableValue
from hatchway.iam.patterns import (
    Arn,
    Substituted,
    Tokens,
    arn_pattern,
    fold,
    glob,
    literal_text,
    read_arn,
    split_segments,
)
from hatchway.iam.readers import read_address, read_date, read_network, read_number

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


# --- what each family reads -------------------------------------------------------------------------------


def _required(read: Read) -> Callable[[Tokens], Any]:
    """A policy's reader from a request's: None becomes an error."""

    def read_policy(tokens: Tokens) -> Any:
        reading = read(literal_text(tokens))
        if reading is None:
            raise UnreadableValue
        return reading

    return read_policy


def read_bool(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _read_binary(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


def _read_folded(tokens: Tokens) -> str:
    """Token by token: case folding looks at one character at a time, and a variable's value may be known."""
    return "".join([fold(str(token)) for token in tokens if isinstance(token, str)])


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


def equal_to_none(_reading: Any) -> bool:
    return False


def equal_to_all(_reading: Any) -> bool:
    return True


def equal_to_one(values: Sequence[Any]) -> Match:
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
        "StringEquals": Comparison("a text", literal_text, None, equal_to_one),
        "StringEqualsIgnoreCase": Comparison("a text", _read_folded, fold, equal_to_one),
        "StringLike": Comparison("a text", glob, None, _some_test, wildcards=True),
        "Bool": Comparison("true or false", _required(read_bool), read_bool, equal_to_one),
        "BinaryEquals": Comparison("base64", _required(_read_binary), _read_binary, equal_to_one),
        "IpAddress": Comparison(
            "an IP address or CIDR range", _required(read_network), read_address, _in_one_network
        ),
        "ArnEquals": arn,
        "ArnLike": arn,
    }
    for family, (reads, read) in {"Numeric": number, "Date": date}.items():
        for order, any_of in {
            "Equals": equal_to_one,
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
