"""Texts with wildcards and policy variables, and the ARN patterns made of them.

A policy's text is read once into *tokens*: literal text, the wildcards ``*`` and ``?``, and variables such as
``${aws:username}``. A request's values are substituted for the variables, and what was substituted is literal
from then on: a ``*`` in a user's name is no wildcard (AWS IAM User Guide, "IAM policy elements: Variables and
tags"). Without variables, which is nearly always, that happens once and for all when the policy is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from itertools import takewhile
from sys import intern
from typing import NamedTuple, Protocol

from hatchway.iam.errors import UnreadableValue
from hatchway.iam.pieces import TextMatcher, in_order, piece


class Wildcard(Enum):
    """The two wildcards of the policy language."""

    ANY_RUN = "*"
    ANY_ONE = "?"


class Variable(NamedTuple):
    """``${key}`` or ``${key, 'default'}``; the key is folded to lower case."""

    key: str
    default: str | None


class Substituted(str):
    """Text that took a variable's place: literal, and never split at its colons."""

    __slots__ = ()


Token = str | Wildcard | Variable
Tokens = tuple[Token, ...]
Keys = Mapping[str, str | tuple[str, ...]]
"""A request's context: lower-case key to its value, or to the tuple of values of a multi-valued key."""

_SPECIAL = re.compile(r"\$\{|[*?]")
_VARIABLE = re.compile(r"\$\{(?:([*?$])|([^{}$',]++)(?:,\s*+'([^']*+)')?+\s*+)\}")


def tokenise(text: str, *, wildcards: bool, variables: bool) -> Tokens:
    """Read `text` into tokens, merging neighbouring literals.

    `variables` is false under version 2008-10-17, where ``${`` is ordinary text.
    Raises UnreadableValue for a ``${`` that begins no variable.
    """
    tokens: list[Token] = []
    literal_from = 0
    position = 0
    while special := _SPECIAL.search(text, position):
        start = special.start()
        position = special.end()
        token: Token
        if special[0] == "${":
            if not variables:
                continue
            variable = _VARIABLE.match(text, start)
            if variable is None:
                raise UnreadableValue(f"'{shorten(text[start:])}' is not a policy variable")
            position = variable.end()
            escaped, key, default = variable.groups()
            token = Substituted(escaped) if escaped else Variable(key.strip().lower(), default)
            if isinstance(token, Variable) and not token.key:
                raise UnreadableValue(f"'{shorten(text[start:])}' is not a policy variable")
        elif wildcards:
            token = Wildcard(special[0])
        else:
            continue
        if literal_from < start:
            tokens.append(text[literal_from:start])
        tokens.append(token)
        literal_from = position
    if literal_from < len(text):
        tokens.append(text[literal_from:])
    return tuple(tokens)


def variables_of(tokens: Tokens) -> tuple[Variable, ...]:
    """The variables among the tokens; with any, they stand for different texts in different requests."""
    return tuple(token for token in tokens if isinstance(token, Variable))


def value_of(variable: Variable, keys: Keys) -> str | None:
    """What a variable stands for; None without value or default, and for a multi-valued key."""
    value = keys.get(variable.key, variable.default)
    return value if isinstance(value, str) else None


def substitute(tokens: Tokens, keys: Keys) -> Tokens | None:
    """Put the request's values in the variables' places; None when some variable has no value."""
    resolved: list[Token] = []
    for token in tokens:
        if not isinstance(token, Variable):
            resolved.append(token)
            continue
        value = value_of(token, keys)
        if value is None:
            return None
        resolved.append(Substituted(value))
    return tuple(resolved)


def literal_text(tokens: Tokens) -> str:
    """The text of tokens that hold neither wildcards nor variables."""
    return "".join(token for token in tokens if isinstance(token, str))


def fold(text: str) -> str:
    """`text` without case, one character for each of its own (Unicode's simple case folding).

    So ``ß`` is not ``SS``, which it is under full folding, where lengths change.
    """
    return text.lower() if text.isascii() else _fold_each(text)


@lru_cache(maxsize=16)
def _fold_each(text: str) -> str:
    """It takes a quarter of a microsecond a character, and a policy may name a variable a hundred times, for
    which the same stands each time."""
    return "".join(map(_folded, text))


def _folded(character: str) -> str:
    for folded in (character.casefold(), character.lower()):
        if len(folded) == 1:
            return folded
    return character


def shorten(text: str, limit: int = 80) -> str:
    """`text`, cut so that a message quoting it stays readable."""
    return text if len(text) <= limit else f"{text[:limit]}…"


# --- globs ------------------------------------------------------------------------------------------------


def glob(tokens: Tokens) -> TextMatcher:
    """Compile tokens without variables to a test of a whole text."""
    runs: list[list[Token]] = [[]]
    for token in tokens:
        if token is Wildcard.ANY_RUN:
            runs.append([])
        else:
            runs[-1].append(token)
    if any(runs[1:-1]) or Wildcard.ANY_ONE in tokens:
        return in_order([piece(token if isinstance(token, str) else None for token in run) for run in runs])
    first, last = literal_text(tuple(runs[0])), literal_text(tuple(runs[-1]))
    if len(runs) == 1:
        return first.__eq__
    if not last:
        return lambda text: text.startswith(first)
    shortest = len(first) + len(last)
    return lambda text: len(text) >= shortest and text.startswith(first) and text.endswith(last)


# --- ARNs -------------------------------------------------------------------------------------------------


