"""Tags of users, roles and managed policies (AWS: "Tags for IAM resources")."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hatchway.access.authorization import Check
from hatchway.access.context import request_tag_keys
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.quotas import TAGS
from hatchway.control.iam.targets import POLICIES, ROLES, USERS, Target, on_each
from hatchway.control.operations import Call, Result
from hatchway.domain.network import Tags
from hatchway.domain.text import line_problem
from hatchway.protocol import ServiceError


@on_each(USERS, ROLES, POLICIES, name="Tag{}", reads_only=False)
def tag(call: Call, action: str, target: Target[Any]) -> Result:
    """Adds tags. One whose key is there already, in whatever case, is replaced (AWS: "TagUser")."""
    tags = read_tags(call.parameters["Tags"])

    call.authorize(target.check(call, action, request_tag_keys(tags)))

    tagged = target.existing()
    both = {**_without(tagged.tags, tags), **tags}
    if len(both) > TAGS:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for TagsPerResource: {TAGS}")
    target.kind.rows(call).put(replace(tagged, tags=both))
    return {}


@on_each(USERS, ROLES, POLICIES, name="Untag{}", reads_only=False)
def untag(call: Call, action: str, target: Target[Any]) -> Result:
    """Takes tags away. A key that is not there is no error."""
    keys = tuple(call.parameters["TagKeys"])

    call.authorize(target.check(call, action, {"aws:TagKeys": keys} if keys else {}))

    tagged = target.existing()
    target.kind.rows(call).put(replace(tagged, tags=_without(tagged.tags, keys)))
    return {}


@on_each(USERS, ROLES, POLICIES, name="List{}Tags", reads_only=True)
def list_tags(call: Call, action: str, target: Target[Any]) -> Result:
    call.authorize(target.check(call, action))

    page = page_of(call, tag_list(target.existing().tags), key=lambda tag: tag["Key"])
    return {"Tags": page.items, **page.result()}


def read_tags(tags: Iterable[Mapping[str, str]]) -> Tags:
    """The tags of a request.

    Raises:
        ServiceError: keys that differ in case alone, one that is AWS's, too many, or a text that no tag has.
    """
    found: dict[str, str] = {}
    for tag in tags:
        key = tag["Key"]
        # IAM's tag keys are told apart without regard to case (AWS: "Rules for tagging in IAM and AWS STS").
        if key.lower() in (known.lower() for known in found):
            raise ServiceError(
                "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
            )
        if key.lower().startswith("aws:"):
            raise ServiceError("InvalidInput", "Tag keys that begin with aws: are reserved.")
        problem = line_problem(key) or line_problem(tag["Value"])
        if problem is not None:
            raise ServiceError("InvalidInput", f"The tag {problem}.")
        found[key] = tag["Value"]
    return found


def tagging_checks(action: str, arn: str, tags: Tags) -> list[Check]:
    """What it takes to make something with tags, beside making it: as much as to tag what is there (AWS: IAM
    User Guide, "Tags for AWS Identity and Access Management resources")."""
    return [Check(f"iam:{action}", (arn,), context=request_tag_keys(tags))] if tags else []


def tag_list(tags: Tags) -> list[dict[str, str]]:
    """Tags as IAM gives them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def _without(tags: Tags, keys: Iterable[str]) -> dict[str, str]:
    gone = {key.lower() for key in keys}
    return {key: value for key, value in tags.items() if key.lower() not in gone}
