"""Decides whether a tunnel may be opened: by the caller, the request, the policies and the network.

Everything is decided from the snapshot in memory, without waiting for anything. The result is a value: the
answer for the client together with the event for the audit trail.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

from hatchway.access.authentication import HttpRequest
from hatchway.access.authorization import AccessDenied, authorize
from hatchway.access.context import Origin, request_keys
from hatchway.access.explanation import may_know, why_denied
from hatchway.access.open_tunnel import is_decided_alike, open_tunnel_checks
from hatchway.access.presigned import Unauthenticated, authenticate_presigned
from hatchway.audit.events import (
    ENDPOINT_RESOURCE_TYPE,
    INSTANCE_RESOURCE_TYPE,
    EventSource,
    unknown_identity,
)
from hatchway.audit.log import to_json
from hatchway.domain.addresses import parse_address
from hatchway.gateway.admission.decision import (
    EVENT_SOURCE,
    Admitted,
    Call,
    Deferred,
    Reevaluation,
    Refused,
)
from hatchway.gateway.admission.decision_cache import CachedDecision, CacheKey, DecisionCache, DecisionInputs
from hatchway.gateway.admission.decision_time import DecisionTime
from hatchway.gateway.admission.network import Flow, network_problem
from hatchway.gateway.admission.preserve_client_ip import client_ip_problem
from hatchway.gateway.admission.refusal import (
    ENDPOINT_FULL,
    GATEWAY_FULL,
    PRINCIPAL_FULL,
    SLOW_TO_DECIDE,
    access_denied,
    bad_request,
    no_such_endpoint,
    not_served,
    unauthenticated,
)
from hatchway.gateway.admission.request import BadParameter, read_tunnel_request
from hatchway.gateway.snapshot.dependencies import network_dependencies

if TYPE_CHECKING:
    from datetime import datetime

    from hatchway.access.authorization import Authorization, Context
    from hatchway.access.open_tunnel import TunnelRequest
    from hatchway.access.presigned import SignatureReader
    from hatchway.access.principal import Caller, Principal
    from hatchway.audit.events import JsonObject
    from hatchway.audit.record_form import RecordForm
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.network import Instance
    from hatchway.gateway.admission.off_limits import OffLimits
    from hatchway.gateway.admission.refusal import Overrun, Refusal
    from hatchway.gateway.admission.served import Served
    from hatchway.gateway.snapshot.dependencies import Dependency
    from hatchway.gateway.snapshot.snapshot import Snapshot
    from hatchway.transport.websocket.handshake import Head

NO_SIGNING_KEY: Final = (
    "gateways have no signing key of this access key: it is the root user's or inactive, or the"
    " policies of its user or role allow no tunnel, or the signature is of another day; or the session token"
    " is not its own"
)


class Load(Protocol):
    """How many tunnels exist, as far as this worker knows."""

    def __len__(self) -> int: ...
    def on_endpoint(self, endpoint_id: str) -> int: ...
    def of_principal(self, maker_id: str) -> int: ...


class Admission:
    """Decides on requests by one account's snapshot."""

    def __init__(
        self,
        snapshot: Snapshot,
        load: Load,
        max_tunnels: int | None = None,
        *,
        served: Served,
        off_limits: OffLimits,
        may_take_addresses: bool = True,
        reader: SignatureReader | None = None,
        decision_time: DecisionTime | None = None,
    ) -> None:
        """
        Args:
            max_tunnels: how many tunnels this worker may carry at once.
            served: the endpoints through which it opens tunnels.
            off_limits: the addresses to which it opens none.
            may_take_addresses: whether it may connect from addresses that do not belong to the machine.
            reader: reads signatures and computes them, if it can; None to have Python do it.
        """
        self._snapshot = snapshot
        self._load = load
        self._max_tunnels = max_tunnels
        self._served = served
        self._off_limits = off_limits
        self._may_take_addresses = may_take_addresses
        self._reader = reader
        self._cache = DecisionCache()
        self._time = decision_time or DecisionTime()

    def decide(
        self, head: Head, *, source_ip: str, request_id: str, tunnel_id: str, now: datetime
    ) -> Admitted | Refused | Deferred:
        """The decision on one request whose path and WebSocket headers are valid."""
        snapshot = self._snapshot
        arns = snapshot.arns
        user_agent = head.user_agent

        def call(
            identity: JsonObject,
            request: TunnelRequest | None = None,
            resources: tuple[tuple[str, str], ...] = (),
            forms: dict[str, RecordForm] | None = None,
        ) -> Call:
            # By position: keyword arguments take three times as long.
            source = EventSource(
                arns.account, arns.region, EVENT_SOURCE, request_id, source_ip, user_agent, identity
            )
            return Call(source, request, resources, forms)

        http = HttpRequest("GET", head.path, head.query, head.headers, read=head.parameters)
        try:
            caller = authenticate_presigned(
                http, directory=snapshot, now=now, region=arns.region, reader=self._reader
            )
        except Unauthenticated as problem:
            return Refused(
                refusal=unauthenticated(problem.code, str(problem)),
                call=call(unknown_identity(problem.claimed_key_id)),
                authenticated=False,
                # Or the key is invented: gateways only know those that may open tunnels.
                perhaps_too_new=problem.unknown,
                additional=self._of_known_key(problem),
            )
        try:
            request = read_tunnel_request(http.parameters, snapshot.account.quotas.max_tunnel_duration)
        except BadParameter as problem:
            identity = caller.principal.user_identity()
            return Refused(refusal=bad_request(problem.problem), call=call(identity))

        key = CacheKey(caller.principal.access_key_id, source_ip, user_agent, request)
        cached = self._cache.get(key, snapshot.state)
        if cached is None:
            endpoint, instance = self._ends(request)
            between = snapshot.between(endpoint, instance) if endpoint and instance else ()
            inputs = DecisionInputs(caller, endpoint, instance, arns, between)
            cached = self._cache.revalidate(key, inputs, snapshot.state)
        if cached is not None:
            # What all tunnels of a cached decision have in common is stored once.
            _, source_ip, user_agent, request = cached.key
            return self._admit(
                tunnel_id, cached, call(cached.identity, request, cached.resources, cached.forms)
            )
        identity = caller.principal.user_identity()
        target = ((arns.instance(instance.id), INSTANCE_RESOURCE_TYPE),) if instance else ()
        resources = ((arns.endpoint(request.endpoint_id), ENDPOINT_RESOURCE_TYPE), *target)
        asking = call(identity, request, resources)
        maker_id = caller.principal.maker_id
        wait = self._time.wait(maker_id)
        if wait:
            return Deferred(wait, maker_id, Refused(refusal=SLOW_TO_DECIDE, call=asking))
        with self._time.measured(maker_id):
            try:
                authorization = self._authorize(caller, asking, request, (endpoint, instance), now)
            except AccessDenied as denied:
                why = self._why_denied(caller, asking, (endpoint, instance), denied, now)
                return Refused(
                    refusal=access_denied(str(denied), why),
                    call=asking,
                    additional={"decision": denied.authorization.to_json()},
                )
            decision = to_json(authorization.to_json())
        dependencies: tuple[Dependency, ...] = ()
        is_reachable = False
        if endpoint is not None:
            dependencies = self._dependencies(caller, endpoint, instance, request)
            # For an address that belongs to no instance this is checked each time.
            is_reachable = (
                instance is not None and self._network_problem(endpoint, instance, request, source_ip) is None
            )
        cached = CachedDecision(key, inputs, identity, resources, decision, dependencies, {}, is_reachable)
        if is_decided_alike(caller) and self._cache.put(cached, snapshot.state):
            asking = asking._replace(forms=cached.forms)
        return self._admit(tunnel_id, cached, asking)

    def _admit(self, tunnel_id: str, cached: CachedDecision, call: Call) -> Admitted | Refused:
        """The decision on a tunnel that the policies allow."""
        caller, endpoint, instance, _, _ = cached.inputs
        request, source_ip = call.request, call.source.source_ip
        assert request is not None

        def refused(refusal: Refusal, *, perhaps_too_new: bool = False, **network: str) -> Refused:
            additional = {"decision": json.loads(cached.decision), **network}
            return Refused(refusal=refusal, call=call, perhaps_too_new=perhaps_too_new, additional=additional)

        if endpoint is None or not endpoint.usable:
            return refused(no_such_endpoint(request.endpoint_id), perhaps_too_new=endpoint is None)
        elsewhere = self._not_served(endpoint)
        if elsewhere is not None:
            return refused(not_served(endpoint.id), network=elsewhere)
        quotas = self._snapshot.account.quotas
        quota = quotas.tunnels_per_endpoint if endpoint.max_tunnels is None else endpoint.max_tunnels
        principal_quota = quotas.tunnels_per_principal
        overrun = self._overrun(endpoint.id, quota, caller.principal, principal_quota)
        if overrun is not None:
            return refused(overrun.refusal)
        address = parse_address(request.private_ip)
        if cached.is_reachable and instance is not None:
            port_problem = self._off_limits.port_problem(address, request.remote_port)
            unreachable = port_problem or self._off_limits.instance_problem(instance, address)
        else:
            unreachable = self._network_problem(endpoint, instance, request, source_ip)
        instance_id = instance.id if instance else None
        source = parse_address(source_ip) if endpoint.preserve_client_ip else None
        # By position, as above.
        return Admitted(
            tunnel_id,
            call,
            request,
            address,
            caller.principal,
            instance_id,
            quota,
            unreachable,
            cached.decision,
            principal_quota,
            cached.dependencies,
            source,
            endpoint.proxy_protocol,
        )

    def explains(self, admitted: Admitted, now: datetime) -> bool:
        """Whether the owner of a tunnel may know why it cannot be opened, or cannot go on."""
        caller = self._snapshot.caller(admitted.principal.access_key_id)
        if caller is None or caller.principal.user_id != admitted.principal.user_id:
            return False
        return may_know(caller, self._context(caller, admitted.call, now))

    def reevaluate(self, admitted: Admitted, now: datetime) -> Reevaluation:
        """The decision on an open tunnel by the present account: the checks of `decide` except quotas."""
        request, principal = admitted.request, admitted.principal
        caller = self._snapshot.caller(principal.access_key_id)
        if caller is None or caller.principal.user_id != principal.user_id:
            return Reevaluation(
                revoked={"reason": f"access key {principal.access_key_id} is no longer valid"}
            )
        session = caller.principal.session
        if session is not None and self._ends_with_credentials and not session.good_at(now):
            key_id = session.access_key_id
            return Reevaluation(revoked={"reason": f"the temporary credentials {key_id} have expired"})
        endpoint, instance = self._ends(request)
        if endpoint is None or not endpoint.usable:
            state = "gone" if endpoint is None else endpoint.state.value
            return Reevaluation(revoked={"reason": f"{request.endpoint_id} is {state}"})
        try:
            self._authorize(caller, admitted.call, request, (endpoint, instance), now)
        except AccessDenied as denied:
            return Reevaluation(revoked={"reason": str(denied), "decision": denied.authorization.to_json()})
        unreachable = self._not_served(endpoint) or self._network_problem(
            endpoint, instance, request, admitted.source_ip
        )
        if unreachable is not None:
            return Reevaluation(revoked={"reason": unreachable})
        return Reevaluation(dependencies=self._dependencies(caller, endpoint, instance, request))

    @property
    def _ends_with_credentials(self) -> bool:
        """Whether tunnels end when the temporary credentials expire that opened them."""
        return self._snapshot.account.end_tunnels_with_credentials

    def _of_known_key(self, problem: Unauthenticated) -> dict[str, Any]:
        """For the audit trail only: an unauthenticated caller must not learn that a key exists."""
        claimed = problem.claimed_key_id
        if not problem.unknown or claimed is None:
            return {}
        snapshot = self._snapshot
        known = snapshot.access_key(claimed) is not None or snapshot.session(claimed) is not None
        return {"reason": NO_SIGNING_KEY} if known else {}

    def _ends(self, request: TunnelRequest) -> tuple[Endpoint | None, Instance | None]:
        """The endpoint, and the registered instance at the target's address."""
        endpoint = self._snapshot.endpoint(request.endpoint_id)
        return endpoint, self._snapshot.instance_at(endpoint.vpc_id, request.private_ip) if endpoint else None

    def _why_denied(
        self,
        caller: Caller,
        call: Call,
        ends: tuple[Endpoint | None, Instance | None],
        denied: AccessDenied,
        now: datetime,
    ) -> str:
        """The explanation for the caller; empty if the caller may not know it."""
        request = call.request
        if request is None or not may_know(caller, self._context(caller, call, now)):
            return ""

        def allows(seconds: int) -> bool:
            try:
                self._authorize(caller, call, request._replace(max_duration=seconds), ends, now)
            except AccessDenied:
                return False
            return True

        return why_denied(caller, denied.refusal, request.max_duration, allows)

    @staticmethod
    def _context(caller: Caller, call: Call, now: datetime) -> Context:
        """The condition keys of a request, except those of the requested tunnel."""
        source = call.source
        origin = Origin(source_ip=source.source_ip, user_agent=source.user_agent, secure=True)
        return {**caller.keys, **request_keys(origin, now=now, region=source.region)}

    def _authorize(
        self,
        caller: Caller,
        call: Call,
        request: TunnelRequest,
        ends: tuple[Endpoint | None, Instance | None],
        now: datetime,
    ) -> Authorization:
        """
        Raises:
            AccessDenied: the policies deny it.
        """
        endpoint, instance = ends
        endpoint_arn, _ = call.resources[0]
        return authorize(
            caller,
            open_tunnel_checks(
                request,
                endpoint_arn,
                endpoint.tags if endpoint else {},
                instance.tags if instance else {},
            ),
            self._context(caller, call, now),
        )

    def _overrun(
        self, endpoint_id: str, quota: int, principal: Principal, principal_quota: int
    ) -> Overrun | None:
        """The quota that one more tunnel would exceed, as far as this worker knows."""
        load = self._load
        if load.on_endpoint(endpoint_id) >= quota:
            return ENDPOINT_FULL
        if principal_quota and load.of_principal(principal.maker_id) >= principal_quota:
            return PRINCIPAL_FULL
        if self._max_tunnels is not None and len(load) >= self._max_tunnels:
            return GATEWAY_FULL
        return None

    def _not_served(self, endpoint: Endpoint) -> str | None:
        """Why another gateway serves this endpoint, in words for the audit trail; None if this one does."""
        vpc = self._snapshot.vpc(endpoint.vpc_id)
        if vpc is not None and self._served.covers(endpoint, vpc):
            return None
        return f"this gateway does not serve {endpoint.id}, which is in {endpoint.vpc_id}"

    def _network_problem(
        self, endpoint: Endpoint, instance: Instance | None, request: TunnelRequest, source_ip: str
    ) -> str | None:
        address, client = parse_address(request.private_ip), parse_address(source_ip)
        if endpoint.preserve_client_ip:
            problem = client_ip_problem(client, address, permitted=self._may_take_addresses)
            if problem is not None:
                return problem
        flow = Flow(endpoint, instance, address, request.remote_port, client)
        return network_problem(self._snapshot, self._served, self._off_limits, flow)

    def _dependencies(
        self, caller: Caller, endpoint: Endpoint, instance: Instance | None, request: TunnelRequest
    ) -> tuple[Dependency, ...]:
        return (
            *self._snapshot.dependencies_of(caller.principal.access_key_id),
            *network_dependencies(endpoint, instance, request.private_ip),
        )
