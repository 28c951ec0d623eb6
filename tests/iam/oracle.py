"""A second, slow and obvious evaluator of the policy language, to hold the engine against.

Written from the design's authorization page alone, on raw documents (dicts as JSON gives them), sharing no
code with `hatchway.iam`: globs become sets of ends, numbers fractions, dates datetimes. It assumes
well-formed documents.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from fractions import Fraction
from ipaddress import ip_address, ip_network
from typing import Any

Document = Mapping[str, Any]
Context = Mapping[str, str | tuple[str, ...]]

ALLOWED, EXPLICIT, IMPLICIT = "allowed", "explicitDeny", "implicitDeny"


class NoValue(Exception):
    """A variable has no value, so what it stands in equals nothing."""


class Unreadable(Exception):
    """What came of a variable is no value that the operator reads."""


def outcome(
    layers: Sequence[tuple[str, Sequence[Document]]],
    action: str,
    resources: Sequence[str],
    deny_also: Sequence[str] = (),
    context: Context | None = None,
    *,
    is_root: bool = False,
) -> str:
    """What the layers, each a name and its policies, come to."""
    keys = {key.lower(): value for key, value in (context or {}).items() if value != ()}
    for _, documents in layers:
        for document in documents:
            for statement in statements_of(document):
                if statement["Effect"] == "Deny" and any(
                    applies(document, statement, action, resource, keys)
                    for resource in [*resources, *deny_also]
                ):
                    return EXPLICIT
    for name, documents in layers:
        if name == "identity" and is_root:
            continue
        if not any(
            statement["Effect"] == "Allow" and applies(document, statement, action, resource, keys)
            for document in documents
            for statement in statements_of(document)
            for resource in resources
        ):
            return IMPLICIT
    return ALLOWED


def statements_of(document: Document) -> list[Document]:
    return as_list(document["Statement"])


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def applies(document: Document, statement: Document, action: str, resource: str, keys: Context) -> bool:
    substituting = document.get("Version") == "2012-10-17"
    return (
        action_matches(statement, action)
        and resource_matches(statement, resource, keys, substituting)
        and all(
            condition_holds(
                operator, key, [json_text(value) for value in as_list(values)], keys, substituting
            )
            for operator, pairs in statement.get("Condition", {}).items()
            for key, values in pairs.items()
        )
    )


# --- texts ------------------------------------------------------------------------------------------------


VARIABLE = r"\$\{[^}']*(?:'[^']*'[^}']*)?\}"


def json_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def pieces(text: str, keys: Context, substituting: bool) -> list[tuple[str, bool]]:
    """The text as (piece, is literal) after substitution."""
    if not substituting:
        return [(text, False)]
    found: list[tuple[str, bool]] = []
    for part in re.split(f"({VARIABLE})", text):
        if not part.startswith("${"):
            found.append((part, False))
        elif part in ("${*}", "${?}", "${$}"):
            found.append((part[2], True))
        else:
            key, comma, default = part[2:-1].partition(",")
            value = keys.get(key.strip().lower())
            if value is None and comma:
                value = default.strip().removeprefix("'").removesuffix("'")
            if not isinstance(value, str):
                raise NoValue
            found.append((value, True))
    return found


def plain(text: str, keys: Context, substituting: bool) -> str:
    return "".join(piece for piece, _ in pieces(text, keys, substituting))


def like(parts: Sequence[tuple[str, bool]], text: str) -> bool:
    """Whether the text matches, by all the ends that a match of the pattern so far may have."""
    ends = {0}
    for char, literal in ((char, literal) for piece, literal in parts for char in piece):
        if char == "*" and not literal:
            ends = set(range(min(ends), len(text) + 1)) if ends else ends
        elif char == "?" and not literal:
            ends = {end + 1 for end in ends if end < len(text)}
        else:
            ends = {end + 1 for end in ends if text[end : end + 1] == char}
    return len(text) in ends


def segments_of(parts: Sequence[tuple[str, bool]]) -> list[list[tuple[str, bool]]]:
    """Split at the first five colons that are the pattern's own."""
    segments: list[list[tuple[str, bool]]] = [[]]
    for piece, literal in parts:
        for char in piece or [""] * literal:  # an empty value still stands where it stands
            if char == ":" and not literal and len(segments) < 6:
                segments.append([])
            else:
                segments[-1].append((char, literal))
    return segments


