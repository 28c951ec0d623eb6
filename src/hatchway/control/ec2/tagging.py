"""Tags of EC2 resources (AWS: "Tag your Amazon EC2 resources"): given, taken away, listed."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Column, select

from hatchway.access.authorization import Check, Context
from hatchway.access.context import request_tag_keys
from hatchway.control.ec2.documented_filters import DOCUMENTED
from hatchway.control.ec2.filters import read_filters
from hatchway.control.ec2.listing import limited
from hatchway.control.ec2.paging import next_token, page_size, position_of
from hatchway.control.ec2.resource_ids import MOST_IDS
from hatchway.control.ec2.resources import KINDS, SECURITY_GROUP_RULES, Kind
from hatchway.control.ec2.sql_filters import few_first
from hatchway.control.ec2.tags import MOST_TAGS, check_key, read_tag_list
from hatchway.control.ec2.work_budget import WorkBudget
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.endpoint import EndpointState
from hatchway.domain.network import Tags
from hatchway.protocol import ServiceError
from hatchway.store.tables import endpoints, tag_index

_LIST: Final = "DescribeTags"
_TAG: Final = "tag:"
_LEAST_PAGE: Final = 5
_AT_ONCE: Final = 200
_LONGEST_ECHO: Final = 128
MOST_WRITTEN: Final = 5000
"""Tags that the resources which one call changes have in all. With one of a resource's tags all are written
anew, each with its place in the index, and nobody else can write meanwhile."""


@operation("ec2", "CreateTags", reads_only=False)
def create_tags(call: Call) -> Result:
    """Gives each resource the tags; those whose keys it has get the new values."""
    given = read_tag_list(call.parameters["Tags"])
    targets = _targets(call)

    tag_keys = request_tag_keys(given)
    call.authorize(
        *(
            kind.check(call, "CreateTags", resource_id, noun, context=tag_keys)
            for kind, resource_id, noun in targets
        )
    )

    _put_all(call, [(kind, noun, _with(noun.tags, given)) for kind, noun in _present(targets)])
    return {}


@operation("ec2", "DeleteTags", reads_only=False)
def delete_tags(call: Call) -> Result:
    """Takes tags away: those with a key, or with a key and a value, or all when none are named."""
    asked = call.parameters.get("Tags") or ()
    unwanted: dict[str, str | None] = {}
    for tag in asked:
        key = tag.get("Key") or ""
        check_key(key)
        unwanted[key] = tag.get("Value")
    targets = _targets(call)
    keys: dict[str, str | tuple[str, ...]] = {
        f"aws:RequestTag/{key}": value for key, value in unwanted.items() if value is not None
    }

    def asked_of(noun: Any) -> Context:
        # Without tags named those go that the resource has: what a policy says of their keys holds for them.
        gone = tuple(unwanted) if asked or noun is None else tuple(noun.tags)
        return {**keys, "aws:TagKeys": gone} if gone else keys

    call.authorize(
        *(
            kind.check(call, "DeleteTags", resource_id, noun, context=asked_of(noun))
            for kind, resource_id, noun in targets
        )
    )

    def kept(tags: Tags) -> Tags:
        return {
            key: value
            for key, value in tags.items()
            if asked and (key not in unwanted or unwanted[key] not in (None, value))
        }

    _put_all(call, [(kind, noun, kept(noun.tags)) for kind, noun in _present(targets)])
    return {}


def _put_all(call: Call, tagged: Iterable[tuple[Kind[Any], Any, Tags]]) -> None:
    """Gives resources the tags that they are to have.

    Raises:
        ServiceError: that is too much for one call.
    """
    changed = [(kind, noun, tags) for kind, noun, tags in tagged if tags != noun.tags]
    if sum(max(len(noun.tags), len(tags)) for _, noun, tags in changed) > MOST_WRITTEN:
        raise ServiceError(
            "RequestResourceCountExceeded",
            f"The resources that one call changes have at most {MOST_WRITTEN} tags in all: name fewer.",
        )
    for kind, noun, tags in changed:
        _put(call, kind, replace(noun, tags=tags))


def _put(call: Call, kind: Kind[Any], noun: Any) -> None:
    kind.rows(call.tx).put(noun)
    group = call.tx.security_groups.get(noun.group_id) if kind is SECURITY_GROUP_RULES else None
    if group is not None:
        # So that whoever has read the account sees that it is another.
        call.tx.security_groups.put(group)


Target = tuple[Kind[Any], str, Any]
"""A kind, an id, and the resource; None where there is none."""


def _targets(call: Call) -> list[Target]:
    """What a call is about.

    Raises:
        ServiceError: there are too many, or one has an id of no kind that can be tagged.
    """
    ids = tuple(dict.fromkeys(call.parameters["Resources"]))
    if not ids:
        raise ServiceError("MissingParameter", "The request must contain the parameter resourceIdSet")
    if len(ids) > MOST_IDS:
        raise ServiceError("InvalidParameterValue", f"A request has at most {MOST_IDS} resources.")
    found = []
    for resource_id in ids:
        kind = KINDS.get(resource_id.partition("-")[0])
        if kind is None:
            raise ServiceError("InvalidID", f"The ID '{resource_id[:_LONGEST_ECHO]}' is not valid")
        found.append((kind, resource_id, kind.find(call, resource_id)))
    return found


def _present(targets: Iterable[Target]) -> list[tuple[Kind[Any], Any]]:
    """
    Raises:
        ServiceError: something is not there; then nothing is done to the rest either.
    """
    return [(kind, kind.required(noun, resource_id)) for kind, resource_id, noun in targets]


def _with(tags: Tags, given: Tags) -> dict[str, str]:
    """
    Raises:
        ServiceError: there would be too many, or two that policies cannot tell apart.
    """
    merged = {**tags, **given}
    if len(merged) > MOST_TAGS:
        raise ServiceError("TagLimitExceeded", f"A resource has at most {MOST_TAGS} tags.")
    spelled: dict[str, str] = {}
    for key in merged:
        other = spelled.setdefault(key.lower(), key)
        if other != key:
            raise ServiceError(
                "InvalidParameterValue",
                f"The resource has the tag '{other}' already, which to policies is the same as '{key}'.",
            )
    return merged


@dataclass(frozen=True, slots=True)
class _Tag:
    """A row of the index of tags, as filters look at it."""

    resource_id: str
    tag_key: str
    resource_type: str
    tag_value: str

    def result(self) -> dict[str, str]:
        return {
            "ResourceType": self.resource_type,
            "ResourceId": self.resource_id,
            "Key": self.tag_key,
            "Value": self.tag_value,
        }


_COLUMNS: Final = tag_index.c
_FIELDS: Final[Mapping[str, Column[Any]]] = {
    "key": _COLUMNS.tag_key,
    "resource-id": _COLUMNS.resource_id,
    "resource-type": _COLUMNS.resource_type,
    "value": _COLUMNS.tag_value,
}


@operation("ec2", _LIST, reads_only=True)
def describe_tags(call: Call) -> Result:
    """The tags of everything that can have some, by the resource's id and the key."""
    call.authorize(Check(f"ec2:{_LIST}"))
    size = page_size(call.parameters, _LEAST_PAGE)
    after = position_of(call.parameters, _LIST)
    filters = _read_filters(call)
    chosen: list[tuple[str, _Tag]] = []
    with WorkBudget() as budget, limited(call.tx, filters, budget):
        conditions = few_first(call.tx.vpcs, _COLUMNS.resource_id, filters.conditions)
        for position, tag in _tags_after(call, after, conditions, size + 1):
            budget.spend()
            if filters.hold(tag, budget):
                chosen.append((position, tag))
                if len(chosen) > size:
                    break
    page = chosen[:size]
    token = next_token(_LIST, page[-1][0]) if len(chosen) > size else None
    return {"Tags": [tag.result() for _, tag in page], "NextToken": token}


