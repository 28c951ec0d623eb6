"""Session tags of a call, and those that a session inherits (AWS: "Pass session tags in AWS STS")."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hatchway.control.operations import Call
from hatchway.domain.session import Session
from hatchway.protocol import ServiceError

MOST_TAGS: Final = 50
"""Of one session (AWS: "IAM and AWS STS quotas"): otherwise each further role of a chain could add more."""


@dataclass(frozen=True, slots=True)
class SessionTags:
    """All tags that the session is to have, and the keys of those that its own successors inherit.

    `given` are those of the call; the others are inherited.
    """

    given: Mapping[str, str]
    tags: Mapping[str, str]
    transitive_keys: tuple[str, ...]


def read_session_tags(call: Call) -> SessionTags:
    """The tags of the call with those inherited. Keys that differ in case alone are one key, as in AWS.

    Raises:
        ServiceError: a key is there twice, is AWS's own, or is one that the calling session hands down, whose
            value stands; there are too many; or a transitive key is that of no tag.
    """
    given: dict[str, str] = {}
    own: dict[str, str] = {}
    for tag in call.parameters.get("Tags") or ():
        key = tag["Key"]
        if key.lower().startswith("aws:"):
            raise _invalid(f"The tag key {key} is not allowed: keys that begin with aws: are AWS's own.")
        if key.lower() in own:
            raise _invalid(
                f"Duplicate tag keys found: {key}. Please note that Tag keys are case insensitive."
            )
        own[key.lower()] = key
        given[key] = tag["Value"]
    inherited = _inherited(call.caller.principal.session)
    for key in inherited:
        if key.lower() in own:
            raise _invalid(
                f"The tag key {own[key.lower()]} is that of a transitive tag of the calling session, which"
                " cannot be given another value."
            )
    if len(inherited) + len(given) > MOST_TAGS:
        raise _invalid(
            f"A session may have {MOST_TAGS} tags, those included that the calling session hands down:"
            f" {len(inherited)} of these and {len(given)} of the call are more."
        )
    transitive = [*inherited]
    for key in call.parameters.get("TransitiveTagKeys") or ():
        if key.lower() not in own:
            raise _invalid(f"The specified transitive tag key {key} must be included in the requested tags.")
        if own[key.lower()] not in transitive:
            transitive.append(own[key.lower()])
    return SessionTags(given, {**inherited, **given}, tuple(transitive))


def _inherited(session: Session | None) -> dict[str, str]:
    if session is None:
        return {}
    return {key: session.session_tags[key] for key in session.transitive_tag_keys}


def _invalid(message: str) -> ServiceError:
    return ServiceError("ValidationError", message)
