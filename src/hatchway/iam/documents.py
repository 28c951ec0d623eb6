"""Policy documents: from text to checked, compiled statements.

The grammar is AWS's ("Grammar of the IAM JSON policy language"), for identity-based policies and for the
trust policies of roles. Everything that is not in it is refused, with its place: a policy that is misread is
worse than one that is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any, Never, TypeVar

from hatchway.iam.conditions import Condition, KeysTest, compile_condition
from hatchway.iam.document_text import JsonNumber, load, plain, refuse, shown, text_of
from hatchway.iam.elements import (
    ActionElement,
    PrincipalElement,
    PrincipalKind,
    ResourceElement,
    check_principal,
    compile_action,
    compile_resource,
)
from hatchway.iam.errors import UnreadableValue
from hatchway.iam.operators import NULL, OPERATORS
from hatchway.iam.patterns import Arn, ArnMatcher, Keys, shorten

VERSIONS = ("2012-10-17", "2008-10-17")
"""Only under the first are policy variables substituted; without a Version the second holds."""


class PolicyKind(StrEnum):
    """An identity-based policy (or boundary, guardrail), a session policy, or the trust policy of a role."""

    IDENTITY = "identity"
    SESSION = "session"
    TRUST = "trust"


class Effect(StrEnum):
    """What a statement does when it matches."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Statement:
    """One compiled statement. `resource` is None in a trust policy, `principal` elsewhere.

    `has_variables` says that it reads differently in different requests.
    """

    index: int
    sid: str | None
    effect: Effect
    action: ActionElement
    resource: ResourceElement | None
    principal: PrincipalElement | None
    conditions: tuple[Condition, ...]
    has_variables: bool = field(init=False, repr=False, compare=False)
    _resource_test: ArnMatcher | None = field(init=False, repr=False, compare=False)
    _condition_tests: tuple[KeysTest, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # What `applies` needs, without a detour: it runs for every statement of every decision.
        resource = self.resource
        matches = None if resource is None or resource.is_everything else resource.matches
        variables = any(c.variables for c in self.conditions) or bool(resource and resource.variables)
        object.__setattr__(self, "has_variables", variables)
        object.__setattr__(self, "_resource_test", matches)
        object.__setattr__(self, "_condition_tests", tuple(c.holds for c in self.conditions))

    def applies(self, resource: Arn, keys: Keys) -> bool:
        """Whether the statement, its action having matched, is about `resource` under these keys."""
        matches = self._resource_test
        if matches is not None and not matches(resource, keys):
            return False
        for holds in self._condition_tests:  # noqa: SIM110 - a generator would double the cost
            if not holds(keys):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy. `document` is its text: as given, or the JSON of a mapping that was given."""

    name: str
    kind: PolicyKind
    version: str
    statements: tuple[Statement, ...]
    document: str = field(repr=False)


def parse_policy(
    document: str | bytes | Mapping[str, Any], *, name: str = "", kind: PolicyKind = PolicyKind.IDENTITY
) -> Policy:
    """Read, check and compile a policy document.

    `document` is JSON text, its UTF-8 bytes, or a mapping such as a YAML file gives; `name` is what decisions
    call the policy. Raises MalformedPolicy, whose message names the place and the problem.
    """
    content = document if isinstance(document, Mapping) else load(text_of(document))
    _only(content, {"Version", "Statement"} | ({"Id"} if kind is PolicyKind.TRUST else set()), "document")
    version = content.get("Version", VERSIONS[1])
    if version not in VERSIONS:
        refuse("Version", f"{_quoted(version)}is neither {' nor '.join(VERSIONS)}")
    if "Id" in content:
        _text(content["Id"], "Id")
    listed = content.get("Statement")
    if listed is None:
        refuse("document", "has no Statement")
    sources = listed if isinstance(listed, list | tuple) else [listed]
    if not sources:
        refuse("Statement", "is empty")
    statements = tuple(
        _statement(source, index, kind, variables=version == VERSIONS[0])
        for index, source in enumerate(sources)
    )
    _check_sids(statements)
    text = json.dumps(plain(document)) if isinstance(document, Mapping) else text_of(document)
    return Policy(name, kind, version, statements, text)


def _quoted(value: Any) -> str:
    """A text as a message quotes it at its beginning; nothing of any other value."""
    return f"'{shown(value)}' " if isinstance(value, str) else ""


_IN_ALL = {"Sid", "Effect", "Action", "NotAction", "Condition"}
_ELEMENTS = {
    PolicyKind.IDENTITY: {*_IN_ALL, "Resource", "NotResource"},
    PolicyKind.SESSION: {*_IN_ALL, "Resource", "NotResource"},
    PolicyKind.TRUST: {*_IN_ALL, "Principal"},
}


def _only(content: Any, known: set[str], place: str) -> None:
    """Refuse what is no object, and elements that are not known."""
    if not isinstance(content, Mapping):
        refuse(place, "is not an object")
    for key in content:
        if key not in known:
            if not isinstance(key, str) or not key:
                refuse(place, "has an element without a name")
            inside = "" if place == "document" else f"{place}."
            refuse(f"{inside}{shown(key)}", "is not an element of the policy language here")


_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str) or isinstance(value, JsonNumber):
        refuse(place, "is not a text")
    if not value.isprintable():
        _check_characters(value, place)
    return str(value)


def _check_characters(text: str, place: str) -> None:
    """Refuse what no store, log or wire format carries safely, by the rule that holds for all texts here.

    Those are controls, the line and paragraph separators, half surrogates, and what is no character for good.
    """
    found = _UNSAFE.search(text)
    if found is not None:
        refuse(place, f"has the character U+{ord(found[0]):04X}")


def _texts(value: Any, place: str, read: Callable[[Any, str], str] = _text) -> tuple[str, ...]:
    """One text or a list of them, never none."""
    if not isinstance(value, list | tuple):
        return (read(value, place),)
    if not value:
        refuse(place, "is empty")
    return tuple(read(item, f"{place}[{index}]") for index, item in enumerate(value))


def _scalar(value: Any, place: str) -> str:
    """A condition's value: a text, or a number or boolean, which AWS takes as its text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not isfinite(value):
        refuse(place, "is not a finite number")
    if isinstance(value, int | float):
        try:
            return str(value)
        except ValueError:  # more digits than Python converts
            refuse(place, "is too long a number")
    if isinstance(value, JsonNumber):
        return str(value)
    return _text(value, place)


def _statement(source: Any, index: int, kind: PolicyKind, *, variables: bool) -> Statement:
    place = f"Statement[{index}]"
    _only(source, _ELEMENTS[kind], place)
    sid = _text(source["Sid"], f"{place}.Sid") if "Sid" in source else ""
    if "Effect" not in source:
        refuse(place, "has no Effect")
    if source["Effect"] not in (Effect.ALLOW, Effect.DENY):
        refuse(f"{place}.Effect", f"{_quoted(source['Effect'])}is neither Allow nor Deny")

    effect = Effect(source["Effect"])
    action = _either(source, "Action", place, lambda texts, negated: compile_action(texts, negated=negated))
    resource = principal = None
    if kind is PolicyKind.TRUST:
        _check_trust_actions(action, source, place)
        principal = _principal(source, f"{place}.Principal")
    else:
        resource = _either(
            source,
            "Resource",
            place,
            lambda texts, negated: compile_resource(
                texts,
                negated=negated,
                variables=variables,
                grants=effect is Effect.ALLOW,
                completes=kind is PolicyKind.IDENTITY,
            ),
        )
    conditions = tuple(_conditions(source.get("Condition", {}), f"{place}.Condition", variables=variables))
    return Statement(index, sid or None, effect, action, resource, principal, conditions)


Element = TypeVar("Element", ActionElement, ResourceElement)


def _choose(source: Mapping[str, Any], element: str, place: str) -> str:
    """The one of an element and its complement that the statement has."""
    present = [name for name in (element, f"Not{element}") if name in source]
    if len(present) == 2:
        refuse(place, f"has both {element} and Not{element}")
    if not present:
        refuse(place, f"has neither {element} nor Not{element}")
    return present[0]


def _either(
    source: Mapping[str, Any],
    element: str,
    place: str,
    compiled: Callable[[tuple[str, ...], bool], Element],
) -> Element:
    name = _choose(source, element, place)
    inside = f"{place}.{name}"
    texts = _texts(source[name], inside)
    try:
        return compiled(texts, name != element)
    except UnreadableValue as error:
        _refuse_value(error, source[name], inside)


def _refuse_value(error: UnreadableValue, value: Any, place: str) -> Never:
    """Turn a reader's (message, index) into the place of the value at fault."""
    problem, index = error.args
    refuse(f"{place}[{index}]" if isinstance(value, list | tuple) else place, problem)


def _conditions(source: Any, place: str, *, variables: bool) -> Iterable[Condition]:
    if not isinstance(source, Mapping):
        refuse(place, "is not an object")
    for operator, pairs in source.items():
        inside = f"{place}.{_text(operator, place)}"
        if operator != NULL and operator not in OPERATORS:
            refuse(inside, "is not a condition operator")
        if not isinstance(pairs, Mapping):
            refuse(inside, "is not an object")
        for key, value in pairs.items():
            at = f"{inside}.{_text(key, inside)}"
            if not key:
                refuse(inside, "has an empty condition key")
            values = _texts(value, at, _scalar)
            try:
                yield compile_condition(operator, key, values, variables=variables)
            except UnreadableValue as error:
                _refuse_value(error, value, at)


def _check_trust_actions(action: ActionElement, source: Mapping[str, Any], place: str) -> None:
    """Refuse, in the trust policy of a role, actions of other services than sts."""
    name = "NotAction" if action.negated else "Action"
    for index, pattern in enumerate(action.patterns):
        if not pattern.lower().startswith("sts:"):
            problem = f"'{shorten(pattern)}' is not an action of sts, as all in a trust policy are"
            _refuse_value(UnreadableValue(problem, index), source[name], f"{place}.{name}")


def _principal(source: Mapping[str, Any], inside: str) -> PrincipalElement:
    if "Principal" not in source:
        refuse(inside.rpartition(".")[0], "has no Principal")
    value = source["Principal"]
    if value == "*":
        return PrincipalElement(((None, "*"),))
    _only(value, set(PrincipalKind), inside)
    if not value:
        refuse(inside, "is empty")
    names = []
    for kind in map(PrincipalKind, value):
        listed = _texts(value[kind], f"{inside}.{kind}")
        for index, text in enumerate(listed):
            try:
                check_principal(kind, text)
            except UnreadableValue as error:
                _refuse_value(UnreadableValue(error.args[0], index), value[kind], f"{inside}.{kind}")
            names.append((kind, text))
    return PrincipalElement(tuple(names))


def _check_sids(statements: tuple[Statement, ...]) -> None:
    seen: set[str] = set()
    for statement in statements:
        if statement.sid is None:
            continue
        if statement.sid in seen:
            refuse(f"Statement[{statement.index}].Sid", f"'{shorten(statement.sid)}' is used more than once")
        seen.add(statement.sid)
