"""Requests of the EC2 query and query protocols.

smithy.io, "AWS EC2 query protocol" and "AWS query protocol". The two differ in how a name is spelled and in
how a list says where its items are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.form import Branch, grow, read_form
from hatchway.protocol.messages import Call
from hatchway.protocol.refusals import ec2_parameter_name, not_offered
from hatchway.protocol.text import READERS, UnreadableError
from hatchway.protocol.violations import Kind, Path, Violation, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from botocore.model import ServiceModel, Shape

_SIGNATURE: Final = frozenset(
    f"X-Amz-{part}"
    for part in (
        "Algorithm",
        "Credential",
        "Date",
        "Expires",
        "Security-Token",
        "Signature",
        "SignedHeaders",
    )
)
"""Parameters of a presigned URL that are not the operation's."""

_list_index = re.compile(r"[1-9][0-9]{0,3}", re.ASCII).fullmatch
"""Items are numbered from 1, not necessarily without gaps."""


@dataclass(frozen=True, slots=True)
class _Dialect:
    """What tells the two protocols apart."""

    member_name: Callable[[Shape, str], str]
    item_step: Callable[[Shape], str | None]
    """The name between a list's and the index, None for nothing."""


_DIALECTS: Final = {
    "ec2": _Dialect(ec2_parameter_name, lambda _: None),
    "query": _Dialect(
        lambda shape, name: str(shape.serialization.get("name", name)),
        lambda shape: str(shape.member.serialization.get("name", "member")),
    ),
}


def read_query_request(
    model: ServiceModel,
    method: str,
    query: str,
    content_type: str,
    body: bytes,
    *,
    offered: Container[str] | None,
) -> tuple[Call, list[Violation]]:
    """The operation and its parameters, and what among them the model does not know or could not be read.

    Raises:
        ServiceError: the request is no form, or names no operation that is offered.
    """
    parameters = _parameters(method, query, content_type, body)
    action = parameters.pop("Action", "")
    version = parameters.pop("Version", "")
    _check_action(model, action, version)
    if offered is not None and action not in offered:
        raise ServiceError("InvalidAction", not_offered(model, action), 400)
    shape = model.operation_model(action).input_shape
    if shape is None:
        return Call(action, {}), [Violation(Kind.UNKNOWN, (name,)) for name in parameters]
    reader = _Reader(_DIALECTS[model.protocol])
    value = reader.structure(shape, grow(parameters), ())
    return Call(action, value), reader.violations


def _parameters(method: str, query: str, content_type: str, body: bytes) -> dict[str, str]:
    if method not in {"GET", "POST"}:
        raise ServiceError("MalformedHttpRequestException", "The method must be GET or POST.", 405)
    if body and content_type.partition(";")[0].strip().lower() not in {
        "",
        "application/x-www-form-urlencoded",
    }:
        raise ServiceError(
            "MalformedHttpRequestException",
            "The content type must be application/x-www-form-urlencoded.",
            415,
        )
    try:
        form = body.decode()
    except UnicodeDecodeError:
        raise ServiceError("MalformedQueryString", "The parameters are not encoded in UTF-8.") from None
    in_url = "&".join(pair for pair in query.split("&") if pair.partition("=")[0] not in _SIGNATURE)
    return read_form(in_url, form)


def _check_action(model: ServiceModel, action: str, version: str) -> None:
    if not action:
        raise ServiceError("MissingAction", "The request must contain the parameter Action")
    is_ec2 = model.protocol == "ec2"
    if is_ec2 and action in model.operation_names:
        if not version:
            raise ServiceError("MissingParameter", "The request must contain the parameter Version")
        if version != model.api_version:
            raise ServiceError(
                "NoSuchVersion",
                f"The version {version[:64]} of this service does not exist; use {model.api_version}.",
            )
    elif is_ec2:
        raise ServiceError("InvalidAction", f"The action {action[:128]} is not valid for this web service.")
    elif action not in model.operation_names or version != model.api_version:
        raise ServiceError(
            "InvalidAction",
            f"Could not find operation {action[:128]} for version {version[:64] or 'NO_VERSION_SPECIFIED'}",
        )