def arn_matches(parts: Sequence[tuple[str, bool]], arn: str, *, is_resource: bool) -> bool:
    if list(parts) == [("*", False)]:
        return True
    names = arn.split(":", 5)
    if len(names) != 6 or names[0] != "arn":
        return False
    patterns = segments_of(parts)
    if is_resource:
        patterns += [[("*", False)]] * (6 - len(patterns))
    if is_resource and "".join(char for char, _ in patterns[2]) == "ec2":
        for scope in (3, 4):
            if not patterns[scope]:
                patterns[scope] = [("*", False)]
    return len(patterns) == 6 and all(
        like(pattern, name) for pattern, name in zip(patterns, names, strict=True)
    )


# --- elements ---------------------------------------------------------------------------------------------


def action_matches(statement: Document, action: str) -> bool:
    negated = "NotAction" in statement
    listed = as_list(statement["NotAction" if negated else "Action"])
    matched = any(like([(p.lower(), False)], action.lower()) for p in listed)
    return matched != negated


def resource_matches(statement: Document, resource: str, keys: Context, substituting: bool) -> bool:
    """An ARN without a value matches nothing; an Allow of its complement is none, to be on the safe side."""
    negated = "NotResource" in statement
    matched = unknown = False
    for pattern in as_list(statement["NotResource" if negated else "Resource"]):
        try:
            parts = pieces(pattern, keys, substituting)
        except NoValue:
            unknown = True
        else:
            matched = matched or arn_matches(parts, resource, is_resource=True)
    if negated and unknown and statement["Effect"] == "Allow":
        return False
    return matched != negated


# --- conditions -------------------------------------------------------------------------------------------

NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}


def condition_holds(operator: str, key: str, values: list[str], keys: Context, substituting: bool) -> bool:
    given = keys.get(key.lower())
    if operator == "Null":
        return any((given is None) == (value.lower() == "true") for value in values)

    quantifier, _, rest = operator.rpartition(":")
    if_exists = rest.endswith("IfExists")
    name = rest.removesuffix("IfExists")
    negated = name in NEGATIONS
    positive = NEGATIONS.get(name, name)

    def accepts(one: str) -> bool:
        if not readable(positive, one):
            return False
        matched = False
        for value in values:
            try:
                check_value(positive, value, keys, substituting)
                matched = matched or compare(positive, one, value, keys, substituting)
            except NoValue:
                pass  # it equals nothing
            except Unreadable:
                if negated:
                    return False
        return matched != negated

    if quantifier == "ForAllValues":
        several = [] if given is None else [given] if isinstance(given, str) else list(given)
        return all(one == "" for one in several) or all(accepts(one) for one in several)
    if quantifier == "ForAnyValue":
        if given is None:
            return if_exists
        return any(accepts(one) for one in ([given] if isinstance(given, str) else given))
    if given is None:
        return negated or if_exists
    return isinstance(given, str) and accepts(given)


def family(operator: str) -> str:
    for name in ("String", "Numeric", "Date", "Bool", "Binary", "Arn"):
        if operator.startswith(name):
            return name
    return "Ip"


def read(kind: str, text: str) -> Any:
    """A value as its family reads it; ValueError for one that it cannot read."""
    if kind == "Numeric":
        if (
            not re.fullmatch(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", text)
            or len(text) > 64
        ):
            raise ValueError
        return Fraction(text)
    if kind == "Date":
        if re.fullmatch(r"[0-9]{4}(-[0-9]{2}){0,2}", text):
            text += "-01" * ((10 - len(text)) // 3) + "T00:00Z"
        if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text) and len(text) <= 64:
            return Fraction(text)
        found = re.fullmatch(
            r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)((?<=:[0-9]{2}:[0-9]{2})\.[0-9]{1,9})?"
            r"(Z|[+-][0-9]{2}(?::?[0-5][0-9])?)",
            text,
        )
        if not found:
            raise ValueError
        moment = datetime.fromisoformat(found[1] + found[3]) - datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
        return Fraction(moment.days * 86400 + moment.seconds) + Fraction(found[2] or 0)
    if kind == "Bool":
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower() == "true"
    if kind == "Binary":
        return base64.b64decode(text.encode("ascii"), validate=True)
    if kind == "Ip":
        address = ip_address(text)
        return getattr(address, "ipv4_mapped", None) or address
    if kind == "Arn" and (len(text.split(":", 5)) < 6 or not text.startswith("arn:")):
        raise ValueError
    return text