class Arn(NamedTuple):
    """A resource of a request: its text and its six segments, none when it is no ARN (such as ``*``)."""

    text: str
    segments: tuple[str, ...]


NO_KEYS: Keys = {}


class ArnMatcher(Protocol):
    """A test of an ARN. Only a pattern with variables looks at the request's keys."""

    def __call__(self, arn: Arn, keys: Keys = NO_KEYS, /) -> bool: ...


def read_arn(text: str) -> Arn:
    """Split a text at its first five colons."""
    segments = tuple(text.split(":", 5))
    return Arn(text, segments if len(segments) == 6 and segments[0] == "arn" else ())


def is_everything(tokens: Tokens) -> bool:
    """Whether the pattern is exactly ``*``."""
    return tokens == (Wildcard.ANY_RUN,)


def split_segments(tokens: Tokens) -> tuple[Tokens, ...]:
    """Split an ARN pattern at the first five colons of its own text; a variable's value has none that counts.

    Raises UnreadableValue when that does not give the six segments of an ARN.
    """
    segments = _segments(tokens)
    if len(segments) != 6 or segments[0] != ("arn",):
        raise UnreadableValue("is not an ARN")
    return segments


def complete_arn(tokens: Tokens) -> Tokens:
    """Put ``*`` for each segment that an ARN pattern lacks: ``arn:aws:ec2`` is ``arn:aws:ec2:*:*:*``.

    (AWS IAM User Guide, "Identify AWS resources with Amazon Resource Names (ARNs)", incomplete ARNs.) Raises
    UnreadableValue for what is no ARN, and where a segment is empty before all six are there.
    """
    segments = _segments(tokens)
    if len(segments) == 6 or is_everything(tokens):
        return tokens
    if len(segments) == 1 or segments[0] != ("arn",) or not all(segments):
        raise UnreadableValue("is not an ARN")
    return (*tokens, *(":", Wildcard.ANY_RUN) * (6 - len(segments)))


def _segments(tokens: Tokens) -> tuple[Tokens, ...]:
    """What the first five colons of the pattern's own text part, at most six."""
    segments: list[list[Token]] = [[]]
    for token in tokens:
        if not isinstance(token, str) or isinstance(token, Substituted):
            segments[-1].append(token)
            continue
        head, *rest = token.split(":", 6 - len(segments))
        segments[-1].append(head)
        segments.extend([part] for part in rest)
    return tuple(tuple(token for token in segment if token or type(token) is not str) for segment in segments)


def arn_pattern(tokens: Tokens, *, empty_ec2_scope_is_any: bool = False) -> ArnMatcher:
    """Compile an ARN pattern without variables, matched segment by segment.

    With `empty_ec2_scope_is_any`, an empty region or account in a pattern of service ``ec2`` matches any:
    AWS's own example policies grant ``arn:aws:ec2:::security-group/*``. Raises UnreadableValue when the text
    is neither ``*`` nor an ARN.
    """
    if is_everything(tokens):
        return lambda _arn, _keys=NO_KEYS: True
    segments = list(split_segments(tokens))
    if empty_ec2_scope_is_any and segments[2] == ("ec2",):
        for scope in (3, 4):
            segments[scope] = segments[scope] or (Wildcard.ANY_RUN,)
    if all(isinstance(token, str) for segment in segments[:5] for token in segment):
        return _with_literal_scope(tuple(map(literal_text, segments[:5])), segments[5])
    tests = tuple(
        (index, glob(segment)) for index, segment in enumerate(segments) if not is_everything(segment)
    )

    def matches(arn: Arn, _keys: Keys = NO_KEYS) -> bool:
        parts = arn.segments
        if not parts:
            return False
        for index, test in tests:  # noqa: SIM110 - a generator would double the cost of the hot path
            if not test(parts[index]):
                return False
        return True

    return matches


class _Is:
    """An ARN without wildcards. Slotted, as are the usual conditions: there is less memory to touch."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def matches(self, arn: Arn, _keys: Keys = NO_KEYS, /) -> bool:
        return arn.text == self._text


class _BeginsWith:
    """An ARN with a ``*`` at its end."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def matches(self, arn: Arn, _keys: Keys = NO_KEYS, /) -> bool:
        return arn.text.startswith(self._text)


def _with_literal_scope(scope: tuple[str, ...], resource: Tokens) -> ArnMatcher:
    """The usual pattern: only the last segment, if any, has wildcards."""
    head = ":".join((*scope, ""))
    if head.count(":") != 5:  # a variable's value brought a colon, which no segment of a request holds
        return lambda _arn, _keys=NO_KEYS: False
    if all(isinstance(token, str) for token in resource):
        return _Is(intern(head + literal_text(resource))).matches
    *literal, last = resource
    if last is Wildcard.ANY_RUN and all(isinstance(token, str) for token in literal):
        return _BeginsWith(intern(head + literal_text(tuple(literal)))).matches
    test = glob(resource)
    start = len(head)
    return lambda arn, _keys=NO_KEYS: arn.text.startswith(head) and test(arn.text[start:])


def resource_prefix(tokens: Tokens) -> str:
    """The text with which every resource begins that the pattern matches, whatever the request's keys."""
    prefix = literal_text(tuple(takewhile(lambda token: isinstance(token, str), tokens)))
    segments = prefix.split(":")
    if segments[2:3] == ["ec2"] and "" in segments[3:5]:  # which matches any region or account
        return f"arn:{segments[1]}:ec2:"
    return intern(prefix)  # the very text that the pattern's test holds: less memory to touch in a decision
