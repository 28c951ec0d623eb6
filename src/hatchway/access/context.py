"""The condition keys that every request carries (authorization.md, section 6)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from hatchway.access.authorization import Context


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
        "aws:UserAgent": origin.user_agent,
        "aws:RequestedRegion": region,
    }


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
