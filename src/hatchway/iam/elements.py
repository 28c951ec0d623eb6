"""What a statement is about: Action, Resource, their complements, and Principal."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from hatchway.iam.errors import UnreadableValue
from hatchway.iam.patterns import (
    NO_KEYS,
    Arn,
    ArnMatcher,
    Keys,
    Tokens,
    Variable,
    arn_pattern,
    complete_arn,
    glob,
    is_everything,
    literal_text,
    resource_prefix,
    shorten,
    split_segments,
    substitute,
    tokenise,
    variables_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ACTION = re.compile(r"\*|[A-Za-z0-9_.*?-]+:[A-Za-z0-9_.*?-]+")


@dataclass(frozen=True, slots=True)
class ActionElement:
    """``Action``, or ``NotAction`` when negated. `matches` takes the action in lower case."""

    patterns: tuple[str, ...]
    negated: bool
    matches: Callable[[str], bool] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ResourceElement:
    """``Resource``, or ``NotResource`` when negated.

    `matches` takes one resource and the request's keys; `is_everything` says that it always holds. Whatever
    it holds for begins with one of `prefixes`.
    """

    patterns: tuple[str, ...]
    negated: bool
    is_everything: bool
    variables: tuple[Variable, ...] = field(repr=False, compare=False)
    prefixes: tuple[str, ...] = field(repr=False, compare=False)
    matches: ArnMatcher = field(repr=False, compare=False)


class PrincipalKind(StrEnum):
    """The kinds of principal that a trust policy names."""

    AWS = "AWS"
    SERVICE = "Service"
    FEDERATED = "Federated"
    CANONICAL_USER = "CanonicalUser"


class Named(IntEnum):
    """How closely a trust policy named the caller, from not at all to by its own ARN.

    `ROLE` is by that of the role whose session the caller is.
    """

    NOT = 0
    ANYONE = 1
    ACCOUNT = 2
    ROLE = 3
    PRINCIPAL = 4


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks to assume a role.

    `arn` is the caller's own ARN (a session's for an assumed role), or the name of a service or identity
    provider; `role_arn` the role behind a session, which a trust policy may name instead.
    """

    arn: str
    account: str = ""
    kind: PrincipalKind = PrincipalKind.AWS
    role_arn: str | None = None


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """``Principal``: (kind, name) pairs, kind None for a bare ``*``."""

    names: tuple[tuple[PrincipalKind | None, str], ...]

    def names_caller(self, caller: Principal) -> Named:
        """How closely this element names `caller`."""
        return max((_named(kind, name, caller) for kind, name in self.names), default=Named.NOT)


def compile_action(patterns: tuple[str, ...], *, negated: bool) -> ActionElement:
    """Compile actions, matched whatever their case.

    Raises UnreadableValue (message, index) for a text that is neither ``*`` nor ``service:action``.
    """
    tests = []
    literals = set()
    for index, pattern in enumerate(patterns):
        if not _ACTION.fullmatch(pattern):
            raise UnreadableValue(f"'{shorten(pattern)}' is not '*' or service:action", index)
        tokens = tokenise(pattern.lower(), wildcards=True, variables=False)
        if all(isinstance(token, str) for token in tokens):
            literals.add(literal_text(tokens))
        else:
            tests.append(glob(tokens))

    def matches(action: str) -> bool:
        return (action in literals or any(test(action) for test in tests)) is not negated

    return ActionElement(patterns, negated, matches)


