"""The condition keys that every request carries (docs/iam.md, "Global condition keys")."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from hatchway.access.authorization import Context, resource_keys
from hatchway.iam.global_keys import CONSTANT_KEYS

LONGEST_USER_AGENT: Final = 1024
"""Characters of a client's User-Agent that conditions see; the rest would only cost time."""

CHANGING_KEYS: Final = frozenset({"aws:currenttime", "aws:epochtime"})
"""The keys of a request, in lower case, that are others when the same comes again."""


class Origin(NamedTuple):
    """Where a request came from: the client's address, its User-Agent, and whether TLS carried it."""

    source_ip: str
    user_agent: str
    secure: bool


def request_keys(origin: Origin, *, now: datetime, region: str) -> Context:
    """The keys of one request, whoever makes it."""
    second = int(now.timestamp())
    return {
        "aws:SourceIp": origin.source_ip,
        "aws:CurrentTime": _iso_8601(second),
        "aws:EpochTime": str(second),
        "aws:SecureTransport": "true" if origin.secure else "false",
        "aws:UserAgent": origin.user_agent[:LONGEST_USER_AGENT],
        "aws:RequestedRegion": region,
        **CONSTANT_KEYS,
    }


def supposed_keys(
    action: str, resource: str, *, account: str = "", region: str = "", now: datetime | None = None
) -> Context:
    """What a request for `action` on `resource` carries for certain, of which nothing else is known.

    From here simulation starts. Where account and region are not told, the resource's ARN may tell them:
    everything of Hatchway's is of one account in one region. Without `now`, the time is not known either.
    """
    _, _, _, its_region, its_account, *_ = (*resource.split(":"), *[""] * 4)
    account, region = account or its_account, region or its_region
    keys: dict[str, str | tuple[str, ...]] = {"aws:SecureTransport": "true", **CONSTANT_KEYS}
    if now is not None:
        second = int(now.timestamp())
        keys |= {"aws:CurrentTime": _iso_8601(second), "aws:EpochTime": str(second)}
    if account:
        keys["aws:PrincipalAccount"] = account
        keys |= resource_keys((resource,), account)
    if region:
        keys["aws:RequestedRegion"] = region
        keys |= service_keys(action.partition(":")[0].lower(), region)
    return keys


def service_keys(service: str, region: str) -> Context:
    """What all requests of one service carry."""
    return {"ec2:Region": region} if service == "ec2" else {}


def completed_keys(context: Context, supposed: Context) -> Context:
    """`context`, and what it does not tell as supposed."""
    told = {key.lower() for key in context}
    return {**{key: value for key, value in supposed.items() if key.lower() not in told}, **context}


@lru_cache(maxsize=1)
def _iso_8601(second: int) -> str:
    """A second since 1970, in UTC. Where requests are many, most come in the second of the one before."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def resource_tag_keys(tags: Mapping[str, str]) -> Context:
    """`aws:ResourceTag/k` and EC2's own `ec2:ResourceTag/k` of a tagged resource."""
    return {
        f"{service}:ResourceTag/{key}": value for key, value in tags.items() for service in ("aws", "ec2")
    }


def completed_tags(tags: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """`tags`, and those of `others` for keys that they lack.

    Keys that differ in case alone are one key, as they are to conditions.
    """
    own = {key.lower() for key in tags}
    return {**{key: value for key, value in others.items() if key.lower() not in own}, **tags}


def tag_readings(tags: Mapping[str, str], others: Mapping[str, str]) -> list[Mapping[str, str]]:
    """The tags of a request about two things: each one's completed by the other's.

    Where the two agree that is one reading. All readings must allow: so no one passes a guard on the one's
    tags by the tags that he gives the other.
    """
    if tags == others:
        return [tags]
    first, second = completed_tags(tags, others), completed_tags(others, tags)
    return [first] if first == second else [first, second]


def request_tag_keys(tags: Mapping[str, str]) -> Context:
    """`aws:RequestTag/k` and `aws:TagKeys` of a call that carries tags."""
    if not tags:
        return {}
    keys: dict[str, str | tuple[str, ...]] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    keys["aws:TagKeys"] = tuple(tags)
    return keys
