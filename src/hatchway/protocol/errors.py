"""The one kind of error that reaches a client of the API."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})


class ServiceError(Exception):
    """A call that the service refuses or cannot carry out, in the terms of its API.

    Attributes:
        code: as clients know it, `NoSuchEntity` or `InvalidSubnetID.NotFound`.
        message: for the caller's eyes.
        status: the HTTP status; None for the one that the service's model, or AWS's habit, gives the code.
        fields: further members of the model's error shape of that code.
    """

    def __init__(
        self, code: str, message: str, status: int | None = None, fields: Mapping[str, Any] = _NO_FIELDS
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
