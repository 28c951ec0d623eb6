"""Values for shapes of a service model, sent as botocore sends them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from fuzz.draws import Draws
from hatchway.protocol import Call, ServiceError, load_service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.model import OperationModel, Shape

    from hatchway.protocol import Service

FORM = "application/x-www-form-urlencoded"
JSON = "application/x-amz-json-1.1"
_REQUEST_ID = "b6a1f0c2-1111-4222-8333-444455556666"
_LARGEST_REFUSAL = 16 * 1024
_TEXTS = (
    "",
    "a",
    "é",
    "\u2028",
    "\U0001f600",
    "<&>\"'",
    "a b+c%20",
    "i-0123456789abcdef0",
    "ec2-user",
    "*",
    "\t",
    "\x00",
)


def one_call(data: bytes, service_names: Sequence[str], operations: Sequence[str] | None = None) -> None:
    """A call of one of the services: as a stranger writes it, or as botocore does, or nearly so."""
    draws = Draws(data)
    service = load_service(draws.one_of(service_names))
    if draws.chance(3):
        strange(service, draws)
        return
    names = [
        name for name in operations or service.model.operation_names if name in service.model.operation_names
    ]
    operation = service.model.operation_model(draws.one_of(names))
    given = {} if operation.input_shape is None else Values(draws).of(operation.input_shape)
    method, query, content_type, headers, body = serialized(service, operation, given)
    call = parsed(service, method, query, content_type, headers, body)
    if call is not None:
        assert call.operation == operation.name
        assert call.parameters == given, (call.parameters, given)
    at = draws.below(len(body) + 1)
    parsed(
        service,
        method,
        query,
        content_type,
        headers,
        body[:at] + draws.octets(8) + body[at + draws.below(4) :],
    )


def strange(service: Service, draws: Draws) -> None:
    """A request whose body, content type and target are anything."""
    is_json = service.model.protocol == "json"
    if is_json:
        name = draws.one_of(service.model.operation_names)
        target = f"{service.model.metadata['targetPrefix']}.{name}"
        parsed(service, "POST", "", JSON, {"x-amz-target": target}, draws.rest())
        return
    in_url = draws.chance(4)
    body = draws.rest()
    prefix = f"Version={service.model.api_version}&".encode()
    if in_url:
        parsed(service, "GET", (prefix + body).decode("latin-1"), "", {}, b"")
    else:
        parsed(service, "POST", "", FORM, {}, prefix + body)


def parsed(  # noqa: PLR0917 - the parts of a request, in their order on the wire
    service: Service, method: str, query: str, content_type: str, headers: dict[str, str], body: bytes
) -> Call | None:
    """The call; or None, and the refusal is one that a client can read, and not long."""
    try:
        call = service.parse(method, "/", query, content_type, headers, body)
    except ServiceError as refusal:
        _refused(service, refusal)
        return None
    # What is accepted holds nothing that could not be answered or recorded.
    json.dumps(call.parameters, default=str, ensure_ascii=False).encode()
    return call


def _refused(service: Service, refusal: ServiceError) -> None:
    reply = service.render_error(refusal, _REQUEST_ID)
    assert 400 <= reply.status < 500, refusal
    assert len(reply.body) <= _LARGEST_REFUSAL, len(reply.body)
    if service.model.protocol == "json":
        assert json.loads(reply.body)["__type"] == refusal.code
    else:
        ElementTree.fromstring(reply.body)
    answer = {"status_code": reply.status, "headers": dict(reply.headers), "body": reply.body}
    read = create_parser(service.model.protocol).parse(answer, None)
    assert read["Error"]["Code"] == refusal.code
    assert read["ResponseMetadata"]["RequestId"] == _REQUEST_ID


def serialized(
    service: Service, operation: OperationModel, given: dict[str, Any]
) -> tuple[str, str, str, dict[str, str], bytes]:
    """Method, query string, content type, headers and body of the call, as botocore sends it."""
    request = _serializer(service.model.protocol).serialize_to_request(given, operation)
    headers = {name.lower(): value for name, value in request["headers"].items()}
    body = (
        request["body"]
        if isinstance(request["body"], bytes)
        else urlencode(request["body"], errors="surrogatepass").encode()
    )
    return "POST", "", headers["content-type"], headers, body


@cache
def _serializer(protocol: str) -> Any:
    return create_serializer(protocol, include_validation=False)


class Values:
    """Values of shapes, of which the model need not think well.

    `words` are what texts are taken from besides, by the end of the member's name that they suit: with them
    a call comes further than its own checks.
    """

    def __init__(self, draws: Draws, words: Mapping[str, Sequence[str]] | None = None) -> None:
        self._draws = draws
        self._words = words or {}

    def of(self, shape: Shape, name: str = "", depth: int = 0) -> Any:
        """A value of the shape, which is that of a member of this name."""
        draws = self._draws
        match shape.type_name:
            case "structure":
                return self._structure(shape, depth)
            case "list":
                return [self._some(shape.member, name, depth + 1) for _ in range(1 + draws.below(2))]
            case "map":
                return {self._some(shape.key, name, depth + 1): self._some(shape.value, name, depth + 1)}
            case "string":
                return self._text(shape, name)
            case "boolean":
                return draws.chance(2)
            case "integer":
                return draws.one_of((0, 1, 22, 2**31 - 1, -(2**31), draws.below(1 << 31)))
            case "long":
                return draws.one_of((0, 1, 2**63 - 1, -(2**63), draws.below(1 << 31)))
            case "float" | "double":
                return float(draws.below(1000)) / 4
            case "blob":
                return draws.octets(12)
            case "timestamp":
                return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=draws.below(1 << 31))
        raise AssertionError(shape.type_name)

    def _structure(self, shape: Shape, depth: int) -> dict[str, Any]:
        draws, members = self._draws, list(shape.members.items())
        chosen = {name for name, _ in members if draws.chance(1 + depth + len(members) // 4)}
        chosen |= set(shape.required_members)
        made = {name: self.of(member, name, depth + 1) for name, member in members if name in chosen}
        # Neither form protocol can say that there is an empty list or structure.
        return {name: value for name, value in made.items() if value not in ({}, [])}

    def _text(self, shape: Shape, name: str) -> str:
        draws = self._draws
        for ending, words in self._words.items():
            if name.endswith(ending) and not draws.chance(4):
                return draws.one_of(words)
        choices = [*shape.enum[:3], *_TEXTS] if shape.enum else _TEXTS
        return draws.one_of(choices) if draws.chance(2) else draws.text(12).replace("\r", "")

    def _some(self, shape: Shape, name: str, depth: int) -> Any:
        """A value that is not empty, as what stands in a list must not be."""
        value = self.of(shape, name, depth)
        if value != {}:
            return value
        first, member = next(iter(shape.members.items()))
        return {first: self._some(member, first, depth + 1)}
