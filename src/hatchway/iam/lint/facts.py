"""What lint needs to know of AWS's services: their actions, resource types and condition keys.

These are values that the caller brings; where they come from is no business of the policy language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hatchway.iam.patterns import Tokens, Wildcard, glob

Keys = Mapping[str, str]
"""Condition key, in lower case, to its type: String, Numeric, Date, Bool, Binary, IPAddress, ARN, ArrayOf….

A key of many names has a placeholder: ``aws:resourcetag/${tagkey}``.
"""


@dataclass(frozen=True, slots=True)
class ResourceTypeFacts:
    """A kind of resource: its name, and its ARN with placeholders such as ``${Region}``."""

    name: str
    arn: str


@dataclass(frozen=True, slots=True)
class ActionFacts:
    """An action: its full name, the kinds of resource that it is about, and its keys.

    Without a kind of resource, it has no resource-level support.
    """

    name: str
    resource_types: tuple[ResourceTypeFacts, ...]
    condition_keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A service: its prefix, its actions by the lower-case name after the colon, and all its keys."""

    prefix: str
    actions: Mapping[str, ActionFacts]
    condition_keys: Keys


class Facts(Protocol):
    """Where lint looks things up."""

    def service(self, prefix: str) -> ServiceFacts | None:
        """The service of a lower-case prefix such as ``ec2``, None when there is no such service."""
        ...


def template_tokens(template: str) -> Tokens:
    """A text with placeholders as a pattern in which each stands for any text."""
    head, *rest = template.split("${")
    tokens: list[str | Wildcard] = [head] if head else []
    for part in rest:
        _, _, literal = part.partition("}")
        tokens += [Wildcard.ANY_RUN, literal] if literal else [Wildcard.ANY_RUN]
    return tuple(tokens)


def is_named(key: str, keys: Mapping[str, object] | frozenset[str]) -> str | None:
    """The one of `keys`, plain or with a placeholder, that names the lower-case `key`."""
    if key in keys:
        return key
    templates = (one for one in keys if "${" in one)
    return next((one for one in templates if glob(template_tokens(one))(key)), None)
