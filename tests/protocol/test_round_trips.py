"""Requests as botocore serialises them, and replies as botocore's parsers read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.protocol.model_values import Limits, structures

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape

from hatchway.protocol import Call, Reply, Service, ServiceError, load_service

OPERATIONS = {
    "ec2": [
        "CreateInstanceConnectEndpoint",
        "DeleteInstanceConnectEndpoint",
        "DescribeInstanceConnectEndpoints",
        "DescribeInstances",
        "DescribeNetworkInterfaces",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeVpcs",
        "ModifyInstanceConnectEndpoint",
    ],
    "ec2-instance-connect": ["SendSSHPublicKey"],
    "sts": ["AssumeRole", "DecodeAuthorizationMessage", "GetCallerIdentity"],
    "iam": [
        "CreateAccessKey",
        "CreateRole",
        "CreateServiceLinkedRole",
        "CreateUser",
        "DeleteAccessKey",
        "DeleteUser",
        "DeleteUserPolicy",
        "GetAccountSummary",
        "GetRole",
        "GetUser",
        "GetUserPolicy",
        "ListAccessKeys",
        "ListUserPolicies",
        "ListUsers",
        "PutAccountProperties",
        "PutUserPolicy",
        "UpdateAccessKey",
    ],
    "cloudtrail": ["LookupEvents", "PutEventSelectors", "StartQuery"],
}
REQUEST_LIMITS = {
    "ec2": Limits(empty_lists=False, empty_structures=False),
    "query": Limits(empty_structures=False),
    "json": Limits(),
}
REPLY_LIMITS = {"ec2": Limits(step=1_000), "query": Limits(step=1_000_000), "json": Limits(step=1_000)}
cases = pytest.mark.parametrize(
    ("service", "operation"), [(service, name) for service, names in OPERATIONS.items() for name in names]
)
# The values are as large as the model makes them; drawing them is most of the time.
examples = settings(max_examples=settings().max_examples // 3, suppress_health_check=list(HealthCheck))
CODES = st.text("abcXYZ.", min_size=1)
MESSAGES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
)


def parse(
    service: Service, operation: OperationModel, parameters: dict[str, Any], *, in_url: bool = False
) -> Call:
    request = create_serializer(service.model.protocol).serialize_to_request(parameters, operation)
    headers = {name.lower(): value for name, value in request["headers"].items()}
    body = request["body"] if isinstance(request["body"], bytes) else urlencode(request["body"]).encode()
    if in_url:
        return service.parse("GET", "/", body.decode(), "", {}, b"")
    return service.parse("POST", "/", "", headers["content-type"], headers, body)


def read(service: Service, operation: OperationModel, reply: Reply) -> dict[str, Any]:
    response = {"status_code": reply.status, "headers": dict(reply.headers), "body": reply.body}
    parsed: dict[str, Any] = create_parser(service.model.protocol).parse(response, operation.output_shape)
    return parsed


def decoded(shape: Shape | None, value: Any) -> Any:
    """`value` with IAM's policy documents as the SDKs give them to their callers."""
    if shape is None:
        return value
    match shape.type_name:
        case "structure":
            return {name: decoded(shape.members.get(name), member) for name, member in value.items()}
        case "list":
            return [decoded(shape.member, item) for item in value]
    return unquote(value) if shape.name == "policyDocumentType" else value


@cases
@examples
@given(data=st.data())
def test_parameters_come_out_as_the_client_put_them_in(
    service: str, operation: str, data: st.DataObject
) -> None:
    peer = load_service(service)
    model = peer.model.operation_model(operation)
    parameters = data.draw(structures(model.input_shape, REQUEST_LIMITS[peer.model.protocol]))
    in_url = data.draw(st.booleans()) if peer.model.protocol != "json" else False

    assert parse(peer, model, parameters, in_url=in_url) == Call(operation, parameters)


@cases
@examples
@given(data=st.data())
def test_results_come_out_as_the_service_put_them_in(
    service: str, operation: str, data: st.DataObject
) -> None:
    peer = load_service(service)
    model = peer.model.operation_model(operation)
    shape = model.output_shape
    result = data.draw(structures(shape, REPLY_LIMITS[peer.model.protocol]))

    reply = peer.render_result(operation, result, "request-1")
    parsed = read(peer, model, reply)

    assert parsed.pop("ResponseMetadata")["RequestId"] == "request-1"
    assert decoded(shape, parsed) == result
    assert reply.status == 200
    assert ("x-amzn-requestid", "request-1") in reply.headers


@pytest.mark.parametrize("service", OPERATIONS)
@given(code=CODES, message=MESSAGES)
def test_errors_come_out_as_the_service_put_them_in(service: str, code: str, message: str) -> None:
    peer = load_service(service)
    model = peer.model.operation_model(OPERATIONS[service][0])

    reply = peer.render_error(ServiceError(code, message), "request-1")
    parsed = read(peer, model, reply)

    assert parsed["Error"]["Code"] == code
    # botocore reads an empty element of an error as nothing at all.
    assert (parsed["Error"]["Message"] or "") == message
    assert parsed["ResponseMetadata"]["RequestId"] == "request-1"
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == reply.status == 400
