"""botocore's whole client: what it signs and sends is verified and parsed, what is rendered it reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from hatchway.protocol import Call, Reply, ServiceError, load_service
from hatchway.sigv4.keys import derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_header_signature
from hatchway.sigv4.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.awsrequest import AWSPreparedRequest

    Operation = Callable[[Call], dict[str, Any]]

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PUBLIC_KEY = "ssh-ed25519 " + "A" * 68 + " me"


class _Body:
    """As much of a urllib3 response as botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> list[bytes]:
        return [self._content]


def served(request: AWSPreparedRequest, operation: Operation) -> Reply:
    """A request taken through signature, parser and renderer as a server takes it."""
    url = urlsplit(request.url)
    headers = {name.lower(): _octets(value).decode() for name, value in request.headers.items()}
    headers["host"] = url.netloc
    body = _octets(request.body or b"")
    signed = HttpRequest(request.method, url.path, url.query, tuple(headers.items()), body)
    signature = read_header_signature(signed)
    scope = signature.scope
    key = derive_signing_key(SECRET, scope.date, scope.region, scope.service)
    verify(signed, signature, key, now=datetime.now(UTC), region="us-east-1", services={scope.service})
    service = load_service(scope.service)
    try:
        call = service.parse(
            request.method, url.path, url.query, headers.get("content-type", ""), headers, body
        )
        return service.render_result(call.operation, operation(call), "request-1")
    except ServiceError as error:
        return service.render_error(error, "request-1")


def _octets(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def client(name: str, operation: Operation) -> Any:
    made = get_session().create_client(
        name,
        region_name="us-east-1",
        endpoint_url="https://localhost:8443",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}),
    )

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        reply = served(request, operation)
        return AWSResponse(request.url, reply.status, dict(reply.headers), _Body(reply.body))

    made.meta.events.register("before-send", answer)
    return made


def test_ec2_creates_an_endpoint() -> None:
    calls: list[Call] = []

    def create(call: Call) -> dict[str, Any]:
        calls.append(call)
        return {"InstanceConnectEndpoint": {"SubnetId": "subnet-1", "State": "create-in-progress"}}

    answer = client("ec2", create).create_instance_connect_endpoint(
        SubnetId="subnet-1",
        SecurityGroupIds=["sg-1", "sg-2"],
        PreserveClientIp=False,
        TagSpecifications=[
            {"ResourceType": "instance-connect-endpoint", "Tags": [{"Key": "env", "Value": "dév + ops"}]}
        ],
    )

    parameters = calls[0].parameters
    assert parameters.pop("ClientToken")
    assert parameters == {
        "SubnetId": "subnet-1",
        "SecurityGroupIds": ["sg-1", "sg-2"],
        "PreserveClientIp": False,
        "TagSpecifications": [
            {"ResourceType": "instance-connect-endpoint", "Tags": [{"Key": "env", "Value": "dév + ops"}]}
        ],
    }
    assert answer["InstanceConnectEndpoint"] == {"SubnetId": "subnet-1", "State": "create-in-progress"}
    assert answer["ResponseMetadata"]["RequestId"] == "request-1"


def test_ec2_instance_connect_sends_a_key() -> None:
    def send(call: Call) -> dict[str, Any]:
        assert call.parameters["SSHPublicKey"] == PUBLIC_KEY
        return {"RequestId": "request-1", "Success": True}

    answer = client("ec2-instance-connect", send).send_ssh_public_key(
        InstanceId="i-0123456789abcdef0", InstanceOSUser="root", SSHPublicKey=PUBLIC_KEY
    )

    assert answer["Success"] is True


def test_sts_tells_who_is_calling() -> None:
    identity = {"UserId": "AIDA", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/alice"}

    answer = client("sts", lambda _: identity).get_caller_identity()

    assert {name: answer[name] for name in identity} == identity


def test_iam_gives_policy_documents_back_as_they_were() -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Resource": "100% a+b%20c"}]}
    text = '{"Version": "2012-10-17", "Statement": [{"Resource": "100% a+b%20c"}]}'

    answer = client("iam", lambda call: {**call.parameters, "PolicyDocument": text}).get_user_policy(
        UserName="alice", PolicyName="p"
    )

    assert answer["PolicyDocument"] == document


def test_cloudtrail_looks_events_up() -> None:
    start = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)

    def look_up(call: Call) -> dict[str, Any]:
        return {"Events": [{"EventId": "e", "EventTime": call.parameters["StartTime"]}]}

    answer = client("cloudtrail", look_up).lookup_events(StartTime=start)

    assert answer["Events"] == [{"EventId": "e", "EventTime": start}]


@pytest.mark.parametrize(
    ("name", "code", "call"),
    [
        ("ec2", "UnauthorizedOperation", lambda peer: peer.describe_vpcs()),
        ("iam", "AccessDenied", lambda peer: peer.list_users()),
        ("sts", "AccessDenied", lambda peer: peer.get_caller_identity()),
        ("cloudtrail", "AccessDeniedException", lambda peer: peer.lookup_events()),
    ],
)
def test_a_refusal_is_a_client_error_with_its_code(name: str, code: str, call: Callable[[Any], Any]) -> None:
    def refuse(_: Call) -> dict[str, Any]:
        raise ServiceError(code, "User: <alice> is not authorized")

    with pytest.raises(ClientError) as refused:
        call(client(name, refuse))

    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["Error"]["Message"] == "User: <alice> is not authorized"
    assert refused.value.response["ResponseMetadata"]["RequestId"] == "request-1"


def test_a_modelled_error_is_the_clients_own_exception() -> None:
    def refuse(_: Call) -> dict[str, Any]:
        raise ServiceError("NoSuchEntity", "The user with name bob cannot be found.")

    iam = client("iam", refuse)

    with pytest.raises(iam.exceptions.NoSuchEntityException) as refused:
        iam.get_user(UserName="bob")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_what_the_parser_refuses_reaches_the_client() -> None:
    def never(_: Call) -> dict[str, Any]:
        raise AssertionError

    with pytest.raises(ClientError) as refused:
        client("iam", never).create_user(UserName="no spaces")

    assert refused.value.response["Error"]["Code"] == "ValidationError"