def _read_filters(call: Call) -> Any:
    """A call's filters; `tag:key` asks for that key and for its values."""
    asked: list[Mapping[str, Any]] = []
    for one in call.parameters.get("Filters") or ():
        name, values = one.get("Name") or "", one.get("Values")
        if name.startswith(_TAG):
            literal = re.sub(r"([\\*?])", r"\\\1", name[len(_TAG) :])
            asked += [{"Name": "key", "Values": [literal]}, {"Name": "value", "Values": values}]
        elif name in DOCUMENTED[_LIST]:
            asked.append(one)
        else:
            raise ServiceError("InvalidParameterValue", f"The filter '{name[:_LONGEST_ECHO]}' is invalid")
    fields: Any = _FIELDS
    return read_filters(asked, fields, tag_index)


def _tags_after(call: Call, after: str, conditions: Sequence[Any], enough: int) -> Iterator[tuple[str, _Tag]]:
    """Tags behind a position, each with its own: its resource's id, and which of its tags it is there.

    A key can be longer, and of other characters, than what a token takes.
    """
    gone = select(endpoints.c.id).where(endpoints.c.state == EndpointState.DELETE_COMPLETE)
    query = select(tag_index).where(*conditions, _COLUMNS.resource_id.not_in(gone))
    query = query.order_by(*tag_index.primary_key).limit(max(enough, _AT_ONCE))
    resource_id, _, told = after.partition(" ")
    done = min(int(told), MOST_TAGS) if told.isdecimal() else 0
    while True:
        rows = call.tx.vpcs.rows(query.where(_COLUMNS.resource_id >= resource_id).offset(done))
        for tag in (_Tag(*row) for row in rows):
            if tag.resource_id != resource_id:
                resource_id, done = tag.resource_id, 0
            done += 1
            yield f"{resource_id} {done}", tag
        if len(rows) < max(enough, _AT_ONCE):
            return
