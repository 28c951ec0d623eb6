"""Bodies of the JSON 1.1 protocol."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

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
    match shape.type_name:
        case "structure":
            return _structure(shape, value, where)
        case "list":
            return [_value(shape.member, item, where) for item in value]
        case "map":
            return {key: _value(shape.value, item, where) for key, item in value.items()}
        case "timestamp":
            return _timestamp(value, where)
        case type_name:
            if type(value) not in _SCALARS[type_name]:
                raise TypeError(f"{where} is a {type_name} in the service model, not {value!r}")
            return base64.b64encode(value).decode() if type_name == "blob" else value


def _timestamp(value: datetime, where: str) -> float:
    """Seconds since the epoch, with milliseconds where there are any."""
    if value.tzinfo is None:
        raise TypeError(f"{where} must be an aware datetime")
    seconds = round(value.timestamp(), 3)
    return int(seconds) if seconds.is_integer() else seconds


_SCALARS: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "blob": (bytes,),
}
