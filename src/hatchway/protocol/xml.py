"""XML bodies of the EC2 query and query protocols."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hatchway.protocol.text import check_result, without_unprintable, written_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from botocore.model import ServiceModel, Shape

    from hatchway.protocol.errors import ServiceError

_PROLOGUE: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_PERCENT_ENCODED: Final = "policyDocumentType"
"""IAM returns policy documents percent-encoded (IAM API Reference, GetUserPolicy). All members of this type
are such, and clients decode them by its name."""
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})
"""A bare carriage return would be read as a line feed (XML 1.0, section 2.11)."""


def escape(text: str) -> str:
    """`text` as character data or attribute value, less what XML 1.0 cannot carry."""
    return without_unprintable(text).translate(_ESCAPES)


def result_body(model: ServiceModel, operation: str, result: Mapping[str, Any], request_id: str) -> bytes:
    """A success.

    Raises:
        TypeError, KeyError: `result` is not as the model has it.
    """
    shape = model.operation_model(operation).output_shape
    writer = _Writer(model.protocol)
    members = "".join(writer.structure(shape, result, operation))
    namespace = escape(model.metadata["xmlNamespace"].rstrip("/") + "/")
    if model.protocol == "ec2":
        content = f"<requestId>{escape(request_id)}</requestId>{members}"
    else:
        wrapper = shape.serialization["resultWrapper"] if shape is not None else None
        wrapped = f"<{wrapper}>{members}</{wrapper}>" if wrapper else ""
        content = f"{wrapped}<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata>"
    name = f"{operation}Response"
    return f'{_PROLOGUE}<{name} xmlns="{namespace}">{content}</{name}>'.encode()


def error_body(model: ServiceModel, error: ServiceError, status: int, request_id: str) -> bytes:
    """A refusal.

    Raises:
        TypeError, KeyError: the error's fields are not as the model has them.
    """
    code, message = escape(error.code), escape(error.message)
    shape = model.shape_for_error_code(error.code)
    fields = "".join(_Writer(model.protocol).structure(shape, error.fields, error.code))
    if model.protocol == "ec2":
        return (
            f"{_PROLOGUE}<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{escape(request_id)}</RequestID></Response>"
        ).encode()
    namespace = escape(model.metadata["xmlNamespace"].rstrip("/") + "/")
    fault = "Sender" if status < 500 else "Receiver"
    return (
        f'{_PROLOGUE}<ErrorResponse xmlns="{namespace}"><Error><Type>{fault}</Type><Code>{code}</Code>'
        f"<Message>{message}</Message>{fields}</Error><RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
    ).encode()


class _Writer:
    """Writes values as their shapes say. `where` names the place in errors, which are the programmer's."""

    def __init__(self, protocol: str) -> None:
        self._default_item = "item" if protocol == "ec2" else "member"
        self._milliseconds = protocol == "ec2"

    def structure(self, shape: Shape | None, value: Mapping[str, Any], where: str) -> Iterator[str]:
        members = shape.members if shape is not None else {}
        for name, member in value.items():
            if name not in members:
                raise KeyError(f"{where} has no member {name} in the service model")
            if member is not None:
                tag = members[name].serialization.get("name", name)
                yield self._element(tag, members[name], member, f"{where}.{name}")

    def _element(self, tag: str, shape: Shape, value: Any, where: str) -> str:
        content = "".join(self._content(shape, value, where))
        return f"<{tag}>{content}</{tag}>"

    def _content(self, shape: Shape, value: Any, where: str) -> Iterator[str]:
        check_result(shape.type_name, value, where)
        match shape.type_name:
            case "structure":
                yield from self.structure(shape, value, where)
            case "list":
                tag = shape.member.serialization.get("name", self._default_item)
                for item in value:
                    yield self._element(tag, shape.member, item, where)
            case "map":
                for key, item in value.items():
                    yield "<entry>"
                    yield self._element("key", shape.key, key, where)
                    yield self._element("value", shape.value, item, where)
                    yield "</entry>"
            case "string" if shape.name == _PERCENT_ENCODED:
                yield quote(without_unprintable(value), safe="")
            case type_name:
                yield self._timestamp(value) if type_name == "timestamp" else _SCALARS[type_name](value)

    def _timestamp(self, value: datetime) -> str:
        precision = "milliseconds" if self._milliseconds else "seconds"
        return written_timestamp(value, precision)


_SCALARS: Final[dict[str, Callable[[Any], str]]] = {
    "string": escape,
    "boolean": lambda value: "true" if value else "false",
    "integer": str,
    "long": str,
    "float": repr,
    "double": repr,
    "blob": lambda value: base64.b64encode(value).decode(),
}
