"""From a request to its answer: the one place where errors become responses, and where calls are recorded.

A call is authenticated, parsed and run; what it changes and its audit record are one transaction. The record
of a call that changes nothing, or that is refused, is committed before its answer goes out. What cannot be
recorded fails. Refusals beyond a caller's rate are counted, and the counts recorded, so that no flood of them
can fill the store.
"""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import structlog

from hatchway.access.authentication import (
    MissingAuthenticationToken,
    Signature,
    SignatureError,
    StoredDirectory,
    UnknownAccessKey,
    authenticate,
    examine,
    read_header_signature,
    read_query_signature,
)
from hatchway.access.context import request_keys, service_keys
from hatchway.access.principal import Caller
from hatchway.account.fleet import PLANS
from hatchway.control.audit_trail import event_name, refusal_record, source_of, success_record, trail_code
from hatchway.control.call_rates import Kind
from hatchway.control.catalogue import OFFERED, OPERATIONS
from hatchway.control.concurrency import (
    MUCH_READING,
    READ_TOGETHER,
    SLOW_READ,
    SLOW_WRITE,
    ConcurrentCalls,
    SlowCalls,
)
from hatchway.control.metrics import OTHER_SERVICE
from hatchway.control.operations import Call, Operation, StalePreparation
from hatchway.control.other_services import not_here, render
from hatchway.control.plane import ControlPlane
from hatchway.control.refusals import is_unforeseen, naming, throttled, to_service_error
from hatchway.control.request_state import ApiRequest, RequestState
from hatchway.control.services import (
    claimed_service,
    guess_service,
    is_presigned,
    lacking_without_signature,
    services,
    unsigned_query,
)
from hatchway.control.sts.limits import check_may_call
from hatchway.control.texts import check_texts
from hatchway.control.threads import ThreadCounts
from hatchway.control.tracing import CallTrace
from hatchway.control.unsupported import check_supported
from hatchway.domain.account import AuditRecord
from hatchway.protocol import Reply, ServiceError
from hatchway.store import Transaction, log_fields

log = structlog.get_logger("hatchway.control")

LONGEST_PRESIGNED: Final = 900
"""Seconds for which a presigned URL of a call is good at most, whatever it says: what it asks for can be done
again by all who come to see it."""

RECORD_SECONDS: Final = 30.0
"""How long a call waits for its record: a database server that hangs says nothing at all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        proven: whether its signature is its caller's.
        failed: whether it is not. Neither, when that could not be found out.
    """

    reply: Reply
    proven: bool
    failed: bool


