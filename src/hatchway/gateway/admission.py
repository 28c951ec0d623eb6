"""May this tunnel be opened: who is calling, what is asked for, what the policies and the network say.

Everything is decided from the snapshot in memory, without waiting for anything, and comes out as a value: the
answer for the client together with the event for the audit trail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hatchway.access.authorization import AccessDenied, authorize
from hatchway.access.context import Origin, principal_keys, request_keys
from hatchway.access.open_tunnel import open_tunnel_checks
from hatchway.access.presigned import Unauthenticated, authenticate_presigned
from hatchway.access.principal import PrincipalType
from hatchway.audit.events import (
    ENDPOINT_RESOURCE_TYPE,
    EventSource,
    Outcome,
    event,
    unknown_identity,
    user_identity,
)
from hatchway.domain.reach import parse_address
from hatchway.gateway.network import Connection, network_problem
from hatchway.gateway.refusal import (
    TOO_MANY_TUNNELS,
    Refusal,
    access_denied,
    bad_request,
    no_such_endpoint,
    unauthenticated,
)
from hatchway.gateway.request import BadParameter, read_tunnel_request

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hatchway.access.open_tunnel import TunnelRequest
    from hatchway.access.principal import Principal
    from hatchway.domain.reach import Address
    from hatchway.gateway.handshake import Head
    from hatchway.gateway.snapshot import Snapshot

EVENT_SOURCE: Final = "ec2-instance-connect.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to open a tunnel, as the audit trail tells of it."""

    source: EventSource
    request: TunnelRequest | None
    resources: tuple[tuple[str, str], ...]

    def event(self, name: str, event_id: str, time: datetime, outcome: Outcome) -> dict[str, Any]:
        request = self.request
        parameters = (
            None
            if request is None
            else {
                "instanceConnectEndpointId": request.endpoint_id,
                "maxTunnelDuration": str(request.max_duration),
                "remotePort": str(request.remote_port),
                "privateIpAddress": request.private_ip,
            }
        )
        return event(
            self.source,
            event_id=event_id,
            time=time,
            name=name,
            read_only=False,
            request_parameters=parameters,
            outcome=outcome,
            resources=self.resources,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A tunnel that may be opened.

    `unreachable` says why the network forbids it all the same: to the client that reads as a target that does
    not answer. `quota` is how many tunnels the endpoint may carry at once.
    """

    tunnel_id: str
    call: Call
    request: TunnelRequest
    address: Address
    principal: Principal
    instance_id: str | None
    quota: int
    unreachable: str | None
    additional: dict[str, Any] = field(repr=False)

    @property
    def source_ip(self) -> str:
        return self.call.source.source_ip


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A tunnel that may not be opened: what the client is told, and what the audit trail is.

    `authenticated` is whether the caller is who he says.
    """

    refusal: Refusal
    call: Call
    authenticated: bool = True
    additional: dict[str, Any] = field(default_factory=dict, repr=False)


class Admission:
    """Decides on requests, by one account's snapshot."""

    def __init__(self, snapshot: Snapshot, tunnels_on: Callable[[str], int]) -> None:
        """`tunnels_on` tells how many tunnels an endpoint carries, as far as this worker knows."""
        self._snapshot = snapshot
        self._tunnels_on = tunnels_on

    def decide(
        self, head: Head, *, source_ip: str, request_id: str, tunnel_id: str, now: datetime
    ) -> Admitted | Refused:
        """The decision on one request whose path and WebSocket headers are as they should be."""
        snapshot = self._snapshot
        arns = snapshot.arns
        origin = Origin(source_ip=source_ip, user_agent=head.user_agent, secure=True)

        def call(
            identity: dict[str, Any],
            request: TunnelRequest | None = None,
            resources: tuple[tuple[str, str], ...] = (),
        ) -> Call:
            source = EventSource(
                account=arns.account,
                region=arns.region,
                event_source=EVENT_SOURCE,
                request_id=request_id,
                source_ip=source_ip,
                user_agent=head.user_agent,
                user_identity=identity,
            )
            return Call(source=source, request=request, resources=resources)

        try:
            caller = authenticate_presigned(
                path=head.path,
                query=head.query,
                headers=head.headers,
                directory=snapshot,
                now=now,
                region=arns.region,
            )
        except Unauthenticated as problem:
            return Refused(
                refusal=unauthenticated(problem.code, str(problem)),
                call=call(dict(unknown_identity(problem.claimed_key_id))),
                authenticated=False,
            )
        identity = _identity(caller.principal)
        try:
            request = read_tunnel_request(head.query)
        except BadParameter as problem:
            return Refused(refusal=bad_request(problem.problem), call=call(identity))

        endpoint_arn = arns.endpoint(request.endpoint_id)
        asked = call(identity, request, ((endpoint_arn, ENDPOINT_RESOURCE_TYPE),))
        endpoint = snapshot.endpoint(request.endpoint_id)
        address = parse_address(request.private_ip)
        instance = snapshot.instance_at(endpoint.vpc_id, request.private_ip) if endpoint else None
        try:
            authorization = authorize(
                caller,
                open_tunnel_checks(
                    request,
                    endpoint_arn,
                    endpoint.tags if endpoint else {},
                    instance.tags if instance else {},
                ),
                {**principal_keys(caller.principal), **request_keys(origin, now=now, region=arns.region)},
            )
        except AccessDenied as denied:
            return Refused(
                refusal=access_denied(str(denied)),
                call=asked,
                additional={"decision": denied.authorization.to_json()},
            )
        additional: dict[str, Any] = {"decision": authorization.to_json()}
        if endpoint is None or not endpoint.usable:
            return Refused(refusal=no_such_endpoint(request.endpoint_id), call=asked, additional=additional)
        quota = endpoint.max_tunnels
        if quota is None:
            quota = snapshot.account.quotas.tunnels_per_endpoint
        if self._tunnels_on(endpoint.id) >= quota:
            return Refused(refusal=TOO_MANY_TUNNELS, call=asked, additional=additional)
        unreachable = network_problem(
            snapshot, Connection(endpoint, instance, address, request.remote_port, parse_address(source_ip))
        )
        if unreachable is not None:
            additional["network"] = unreachable
        return Admitted(
            tunnel_id=tunnel_id,
            call=asked,
            request=request,
            address=address,
            principal=caller.principal,
            instance_id=instance.id if instance else None,
            quota=quota,
            unreachable=unreachable,
            additional=additional,
        )


def _identity(principal: Principal) -> dict[str, Any]:
    return dict(
        user_identity(
            type_="Root" if principal.type is PrincipalType.ROOT else "IAMUser",
            principal_id=principal.user_id,
            arn=principal.arn,
            account=principal.account,
            access_key_id=principal.access_key_id,
            user_name=principal.user_name,
        )
    )
