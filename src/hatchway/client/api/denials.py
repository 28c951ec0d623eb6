"""Why a caller was denied, for those whom policies let know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hatchway.client.api.profile import api_errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchway.client.api.profile import Profile

_MEMBERS = ("requestID", "eventName", "eventTime", "sourceIPAddress")


def explain_denial(profile: Profile, request_id: str | None) -> Mapping[str, Any]:
    """The event of a denial in CloudTrail's shape: a request's, or without an id the caller's latest.

    Raises:
        ApiError, NotConfigured: the control plane refuses, knows of none, or cannot be asked.
    """
    client = profile.api("hatchway")
    with api_errors("ExplainDenial"):
        asked = {} if request_id is None else {"RequestId": request_id}
        event: Mapping[str, Any] = json.loads(client.explain_denial(**asked)["Denial"]["CloudTrailEvent"])
        if not isinstance(event["userIdentity"], dict) or not all(
            isinstance(event[member], str) for member in _MEMBERS
        ):
            raise ValueError("this is no event")
    return event