class _Reader:
    """One walk along a shape and the parameters' tree. Paths are names as the request spells them."""

    def __init__(self, dialect: _Dialect) -> None:
        self.violations: list[Violation] = []
        self._dialect = dialect

    def structure(self, shape: Shape, branch: Branch, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        known: set[str] = set()
        for name, member in shape.members.items():
            step = self._dialect.member_name(member, name)
            known.add(step)
            if step in branch.children:
                result[name] = self._value(member, branch.children[step], (*path, step))
        self._unknown(branch, known, path)
        self._no_own_value(branch, path)
        return result

    def _value(self, shape: Shape, branch: Branch, path: Path) -> Any:
        match shape.type_name:
            case "structure":
                return self.structure(shape, branch, path)
            case "list":
                return self._list(shape, branch, path)
            case "map":
                return self._map(shape, branch, path)
        self._unknown(branch, (), path)
        if branch.value is None:
            return None
        try:
            return READERS[shape.type_name](branch.value)
        except UnreadableError as error:
            given = None if shape.metadata.get("sensitive") else shown(branch.value)
            self.violations.append(Violation(Kind.UNREADABLE, path, str(error), given))
            return None

    def _list(self, shape: Shape, branch: Branch, path: Path) -> list[Any]:
        step = self._dialect.item_step(shape)
        if step is None:
            self._no_own_value(branch, path)
        else:
            # An empty list is the list's name with nothing as its value.
            if branch.value != "" or branch.children:
                self._no_own_value(branch, path)
            self._unknown(branch, (step,), path)
            branch, path = branch.children.get(step, Branch()), (*path, step)
            self._no_own_value(branch, path)
        return [
            self._value(shape.member, item, (*path, str(index))) for index, item in self._items(branch, path)
        ]

    def _map(self, shape: Shape, branch: Branch, path: Path) -> dict[str, Any]:
        self._no_own_value(branch, path)
        self._unknown(branch, ("entry",), path)
        entries = branch.children.get("entry", Branch())
        path = (*path, "entry")
        self._no_own_value(entries, path)
        key_step = self._dialect.member_name(shape.key, "key")
        value_step = self._dialect.member_name(shape.value, "value")
        result: dict[str, Any] = {}
        for index, entry in self._items(entries, path):
            where = (*path, str(index))
            self._unknown(entry, (key_step, value_step), where)
            self._no_own_value(entry, where)
            key = self._value(shape.key, entry.children.get(key_step, Branch()), (*where, key_step))
            value = self._value(shape.value, entry.children.get(value_step, Branch()), (*where, value_step))
            if key is None or value is None or key in result:
                self.violations.append(Violation(Kind.UNREADABLE, where, "have a key of its own and a value"))
            else:
                result[key] = value
        return result

    def _items(self, branch: Branch, path: Path) -> Iterator[tuple[int, Branch]]:
        indices = [int(step) for step in branch.children if _list_index(step)]
        self._unknown(branch, set(map(str, indices)), path)
        for index in sorted(indices):
            yield index, branch.children[str(index)]

    def _unknown(self, branch: Branch, known: set[str] | tuple[str, ...], path: Path) -> None:
        self.violations += [
            Violation(Kind.UNKNOWN, (*path, step, *_first_below(child)))
            for step, child in branch.children.items()
            if step not in known
        ]

    def _no_own_value(self, branch: Branch, path: Path) -> None:
        if branch.value is not None:
            self.violations.append(Violation(Kind.UNKNOWN, path))


def _first_below(branch: Branch) -> Path:
    """The rest of the first whole name that the request has under `branch`."""
    path: Path = ()
    while branch.value is None and branch.children:
        step, branch = next(iter(branch.children.items()))
        path = (*path, step)
    return path
