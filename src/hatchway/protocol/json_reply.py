"""Bodies of the JSON 1.1 protocol."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from hatchway.protocol.text import check_result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from botocore.model import ServiceModel, Shape

    from hatchway.protocol.errors import ServiceError


def result_body(model: ServiceModel, operation: str, result: Mapping[str, Any]) -> bytes:
    """A success.

    Raises:
        TypeError, KeyError: `result` is not as the model has it.
    """
    shape = model.operation_model(operation).output_shape
    return _dump(_structure(shape, result, operation))


def error_body(model: ServiceModel, error: ServiceError) -> bytes:
    """A refusal.

    Raises:
        TypeError, KeyError: the error's fields are not as the model has them.
    """
    shape = model.shape_for_error_code(error.code)
    members = shape.members if shape is not None else {}
    message = "message" if "message" in members else "Message"
    return _dump(
        {"__type": error.code, message: error.message, **_structure(shape, error.fields, error.code)}
    )


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()


def _structure(shape: Shape | None, value: Mapping[str, Any], where: str) -> dict[str, Any]:
    members = shape.members if shape is not None else {}
    result: dict[str, Any] = {}
    for name, member in value.items():
        if name not in members:
            raise KeyError(f"{where} has no member {name} in the service model")
        if member is not None:
            key = members[name].serialization.get("name", name)
            result[key] = _value(members[name], member, f"{where}.{name}")
    return result


def _value(shape: Shape, value: Any, where: str) -> Any:
    check_result(shape.type_name, value, where)
    match shape.type_name:
        case "structure":
            return _structure(shape, value, where)
        case "list":
            return [_value(shape.member, item, where) for item in value]
        case "map":
            return {key: _value(shape.value, item, where) for key, item in value.items()}
        case "timestamp":
            return _timestamp(value)
        case "blob":
            return base64.b64encode(value).decode()
    return value


def _timestamp(value: datetime) -> float:
    """Seconds since the epoch, with milliseconds where there are any."""
    seconds = round(value.timestamp(), 3)
    return int(seconds) if seconds.is_integer() else seconds
