"""A call as an event of the audit trail (AWS: "CloudTrail record contents")."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from hatchway.audit.events import EventSource, Outcome, event, event_time, unknown_identity
from hatchway.audit.log import LONGEST_USER_AGENT, to_record
from hatchway.control.operations import registered_operations
from hatchway.control.plane import ControlPlane
from hatchway.control.refusals import ENCODED_MESSAGE
from hatchway.control.request_state import RequestState
from hatchway.control.services import DIALECTS, named_operation
from hatchway.domain.account import AuditRecord
from hatchway.protocol import ServiceError

UNKNOWN_OPERATION: Final = "Unknown"

_NOTHING_MORE: Final[Mapping[str, Any]] = MappingProxyType({})

_TRAIL_CODES: Final = {"AuthException": "AccessDenied"}
"""Codes that CloudTrail calls otherwise: a refused SendSSHPublicKey is as a refused OpenTunnel."""

_RESOURCE_TYPES: Final = {
    "group": "AWS::IAM::Group",
    "enrollment-token": "Hatchway::EnrollmentToken",
    "instance": "AWS::EC2::Instance",
    "instance-connect-endpoint": "AWS::EC2::InstanceConnectEndpoint",
    "network-interface": "AWS::EC2::NetworkInterface",
    "policy": "AWS::IAM::Policy",
    "role": "AWS::IAM::Role",
    "security-group": "AWS::EC2::SecurityGroup",
    "security-group-rule": "AWS::EC2::SecurityGroupRule",
    "subnet": "AWS::EC2::Subnet",
    "tunnel": "Hatchway::Tunnel",
    "user": "AWS::IAM::User",
    "vpc": "AWS::EC2::VPC",
}
"""CloudTrail's names, and one like them, for what an ARN's resource part begins with (AWS: "Resource types
supported by CloudTrail event history")."""

_SECRETS: Final = frozenset({"SAMLAssertion", "SessionToken", "TokenCode", "WebIdentityToken"})
"""Members that let somebody in and that the models do not all mark as sensitive."""


def success_record(plane: ControlPlane, state: RequestState, result: Mapping[str, Any]) -> AuditRecord:
    """The record of a call that is answered with `result`; what was only read is not repeated in it."""
    assert state.operation is not None
    elements: Any = None
    if state.call is not None and (said := state.call.audited_answer) is not None:
        return _record(plane, state, response_elements=said.response_elements, additional=said.additional)
    if not state.operation.reads_only and result:
        shape = state.service.model.operation_model(state.operation.name).output_shape
        elements = told(shape, result)
    return _record(plane, state, response_elements=elements)


def refusal_record(plane: ControlPlane, state: RequestState, error: ServiceError) -> AuditRecord:
    """The record of a call that is answered with `error`."""
    # What the encoded message holds stands in the record itself.
    sentence, mark, _ = error.message.partition(ENCODED_MESSAGE)
    message = f"{sentence}{mark}(see additionalEventData)" if mark else sentence
    return _record(plane, state, error_code=trail_code(state, error), error_message=message)


def trail_code(state: RequestState, error: ServiceError) -> str:
    """An error's code as CloudTrail has it."""
    code = _TRAIL_CODES.get(error.code, error.code)
    if state.service.name == "ec2":
        # CloudTrail says with EC2's codes whose fault it was.
        fault = "Server" if error.status is not None and error.status >= 500 else "Client"
        code = f"{fault}.{error.code}"
    return code


def told(shape: Any, value: Any) -> Any:
    """A value of the service model as events tell it: names begin in lower case, nothing sensitive."""
    match shape.type_name:
        case "structure":
            return {
                name[:1].lower() + name[1:]: told(shape.members[name], member)
                for name, member in value.items()
                if member is not None
                and name not in _SECRETS
                and not shape.members[name].metadata.get("sensitive")
            }
        case "list":
            return [told(shape.member, item) for item in value if not shape.member.metadata.get("sensitive")]
        case "map":
            return {key: told(shape.value, item) for key, item in value.items()}
        case "timestamp":
            return event_time(value)
        case "blob":
            return f"{len(value)} bytes"
    return value


def source_of(plane: ControlPlane, state: RequestState) -> EventSource:
    """Who made a call, and where from."""
    origin = state.request.origin
    return EventSource(
        account=plane.arns.account,
        region=plane.arns.region,
        event_source=DIALECTS[state.service.name].event_source,
        request_id=state.request.request_id,
        source_ip=origin.source_ip,
        user_agent=origin.user_agent[:LONGEST_USER_AGENT],
        user_identity=(
            unknown_identity(state.access_key_id)
            if state.principal is None
            else state.principal.user_identity()
        ),
    )


def _record(
    plane: ControlPlane, state: RequestState, additional: Mapping[str, Any] = _NOTHING_MORE, **outcome: Any
) -> AuditRecord:
    authorization = state.authorization
    decision = {"decision": authorization.to_json()} if authorization else {}
    body = event(
        source_of(plane, state),
        event_id=str(uuid.UUID(bytes=plane.random_bytes(16), version=4)),
        time=state.now,
        name=event_name(state),
        read_only=_reads_only(state),
        request_parameters=_request_parameters(state),
        outcome=Outcome(**outcome, additional={**additional, **decision}),
        resources=_resources(state),
    )
    return to_record(body, state.now)


def event_name(state: RequestState) -> str:
    """The operation that was called, as far as that is known."""
    if state.operation is not None:
        return state.operation.name
    return named_operation(state.service, state.request.http) or UNKNOWN_OPERATION


def _reads_only(state: RequestState) -> bool:
    """Whether the operation changes nothing; also of a call that was refused before anybody looked at it."""
    operation = state.operation or registered_operations().get((state.service.name, event_name(state)))
    return operation is not None and operation.reads_only


def _request_parameters(state: RequestState) -> Mapping[str, Any] | None:
    if state.operation is None or not state.parameters:
        return None
    shape = state.service.model.operation_model(state.operation.name).input_shape
    parameters: Mapping[str, Any] = told(shape, state.parameters)
    return parameters


def _resources(state: RequestState) -> tuple[tuple[str, str], ...]:
    """What the checks were about, each once."""
    if state.authorization is None:
        return ()
    arns = dict.fromkeys(
        arn for decision in state.authorization.decisions for arn in decision.resources if "*" not in arn
    )
    types = {arn: _RESOURCE_TYPES.get(arn.split(":", 5)[-1].partition("/")[0]) for arn in arns}
    return tuple((arn, type_) for arn, type_ in types.items() if type_ is not None)
