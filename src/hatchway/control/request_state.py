"""A request to the API, and what has become known of it by the time that it is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hatchway.access.authentication import HttpRequest
from hatchway.access.authorization import Authorization
from hatchway.access.context import Origin
from hatchway.access.principal import Principal
from hatchway.control.operations import Call, Operation
from hatchway.protocol import Service


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request as it came, its body read, and where it came from."""

    http: HttpRequest
    origin: Origin
    request_id: str


@dataclass(slots=True, kw_only=True)
class RequestState:
    """What the audit trail tells of a request. Fields are filled in as they become known.

    `access_key_id` is only what the request claims, until there is a `principal`. `unrecorded` is a
    refusal that has no record of its own: it has been counted.
    """

    request: ApiRequest
    service: Service
    now: datetime
    access_key_id: str | None = None
    principal: Principal | None = None
    operation: Operation | None = None
    parameters: Mapping[str, Any] | None = None
    call: Call | None = None
    unrecorded: bool = False

    @property
    def authorization(self) -> Authorization | None:
        return None if self.call is None else self.call.authorization
