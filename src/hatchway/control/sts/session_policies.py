"""Session policies of a call: what a session may do at most (AWS: "Session policies")."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hatchway.access.policy_documents import MalformedPolicy, PolicyKind, check_policy_document
from hatchway.control.operations import Call
from hatchway.protocol import ServiceError

MOST_ARNS: Final = 10
LONGEST_TEXT: Final = 2_048
"""Characters of the inline policy and the ARNs together (AWS: "IAM and AWS STS quotas")."""
LARGEST_PACKED: Final = 2_048
"""Bytes of policies, ARNs and tags, compressed. AWS does not tell its own bound; this one admits whatever the
other bounds do, but for many long tags that resemble each other in nothing."""
LARGEST_UNPACKED: Final = 20_480
"""Bytes of the same before that: as many tags as there may be, as long as they may be, of ASCII. It is what a
session takes in the memory of every gateway, and what repeats itself packs to nothing."""


@dataclass(frozen=True, slots=True)
class SessionPolicies:
    """An inline policy's text, and the ARNs of managed ones."""

    policy: str | None
    arns: tuple[str, ...]


def read_session_policies(call: Call) -> SessionPolicies:
    """Those of the call, within their bounds. Whether the managed ones are there, `check_managed` asks.

    Raises:
        ServiceError: there are too many, they are too large, or one is no policy.
    """
    policy = call.parameters.get("Policy")
    arns = tuple(each["arn"] for each in call.parameters.get("PolicyArns") or () if each.get("arn"))
    if len(arns) > MOST_ARNS:
        raise ServiceError(
            "ValidationError", f"Only {MOST_ARNS} policies may be given by ARN, not {len(arns)}."
        )
    size = len(policy or "") + sum(map(len, arns))
    if size > LONGEST_TEXT:
        raise _too_large(f"They have {size} characters, and may have {LONGEST_TEXT}.")
    if policy is not None:
        try:
            check_policy_document(policy, LONGEST_TEXT, kind=PolicyKind.SESSION)
        except MalformedPolicy as problem:
            raise ServiceError("MalformedPolicyDocument", f"Policy: {problem}.") from None
    return SessionPolicies(policy, tuple(dict.fromkeys(arns)))


def check_managed(call: Call, policies: SessionPolicies) -> None:
    """
    Raises:
        ServiceError: a policy is not one of this account.
    """
    for arn in policies.arns:
        if call.tx.managed_policies.get(arn) is None:
            raise ServiceError("ValidationError", f"The policy {arn} does not exist in this account.")


def packed_percentage(policies: SessionPolicies, tags: Mapping[str, str]) -> int | None:
    """`PackedPolicySize`: how much of the room a call's policies and tags take; None for none of them.

    Raises:
        ServiceError: there is not room enough.
    """
    parts: Sequence[object] = [policies.policy, list(policies.arns), dict(tags)]
    if not any(parts):
        return None
    unpacked = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
    room = ((len(zlib.compress(unpacked)), LARGEST_PACKED), (len(unpacked), LARGEST_UNPACKED))
    percentage = max(-(-100 * size // most) for size, most in room)
    if percentage > 100:
        raise _too_large(f"Packed with the session tags, they take {percentage} % of the allowed space.")
    return percentage


def _too_large(why: str) -> ServiceError:
    return ServiceError("PackedPolicyTooLarge", f"The session policies are too large. {why}")