class Dispatcher:
    """Answers requests. Called from many threads at once."""

    def __init__(self, plane: ControlPlane, threads: ThreadCounts | None = None) -> None:
        self._plane = plane
        self._services = services()
        self._running = ConcurrentCalls((threads or ThreadCounts()).of_a_principal)
        self._slow_reads = SlowCalls(SLOW_READ, MUCH_READING, READ_TOGETHER)
        self._slow_writes = SlowCalls(SLOW_WRITE)

    def dispatch(self, request: ApiRequest) -> Outcome:
        """The answer to any request."""
        started = time.perf_counter()
        metrics = self._plane.metrics
        trace = None if self._plane.traces is None else CallTrace(self._plane.traces)
        state = self._state_of(request)
        code = None
        problem: Exception | None = None
        told: Exception | None = None
        try:
            reply = self._perform(state, self._read_signature(state))
        except Exception as caught:
            problem = caught
            code, reply, told = self._refuse(state, problem)
        took = time.perf_counter() - started
        operation = state.operation.name if state.operation else None
        metrics.answered(state.service.name, operation, told)
        metrics.took(took)
        log.info(
            "call answered",
            service=state.service.name,
            operation=operation,
            principal=state.principal.arn if state.principal else None,
            status=reply.status,
            code=code,
            milliseconds=round(took * 1000, 1),
        )
        if trace is not None:
            trace.answered(state, reply.status, code)
        return Outcome(reply, proven=state.principal is not None, failed=isinstance(problem, SignatureError))

    def examine(self, request: ApiRequest) -> bool | Outcome:
        """Whether a request is proven by its head, its body not having been read; or why it is not to be."""
        plane = self._plane
        state = self._state_of(request)
        try:
            signature = self._read_signature(state)
            with plane.store.read() as tx:
                return examine(
                    request.http,
                    signature,
                    directory=StoredDirectory(tx, plane.vault, plane.arns, plane.callers),
                    now=state.now,
                    region=plane.arns.region,
                    services={state.service.name},
                )
        except Exception as problem:
            code, reply, told = self._refuse(state, problem)
            plane.metrics.answered(state.service.name, None, told)
            log.info("call refused by its head", service=state.service.name, status=reply.status, code=code)
            return Outcome(reply, proven=False, failed=isinstance(problem, SignatureError))

    def refuse(self, request: ApiRequest, error: ServiceError) -> Reply:
        """The answer to a request that is refused before anybody looks into it. It is counted."""
        state = self._state_of(request)
        state.service = claimed_service(request.http)
        self._plane.metrics.answered(state.service.name, None, error)
        what = source_of(self._plane, state), event_name(state), trail_code(state, error)
        self._plane.refusals.count(*what, time=state.now)
        return state.service.render_error(error, request.request_id)

    def refuse_other(self, request: ApiRequest, service: str) -> Reply:
        """The answer to a call of a service that is not here. It is counted."""
        state = self._state_of(request)
        error = not_here(service)
        self._plane.metrics.answered(OTHER_SERVICE, None, error)
        what = source_of(self._plane, state), event_name(state), trail_code(state, error)
        self._plane.refusals.count(*what, time=state.now)
        return render(naming(error, request.request_id), service, request.http, request.request_id)

    def throttle(self, request: ApiRequest, message: str) -> Reply:
        """The answer to a request that is throttled. It is counted."""
        return self.refuse(request, throttled(claimed_service(request.http).name, message))

    def _state_of(self, request: ApiRequest) -> RequestState:
        return RequestState(request=request, service=guess_service(request.http), now=self._plane.clock())

    def _read_signature(self, state: RequestState) -> Signature:
        http = state.request.http
        signature = read_query_signature(http) if is_presigned(http) else read_header_signature(http)
        if signature.expires is not None:
            signature = signature._replace(expires=min(signature.expires, LONGEST_PRESIGNED))
        state.access_key_id = signature.access_key_id
        state.service = self._services.get(signature.scope.service, state.service)
        return signature

    def _perform(self, state: RequestState, signature: Signature) -> Reply:
        plane = self._plane
        prepared: Any = None
        with ExitStack() as running:
            with plane.store.read() as tx:
                caller = authenticate(
                    state.request.http,
                    signature,
                    directory=StoredDirectory(tx, plane.vault, plane.arns, plane.callers),
                    now=state.now,
                    region=plane.arns.region,
                    services={state.service.name},
                )
                state.principal = caller.principal
                share = caller.principal.maker_id
                running.enter_context(self._running.one_more(share))
                # What a large request takes to be read, and a change to be prepared, is computed as well.
                with self._slow_reads.turn(share):
                    try:
                        operation = self._read_request(state)
                    except ServiceError:
                        # What is no call of anything has been read all the same.
                        plane.rates.spend(share, Kind.READ, time.monotonic())
                        raise
                    kind = Kind.READ if operation.reads_only else Kind.WRITE
                    plane.rates.spend(share, kind, time.monotonic())
                    if operation.reads_only:
                        result, reply = self._run(operation, state, self._call(state, tx, caller))
                    elif operation.prepare is not None:
                        prepared = operation.prepare(self._call(state, tx, caller))
            if operation.reads_only:
                self._record(success_record(plane, state, result))
                return reply
            running.enter_context(self._slow_writes.turn(share))
            left = PLANS - 1
            while True:
                try:
                    return self._write(
                        operation, state, signature.access_key_id, prepared, may_be_stale=left > 0
                    )
                except StalePreparation:
                    left -= 1
                    assert operation.prepare is not None
                    with plane.store.read() as tx:
                        current = self._resolve(tx, signature.access_key_id)
                        prepared = operation.prepare(self._call(state, tx, current, prepared))

    def _write(
        self,
        operation: Operation,
        state: RequestState,
        access_key_id: str,
        prepared: Any,
        *,
        may_be_stale: bool,
    ) -> Reply:
        """
        Raises:
            StalePreparation: see there.
        """
        plane = self._plane
        # Only those who are who they say they are get to hold the write lock. Within it they are looked up
        # again, so that the decision and its effect are one.
        with plane.store.write() as tx:
            current = self._resolve(tx, access_key_id)
            call = self._call(state, tx, current, prepared, may_be_stale=may_be_stale)
            result, reply = self._run(operation, state, call)
            plane.derive_granted(tx, state.now)
            tx.audit_records.add(success_record(plane, state, result))
        return reply

    def _resolve(self, tx: Transaction, access_key_id: str) -> Caller:
        """
        Raises:
            UnknownAccessKey: the key of an authenticated call is not good any more.
        """
        caller = self._plane.callers.resolve(tx, self._plane.arns, access_key_id)
        if caller is None:
            raise UnknownAccessKey(access_key_id)
        return caller

    def _read_request(self, state: RequestState) -> Operation:
        http = state.request.http
        headers = {name.lower(): value for name, value in http.headers}
        content_type = headers.get("content-type", "")
        service = state.service
        presigned = is_presigned(http)
        asked = service.parse(
            # Some clients presign a POST: it has no body either.
            "GET" if presigned else http.method,
            http.path,
            unsigned_query(http.query) if presigned else http.query,
            content_type,
            headers,
            http.body,
            offered=OFFERED[service.name],
        )
        operation = OPERATIONS[service.name, asked.operation]
        state.operation, state.parameters = operation, asked.parameters
        if state.principal is not None:
            check_may_call(state.principal, service.name, asked.operation)
        check_texts(service.name, asked.parameters)
        check_supported(service.name, asked.parameters, operation.unsupported)
        return operation

    def _run(self, operation: Operation, state: RequestState, call: Call) -> tuple[Mapping[str, Any], Reply]:
        result = operation.run(call)
        # Rendered before anything is committed: an answer that cannot be given undoes what it would tell of.
        return result, state.service.render_result(operation.name, result, state.request.request_id)

    def _call(
        self,
        state: RequestState,
        tx: Transaction,
        caller: Caller,
        prepared: Any = None,
        *,
        may_be_stale: bool = False,
    ) -> Call:
        plane = self._plane
        region = plane.arns.region
        context = {
            **caller.keys,
            **request_keys(state.request.origin, now=state.now, region=region),
            **service_keys(state.service.name, region),
        }
        state.call = Call(
            tx=tx,
            vault=plane.vault,
            gateway_vault=plane.gateway_vault,
            arns=plane.arns,
            caller=caller,
            operation_name="" if state.operation is None else state.operation.name,
            parameters=state.parameters or {},
            context=context,
            now=state.now,
            request_id=state.request.request_id,
            random_bytes=plane.random_bytes,
            prepared=prepared,
            may_be_stale=may_be_stale,
        )
        return state.call

    def _refuse(self, state: RequestState, problem: Exception) -> tuple[str, Reply, Exception]:
        """The code, the answer, and what it is for: the problem, or that it cannot be recorded."""
        service = state.service
        if is_unforeseen(problem):
            log.error("call failed", **log_fields(problem))
        plane = self._plane
        error = to_service_error(problem, service.name, plane.vault)
        if isinstance(problem, MissingAuthenticationToken):
            offered = OFFERED[service.name]
            error = lacking_without_signature(service, state.request.http, offered) or error
        what = source_of(plane, state), event_name(state), trail_code(state, error)
        try:
            if plane.refusals.admit(*what, time=state.now, now=time.monotonic()):
                self._record(refusal_record(plane, state, error))
            else:
                state.unrecorded = True
        except Exception as failure:
            log.error("refusal cannot be recorded", **log_fields(failure))
            plane.refusals.count(*what, time=state.now)
            error, problem = to_service_error(failure, service.name, plane.vault), failure
        request_id = state.request.request_id
        if not isinstance(problem, ServiceError):
            # Of what an operation itself refuses, its sentence says all that there is to know.
            error = naming(error, request_id)
        return error.code, service.render_error(error, request_id), problem

    def _record(self, record: AuditRecord) -> None:
        """Returns when the record is committed."""
        self._plane.log.submit(lambda tx: tx.audit_records.add(record)).result(RECORD_SECONDS)