def readable(operator: str, text: str) -> bool:
    try:
        read(family(operator), text)
    except ValueError:
        return False
    return True


def check_value(operator: str, value: str, keys: Context, substituting: bool) -> None:
    """Raise NoValue or Unreadable when the policy's value cannot be compared for this request."""
    kind = family(operator)
    text = plain(value, keys, substituting)
    whole_variable = substituting and re.fullmatch(VARIABLE, value)
    if kind == "Ip":
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise Unreadable from None
    elif kind != "String" and (kind != "Arn" or whole_variable) and not readable(operator, text):
        raise Unreadable


def same_letter(one: str, other: str) -> bool:
    """Whether two characters differ in case at most, neither becoming several."""

    def readings(char: str) -> set[str]:
        return {form for form in (char, char.lower(), char.casefold()) if len(form) == 1}

    return bool(readings(one) & readings(other))


def compare(operator: str, given: str, value: str, keys: Context, substituting: bool) -> bool:
    kind = family(operator)
    if operator == "StringLike":
        return like(pieces(value, keys, substituting), given)
    text = plain(value, keys, substituting)
    if kind == "Arn":
        if substituting and re.fullmatch(VARIABLE, value):
            return given == text
        return arn_matches(pieces(value, keys, substituting), given, is_resource=False)
    if operator == "StringEqualsIgnoreCase":
        return len(given) == len(text) and all(map(same_letter, given, text))
    if kind == "Ip":
        network = ip_network(text, strict=False)
        address = read("Ip", given)
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        if mapped is not None and network.prefixlen >= 96:
            network = ip_network(f"{mapped}/{network.prefixlen - 96}")
        return bool(address.version == network.version and address in network)
    left, right = read(kind, given), read(kind, text)
    below, equal = ("LessThan" in operator, "Equals" in operator or operator == "Bool")
    above = "GreaterThan" in operator
    return bool((below and left < right) or (above and left > right) or (equal and left == right))


# --- trust policies ---------------------------------------------------------------------------------------


def trust_outcome(
    document: Document, action: str, caller: Mapping[str, str], context: Context
) -> tuple[str, str]:
    """Outcome, and whether the Allows name the "principal", its "role" or "account", "anyone" or nobody."""
    keys = {key.lower(): value for key, value in context.items() if value != ()}
    substituting = document.get("Version") == "2012-10-17"
    ranks = ["not", "anyone", "account", "role", "principal"]
    closest = "not"
    denied = False
    for statement in statements_of(document):
        named = how_named(statement, caller)
        if (
            named == "not"
            or not action_matches(statement, action)
            or not all(
                condition_holds(operator, key, [json_text(v) for v in as_list(values)], keys, substituting)
                for operator, pairs in statement.get("Condition", {}).items()
                for key, values in pairs.items()
            )
        ):
            continue
        if statement["Effect"] == "Deny":
            denied = True
        else:
            closest = max(closest, named, key=ranks.index)
    return EXPLICIT if denied else IMPLICIT if closest == "not" else ALLOWED, closest


def how_named(statement: Document, caller: Mapping[str, str]) -> str:
    element = statement["Principal"]
    if element == "*":
        return "anyone"
    listed = as_list(element.get(caller["kind"], []))
    if caller["arn"] in listed:
        is_root = caller["arn"] == f"arn:aws:iam::{caller['account']}:root"
        return "account" if is_root else "principal"
    if caller.get("role_arn", "") in listed:
        return "role"
    if caller["kind"] == "AWS":
        if caller["account"] in listed or f"arn:aws:iam::{caller['account']}:root" in listed:
            return "account"
        if "*" in listed:
            return "anyone"
    return "not"
