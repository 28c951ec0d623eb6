"""Client tokens: the same creation asked for twice is done once (AWS: "Ensuring idempotency")."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hatchway.control.operations import Call
from hatchway.domain.account import ClientToken
from hatchway.protocol import ServiceError

_LONGEST: Final = 64
_NOT_THE_REQUEST: Final = ("ClientToken", "DryRun")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One creation under its client token; without a token each creation is another."""

    operation: str
    token: str | None
    request_hash: str

    @classmethod
    def of(cls, operation: str, parameters: Mapping[str, Any]) -> "Idempotency":
        """
        Raises:
            ServiceError: the token is too long.
        """
        token = parameters.get("ClientToken")
        if token is not None and not (token.isascii() and len(token) <= _LONGEST):
            raise ServiceError(
                "InvalidParameterValue", f"ClientToken has at most {_LONGEST} characters, all of them ASCII."
            )
        request = {name: value for name, value in parameters.items() if name not in _NOT_THE_REQUEST}
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        return cls(operation, token or None, digest)

    def earlier_resource(self, call: Call) -> str | None:
        """The id of what an earlier call with this token made.

        Raises:
            ServiceError: that call asked for something else.
        """
        known = call.tx.client_tokens.get(self.token, self.operation) if self.token else None
        if known is None:
            return None
        if known.request_hash != self.request_hash:
            raise ServiceError(
                "IdempotentParameterMismatch",
                "The client token has already been used for a request with other parameters.",
            )
        return known.resource_id

    def remember(self, call: Call, resource_id: str) -> None:
        if self.token is not None:
            call.tx.client_tokens.put(
                ClientToken(
                    token=self.token,
                    operation=self.operation,
                    request_hash=self.request_hash,
                    resource_id=resource_id,
                    created_at=call.now,
                )
            )
