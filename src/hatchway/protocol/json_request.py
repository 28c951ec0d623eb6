"""Requests of the JSON 1.1 protocol (smithy.io, "AWS JSON 1.1 protocol")."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.messages import Call
from hatchway.protocol.refusals import not_offered
from hatchway.protocol.text import UnreadableError, check_integer, read_blob, read_string
from hatchway.protocol.violations import Kind, Path, Violation, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from botocore.model import ServiceModel, Shape

    from hatchway.protocol.violations import Naming


def read_json_request(
    model: ServiceModel,
    naming: Naming,
    *,
    method: str,
    content_type: str,
    target: str,
    body: bytes,
    offered: Container[str] | None,
) -> tuple[Call, list[Violation]]:
    """The operation and its parameters, and what among them the model does not know or could not be read.

    Args:
        target: the header `X-Amz-Target`.

    Raises:
        ServiceError: the body is no JSON object, or the target is no operation that is offered.
    """
    if method != "POST":
        raise ServiceError("MalformedHttpRequestException", "The method must be POST.", 405)
    prefix, _, operation = target.rpartition(".")
    if not is_target_prefix(model, prefix) or operation not in model.operation_names:
        raise ServiceError("UnknownOperationException", "X-Amz-Target names no operation of this service.")
    if offered is not None and operation not in offered:
        raise ServiceError("UnknownOperationException", not_offered(model, operation), 400)
    expected = f"application/x-amz-json-{model.metadata['jsonVersion']}"
    if content_type.partition(";")[0].strip().lower() != expected:
        raise ServiceError("UnsupportedMediaTypeException", f"The content type must be {expected}.", 415)
    document = _load(body)
    shape = model.operation_model(operation).input_shape
    if shape is None:
        return Call(operation, {}), [Violation(Kind.UNKNOWN, (name,)) for name in document]
    reader = _Reader(naming)
    return Call(operation, reader.structure(shape, document, ())), reader.violations


def is_target_prefix(model: ServiceModel, prefix: str) -> bool:
    """Whether what stands before the operation in `X-Amz-Target` means a service.

    Where the model's own has a package before it, as CloudTrail's has, some SDKs send the last part alone.
    """
    own: str = model.metadata.get("targetPrefix", "")
    return prefix != "" and prefix in {own, own.rpartition(".")[2]}


def _load(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        document = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        # RecursionError is how json refuses what is nested too deep.
        raise ServiceError("SerializationException", "The body is not a JSON document.") from None
    if not isinstance(document, dict):
        raise ServiceError("SerializationException", "The body is not a JSON object.")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError
    return result


def _refuse(constant: str) -> None:
    raise ValueError(constant)


class _Reader:
    """One walk along a shape and a document."""

    def __init__(self, naming: Naming) -> None:
        self.violations: list[Violation] = []
        self._naming = naming

    def structure(self, shape: Shape, value: Any, path: Path) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._unreadable(path, "be an object")
            return {}
        result: dict[str, Any] = {}
        known: set[str] = set()
        for name, member in shape.members.items():
            key = member.serialization.get("name", name)
            known.add(key)
            if value.get(key) is not None:
                where = (*path, self._naming.member(member, name))
                result[name] = self._value(member, value[key], where)
        self.violations += [Violation(Kind.UNKNOWN, (*path, shown(key))) for key in value if key not in known]
        return result

    def _value(self, shape: Shape, value: Any, path: Path) -> Any:
        match shape.type_name:
            case "structure":
                return self.structure(shape, value, path)
            case "list":
                if isinstance(value, list):
                    return [
                        self._value(shape.member, item, (*path, self._naming.item(index)))
                        for index, item in enumerate(value, 1)
                    ]
                self._unreadable(path, "be a list")
                return []
            case "map":
                if isinstance(value, dict):
                    return {
                        self._value(shape.key, key, path): self._value(shape.value, item, (*path, shown(key)))
                        for key, item in value.items()
                    }
                self._unreadable(path, "be an object")
                return {}
        try:
            return _SCALARS[shape.type_name](value)
        except UnreadableError as error:
            self._unreadable(path, str(error))
            return None

    def _unreadable(self, path: Path, demand: str) -> None:
        self.violations.append(Violation(Kind.UNREADABLE, path, demand))


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise UnreadableError("be a string")
    return read_string(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnreadableError("be true or false")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnreadableError("be an integer")
    return check_integer(value, "integer")


def _long(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnreadableError("be an integer")
    return check_integer(value, "long")


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UnreadableError("be a number")
    try:
        return float(value)
    except OverflowError:
        raise UnreadableError("be a number") from None


def _timestamp(value: Any) -> datetime:
    """Seconds since the epoch."""
    try:
        return datetime.fromtimestamp(_number(value), UTC)
    except (ValueError, OverflowError, OSError):
        raise UnreadableError("be a date and time, in seconds since 1970") from None


def _blob(value: Any) -> bytes:
    return read_blob(_string(value))


_SCALARS: Final[dict[str, Callable[[Any], Any]]] = {
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "long": _long,
    "float": _number,
    "double": _number,
    "timestamp": _timestamp,
    "blob": _blob,
}
