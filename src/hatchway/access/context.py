"""The condition keys that every request carries (authorization.md, section 6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from hatchway.access.authorization import Context
from hatchway.access.principal import Principal


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from: the client's address, its User-Agent, and whether TLS carried it."""

    source_ip: str
    user_agent: str
    secure: bool


def principal_keys(principal: Principal) -> Context:
    """The keys that are the same for all requests of a principal."""
    keys: dict[str, str | tuple[str, ...]] = {
        "aws:PrincipalArn": principal.arn,
        "aws:PrincipalAccount": principal.account,
        "aws:PrincipalType": principal.type.value,
        "aws:userid": principal.user_id,
    }
    if principal.user_name is not None:
        keys["aws:username"] = principal.user_name
    keys.update({f"aws:PrincipalTag/{key}": value for key, value in principal.tags.items()})
    return keys


def request_keys(origin: Origin, *, now: datetime, region: str) -> Context:
    """The keys of one request, whoever makes it."""
    return {
        "aws:SourceIp": origin.source_ip,
        "aws:CurrentTime": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "aws:EpochTime": str(int(now.timestamp())),
        "aws:SecureTransport": "true" if origin.secure else "false",
        "aws:UserAgent": origin.user_agent,
        "aws:RequestedRegion": region,
    }


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


def request_tag_keys(tags: Mapping[str, str]) -> Context:
    """`aws:RequestTag/k` and `aws:TagKeys` of a call that carries tags."""
    if not tags:
        return {}
    keys: dict[str, str | tuple[str, ...]] = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    keys["aws:TagKeys"] = tuple(tags)
    return keys
