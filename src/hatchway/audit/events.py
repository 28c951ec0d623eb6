"""Audit events in the shape of CloudTrail (AWS: "CloudTrail record contents", version 1.08). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

EVENT_VERSION = "1.08"
ENDPOINT_RESOURCE_TYPE = "AWS::EC2::InstanceConnectEndpoint"
INSTANCE_RESOURCE_TYPE = "AWS::EC2::Instance"

JsonObject = Mapping[str, Any]


class EventSource(NamedTuple):
    """What the events of one call share. `request_id` is the one that the client was told."""

    account: str
    region: str
    event_source: str
    request_id: str
    source_ip: str
    user_agent: str
    user_identity: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`error_code` and `error_message` are set when the call was refused or failed."""

    error_code: str | None = None
    error_message: str | None = None
    response_elements: JsonObject | None = None
    additional: JsonObject = field(default_factory=dict)


def event_time(moment: datetime) -> str:
    """An aware moment as events have it: UTC to the second, ISO 8601, such as `2026-11-24T11:40:00Z`."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return _second((utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second))


@lru_cache(maxsize=4)
def _second(fields: tuple[int, int, int, int, int, int]) -> str:
    """Where events are many, most are of a second of which others were: to write one takes longer than to
    find it."""
    return f"{datetime(*fields).isoformat()}Z"


def unknown_identity(access_key_id: str | None) -> JsonObject:
    """The `userIdentity` of a caller that proved nothing. The key id is only what it claimed."""
    return {"type": "Unknown", **({"accessKeyId": access_key_id} if access_key_id else {})}


def event(
    source: EventSource,
    *,
    event_id: str,
    time: datetime,
    name: str,
    read_only: bool,
    request_parameters: JsonObject | None,
    outcome: Outcome,
    resources: tuple[tuple[str, str], ...] = (),
    event_type: str = "AwsApiCall",
) -> dict[str, Any]:
    """One event. `resources` are pairs of an ARN and a CloudFormation type."""
    body: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": dict(source.user_identity),
        "eventTime": event_time(time),
        "eventSource": source.event_source,
        "eventName": name,
        "awsRegion": source.region,
        "sourceIPAddress": source.source_ip,
        "userAgent": source.user_agent,
        "requestParameters": dict(request_parameters) if request_parameters is not None else None,
        "responseElements": (
            dict(outcome.response_elements) if outcome.response_elements is not None else None
        ),
    }
    if outcome.error_code is not None:
        body["errorCode"] = outcome.error_code
        body["errorMessage"] = outcome.error_message
    if outcome.additional:
        body["additionalEventData"] = dict(outcome.additional)
    body |= {
        "requestID": source.request_id,
        "eventID": event_id,
        "readOnly": read_only,
    }
    if resources:
        body["resources"] = [
            {"accountId": source.account, "type": type_, "ARN": arn} for arn, type_ in resources
        ]
    body |= {
        "eventType": event_type,
        "managementEvent": True,
        "recipientAccountId": source.account,
        "eventCategory": "Management",
    }
    return body
