"""The shape of an operation: parameters, then checks, then effect, then result.

    @operation("ec2", "DeleteInstanceConnectEndpoint", reads_only=False)
    def delete_instance_connect_endpoint(call: Call) -> Result:
        endpoint_id = endpoint_id_of(call.parameters["InstanceConnectEndpointId"])      # parameters
        call.authorize(Check("ec2:DeleteInstanceConnectEndpoint", (…,), context=…))     # checks
        call.tx.endpoints.put(replace(endpoint, state=EndpointState.DELETE_COMPLETE))   # effect
        return {"InstanceConnectEndpoint": endpoint_result(…)}                          # result

Parameters are the service model's, already checked against it, and so is the result when it is rendered. An
operation raises `ServiceError` for what its service refuses; authentication, transactions, the audit trail
and the rendering of errors are the dispatcher's. A parameter that it does nothing with is refused by name, if
it is declared `unsupported`; see there. To add an operation is to write one such function in a
module that `catalogue` imports.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from hatchway.access.authorization import (
    AccessDenied,
    Authorization,
    Check,
    Context,
    Guard,
    Trust,
    authorize,
)
from hatchway.access.principal import Caller
from hatchway.control.unsupported import Unsupported
from hatchway.domain.arns import Arns
from hatchway.keys.vault import Vault
from hatchway.protocol import ServiceError
from hatchway.store import Transaction

Result = Mapping[str, Any]

MOST_SECONDS_OF_CHECKS: Final = 1.0
"""Seconds of computing after which no further check of a call is begun. One that names many things has a
check of each, and those of a call that writes are made while nobody else can."""


class StalePreparation(Exception):
    """The account has changed since the operation was prepared: prepare it again."""


@dataclass(frozen=True, slots=True)
class AuditedAnswer:
    """What the audit trail records in place of an answer that may be large, and what it records besides."""

    response_elements: Mapping[str, Any]
    additional: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Call:
    """One authenticated call of an operation, in its transaction.

    `context` holds the condition keys that do not depend on the operation. `authorization` is what
    `authorize` found, for the audit trail; `audited_answer` replaces the answer there. `prepared` is what the
    operation's preparation returned; during a repeated preparation, what the previous one returned.
    `may_be_stale` is whether the operation may raise `StalePreparation`: it may not do so without end.
    """

    tx: Transaction
    vault: Vault
    gateway_vault: Vault
    arns: Arns
    caller: Caller
    operation_name: str
    parameters: Mapping[str, Any]
    context: Context
    now: datetime
    request_id: str
    random_bytes: Callable[[int], bytes]
    prepared: Any = None
    may_be_stale: bool = False
    authorization: Authorization | None = field(default=None, init=False)
    audited_answer: AuditedAnswer | None = field(default=None, init=False)

    def authorize(self, *checks: Check | Guard | Trust) -> None:
        """Returns when the caller has all these permissions and means the call.

        To be called once, after the parameters are understood and before anything is done or told; once in
        a preparation too.

        Raises:
            AccessDenied: a check refuses.
            ServiceError: all pass, and the call is a dry run; or they take too long.
        """
        try:
            self.authorization = authorize(self.caller, _while_in_time(checks), self.context)
        except AccessDenied as denied:
            self.authorization = denied.authorization
            raise
        if self.parameters.get("DryRun"):
            raise ServiceError(
                "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412
            )


def _while_in_time(checks: Iterable[Check | Guard | Trust]) -> Iterator[Check | Guard | Trust]:
    """
    Raises:
        ServiceError: those before one have taken all the time that there is for them.
    """
    began = time.thread_time()
    for index, check in enumerate(checks):
        if index and time.thread_time() - began > MOST_SECONDS_OF_CHECKS:
            raise ServiceError(
                "RequestResourceCountExceeded",
                "It takes too long to ask your policies about all that this call names: name fewer things.",
            )
        yield check


@dataclass(frozen=True, slots=True)
class Operation:
    """`reads_only` operations run in a view that nothing can be changed through.

    `unsupported` are the parameters that it refuses: see `hatchway.control.unsupported`. `prepare` does the
    long part of one that writes, in an earlier view, while others may write; it runs again after
    `StalePreparation`.
    """

    service: str
    name: str
    reads_only: bool
    run: Callable[[Call], Result]
    unsupported: Unsupported = field(default_factory=dict)
    prepare: Callable[[Call], Any] | None = None


_ALL_SUPPORTED: Final[Unsupported] = MappingProxyType({})
_operations: Final[dict[tuple[str, str], Operation]] = {}


def operation(
    service: str,
    name: str,
    *,
    reads_only: bool,
    unsupported: Unsupported = _ALL_SUPPORTED,
    prepare: Callable[[Call], Any] | None = None,
) -> Callable[[Callable[[Call], Result]], Callable[[Call], Result]]:
    """Makes a function the operation `name` of a service, both as the service model spells them."""

    def register(run: Callable[[Call], Result]) -> Callable[[Call], Result]:
        if (service, name) in _operations:
            raise ValueError(f"{service} has the operation {name} already")
        _operations[service, name] = Operation(service, name, reads_only, run, unsupported, prepare)
        return run

    return register


def registered_operations() -> Mapping[tuple[str, str], Operation]:
    """All operations, by service and name, that have been registered so far."""
    return MappingProxyType(_operations)