def compile_resource(
    patterns: tuple[str, ...], *, negated: bool, variables: bool, grants: bool, completes: bool
) -> ResourceElement:
    """Compile resource patterns.

    A resource that is literally ``*`` (a request without resource-level support) matches the pattern ``*``
    only. `grants` is whether the statement is an Allow, `completes` whether ARNs may lack segments. Raises
    UnreadableValue (message, index) for a text that is neither ``*`` nor an ARN.
    """
    tests: list[ArnMatcher] = []
    found: list[Variable] = []
    prefixes: list[str] = []
    everything = False
    for index, pattern in enumerate(patterns):
        try:
            tokens = tokenise(pattern, wildcards=True, variables=variables)
        except UnreadableValue as error:
            raise UnreadableValue(error.args[0], index) from None
        try:
            if completes:
                tokens = complete_arn(tokens)
            tests.append(_one_resource(tokens, when_unknown=negated and grants))
        except UnreadableValue:
            raise UnreadableValue(f"'{shorten(pattern)}' is not '*' or an ARN", index) from None
        everything = everything or is_everything(tokens)
        found += variables_of(tokens)
        prefixes.append(resource_prefix(tokens))
    if negated:
        return ResourceElement(patterns, True, False, tuple(found), ("",), _none_of(tests))
    return ResourceElement(patterns, False, everything, tuple(found), tuple(prefixes), _some_of(tests))


def _one_resource(tokens: Tokens, *, when_unknown: bool) -> ArnMatcher:
    """The test of one pattern; `when_unknown` is its answer where a variable has no value.

    Such a pattern matches no resource, so that every resource is in its complement, and a Deny applies. An
    Allow takes the safe side: with yes as the answer, nothing is in the complement.
    """
    if not variables_of(tokens):
        return arn_pattern(tokens, empty_ec2_scope_is_any=True)
    split_segments(tokens)

    def matches(arn: Arn, keys: Keys = NO_KEYS) -> bool:
        resolved = substitute(tokens, keys)
        if resolved is None:
            return when_unknown
        return arn_pattern(resolved, empty_ec2_scope_is_any=True)(arn)

    return matches


def _some_of(tests: Sequence[ArnMatcher]) -> ArnMatcher:
    if len(tests) == 1:
        return tests[0]
    return lambda arn, keys=NO_KEYS: any(test(arn, keys) for test in tests)


def _none_of(tests: Sequence[ArnMatcher]) -> ArnMatcher:
    return lambda arn, keys=NO_KEYS: not any(test(arn, keys) for test in tests)


MAX_PRINCIPAL_CHARACTERS = 2048
"""As long as an ARN may be."""

_ACCOUNT_ROOT = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):root")
_PRINCIPAL_NAMES = {
    PrincipalKind.AWS: (
        r"\*|[0-9]{12}"
        r"|arn:[a-z-]+:iam::[0-9]{12}:(?:root|(?:user|role)/[!-~]+)"
        r"|arn:[a-z-]+:sts::[0-9]{12}:(?:assumed-role/[^/ ]+/[^/ ]+|federated-user/[!-~]+)"
        # Of a user, role or session that is gone its unique id is left, which names nobody.
        r"|(?:AIDA|AROA)[A-Z0-9]{12,124}(?::[^/ ]+)?",
        "'*', an account or the ARN of a user, role or session",
    ),
    PrincipalKind.SERVICE: (r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", "the name of a service"),
    PrincipalKind.FEDERATED: (r"[!-~]+", "the name or ARN of an identity provider"),
    PrincipalKind.CANONICAL_USER: (r"[0-9a-f]{64}", "a canonical user id"),
}


def check_principal(kind: PrincipalKind, name: str) -> None:
    """Raise UnreadableValue for a name that no principal of `kind` has. Only a whole ``*`` is a wildcard."""
    pattern, reads = _PRINCIPAL_NAMES[kind]
    if (
        len(name) > MAX_PRINCIPAL_CHARACTERS
        or not re.fullmatch(pattern, name)
        or (name != "*" and ("*" in name or "?" in name))
    ):
        raise UnreadableValue(f"'{shorten(name)}' is not {reads}")


def _named(kind: PrincipalKind | None, name: str, caller: Principal) -> Named:
    if kind is None:
        return Named.ANYONE
    if kind is not caller.kind:
        return Named.NOT
    if kind is PrincipalKind.AWS:
        if name == "*":
            return Named.ANYONE
        root = _ACCOUNT_ROOT.fullmatch(name)
        if caller.account and caller.account in (name, root[1] if root else ""):
            return Named.ACCOUNT
    if name == caller.arn:
        return Named.PRINCIPAL
    return Named.ROLE if name == caller.role_arn else Named.NOT
