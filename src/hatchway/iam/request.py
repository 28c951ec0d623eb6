"""A request as the policy language sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hatchway.iam.errors import AmbiguousContext
from hatchway.iam.patterns import Arn, Keys, read_arn

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Request:
    """One permission check: may this action be done on any of these resources, under this context?

    `resource` is an ARN, or several of which an Allow needs to match only one; ``*`` for an action without
    resource-level support. `deny_also` lists resources that only a Deny looks at. `context` maps condition
    keys, whatever their case, to a text, or to a tuple of texts for a multi-valued key; a tuple without
    values is an absent key.

    Raises ValueError for no resource; AmbiguousContext for two keys that differ in case alone; TypeError for
    other values.
    """

    action: str
    resource: str | tuple[str, ...] = "*"
    context: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    deny_also: tuple[str, ...] = ()
    keys: Keys = field(init=False, repr=False, compare=False)
    targets: tuple[Arn, ...] = field(init=False, repr=False, compare=False)
    deny_targets: tuple[Arn, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        resources = self.resources
        if not resources:
            raise ValueError(
                "a request needs a resource; '*' stands for an action without resource-level support"
            )
        targets = tuple(map(read_arn, resources))
        set_once = object.__setattr__
        set_once(self, "targets", targets)
        set_once(
            self, "deny_targets", (*targets, *map(read_arn, self.deny_also)) if self.deny_also else targets
        )
        set_once(self, "keys", fold_keys(self.context))

    @property
    def resources(self) -> tuple[str, ...]:
        """The any-of resources, always as a tuple."""
        return (self.resource,) if isinstance(self.resource, str) else self.resource


_ONLY_TEXTS: Final = {str}


def fold_keys(context: Mapping[str, str | tuple[str, ...]]) -> Keys:
    """Context by lower-case key, keys without a value left out."""
    keys = {key.lower(): value for key, value in context.items()}
    if len(keys) == len(context) and _ONLY_TEXTS.issuperset(map(type, keys.values())):
        return keys
    keys = {}
    for key, value in context.items():
        if not isinstance(value, str) and (
            not isinstance(value, tuple) or not all(isinstance(item, str) for item in value)
        ):
            raise TypeError(f"the value of {key} is neither a text nor a tuple of texts")
        folded = key.lower()
        if folded in keys:
            raise AmbiguousContext((next(other for other in context if other.lower() == folded), key))
        if value != ():
            keys[folded] = value
    return keys
