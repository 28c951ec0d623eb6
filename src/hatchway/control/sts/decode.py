"""Encoded authorization failure messages, decoded (AWS: STS API Reference, "DecodeAuthorizationMessage")."""

import json
from collections.abc import Mapping
from typing import Any

from hatchway.access.authorization import Check
from hatchway.access.failure_message import decode_failure_message
from hatchway.control.operations import Call, Result, operation
from hatchway.keys.vault import Unsealable
from hatchway.protocol import ServiceError


@operation("sts", "DecodeAuthorizationMessage", reads_only=True)
def decode_authorization_message(call: Call) -> Result:
    """What a refusal kept from whom it refused."""
    call.authorize(Check("sts:DecodeAuthorizationMessage"))

    try:
        decoded = decode_failure_message(call.vault, call.parameters["EncodedMessage"])
    except Unsealable:
        raise ServiceError(
            "InvalidAuthorizationMessageException",
            "The message is not one that this installation encoded: give all of it and nothing else.",
        ) from None
    return {"DecodedMessage": json.dumps(_in_aws_form(decoded))}


def _in_aws_form(decoded: Mapping[str, Any]) -> dict[str, Any]:
    """AWS's own members about the check that refused, and all checks as the audit trail has them."""
    refusal = decoded["checks"][-1]
    omitted = {"omitted": decoded["omitted"]} if "omitted" in decoded else {}
    return {
        "allowed": False,
        "explicitDeny": refusal["outcome"] == "explicitDeny",
        "matchedStatements": {"items": refusal["deciding"]},
        "failures": {"items": refusal["nearMisses"]},
        "context": {
            "principal": {"arn": decoded["principal"]},
            "action": refusal["action"],
            "resource": refusal["resources"][0],
        },
        "checks": decoded["checks"],
        **omitted,
    }
