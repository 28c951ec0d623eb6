"""A call as an event of the audit trail (AWS: "CloudTrail record contents")."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hatchway.audit.events import EventSource, Outcome, event, unknown_identity
from hatchway.audit.log import to_record
from hatchway.control.attempt import Attempt
from hatchway.control.plane import ControlPlane
from hatchway.control.services import DIALECTS, named_operation
from hatchway.domain.account import AuditRecord
from hatchway.protocol import ServiceError

UNKNOWN_OPERATION: Final = "Unknown"
_LARGEST_ELEMENT: Final = 100_000
"""Characters of requestParameters or responseElements; what is larger is left out, as CloudTrail does."""
_LONGEST_USER_AGENT: Final = 1024

_TRAIL_CODES: Final = {"AuthException": "AccessDenied"}
"""Codes that CloudTrail calls otherwise: a refused SendSSHPublicKey is as a refused OpenTunnel."""

_RESOURCE_TYPES: Final = {
    "instance": "AWS::EC2::Instance",
    "instance-connect-endpoint": "AWS::EC2::InstanceConnectEndpoint",
    "role": "AWS::IAM::Role",
    "security-group": "AWS::EC2::SecurityGroup",
    "subnet": "AWS::EC2::Subnet",
    "tunnel": "Hatchway::Tunnel",
    "user": "AWS::IAM::User",
}
"""CloudFormation's names, and one like them, for what an ARN's resource part begins with."""


def success_record(plane: ControlPlane, attempt: Attempt, result: Mapping[str, Any]) -> AuditRecord:
    """The record of a call that is answered with `result`; what was only read is not repeated in it."""
    assert attempt.operation is not None
    elements = None
    if not attempt.operation.reads_only and result:
        shape = attempt.service.model.operation_model(attempt.operation.name).output_shape
        elements = _bounded(told(shape, result))
    return _record(plane, attempt, response_elements=elements)


def refusal_record(plane: ControlPlane, attempt: Attempt, error: ServiceError) -> AuditRecord:
    """The record of a call that is answered with `error`."""
    code = _TRAIL_CODES.get(error.code, error.code)
    if attempt.service.name == "ec2":
        # CloudTrail says with EC2's codes whose fault it was.
        fault = "Server" if error.status is not None and error.status >= 500 else "Client"
        code = f"{fault}.{error.code}"
    return _record(plane, attempt, error_code=code, error_message=error.message)


def told(shape: Any, value: Any) -> Any:
    """A value of the service model as events tell it: names begin in lower case, nothing sensitive."""
    match shape.type_name:
        case "structure":
            return {
                name[:1].lower() + name[1:]: told(shape.members[name], member)
                for name, member in value.items()
                if member is not None and not shape.members[name].metadata.get("sensitive")
            }
        case "list":
            return [told(shape.member, item) for item in value if not shape.member.metadata.get("sensitive")]
        case "map":
            return {key: told(shape.value, item) for key, item in value.items()}
        case "timestamp":
            return _moment(value)
        case "blob":
            return f"{len(value)} bytes"
    return value


def _record(plane: ControlPlane, attempt: Attempt, **outcome: Any) -> AuditRecord:
    source = EventSource(
        account=plane.arns.account,
        region=plane.arns.region,
        event_source=DIALECTS[attempt.service.name].event_source,
        request_id=attempt.request.request_id,
        source_ip=attempt.request.origin.source_ip,
        user_agent=attempt.request.origin.user_agent[:_LONGEST_USER_AGENT],
        user_identity=(
            unknown_identity(attempt.access_key_id)
            if attempt.principal is None
            else attempt.principal.user_identity()
        ),
    )
    authorization = attempt.authorization
    body = event(
        source,
        event_id=str(uuid.UUID(bytes=plane.random_bytes(16), version=4)),
        time=attempt.now,
        name=_operation_name(attempt),
        read_only=attempt.operation is not None and attempt.operation.reads_only,
        request_parameters=_request_parameters(attempt),
        outcome=Outcome(**outcome, additional={"decision": authorization.to_json()} if authorization else {}),
        resources=_resources(attempt),
    )
    return to_record(body, attempt.now)


def _operation_name(attempt: Attempt) -> str:
    if attempt.operation is not None:
        return attempt.operation.name
    return named_operation(attempt.service, attempt.request.http) or UNKNOWN_OPERATION


def _request_parameters(attempt: Attempt) -> Mapping[str, Any] | None:
    if attempt.operation is None or not attempt.parameters:
        return None
    shape = attempt.service.model.operation_model(attempt.operation.name).input_shape
    return _bounded(told(shape, attempt.parameters))


def _resources(attempt: Attempt) -> tuple[tuple[str, str], ...]:
    """What the checks were about, each once."""
    if attempt.authorization is None:
        return ()
    arns = dict.fromkeys(
        arn for decision in attempt.authorization.decisions for arn in decision.resources if "*" not in arn
    )
    types = {arn: _RESOURCE_TYPES.get(arn.split(":", 5)[-1].partition("/")[0]) for arn in arns}
    return tuple((arn, type_) for arn, type_ in types.items() if type_ is not None)


def _bounded(element: Mapping[str, Any]) -> Mapping[str, Any]:
    return element if len(json.dumps(element)) <= _LARGEST_ELEMENT else {"omitted": True}


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
