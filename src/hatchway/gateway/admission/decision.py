"""What comes of a decision, as values: for the client, for the audit trail, for the tunnel. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hatchway.audit.events import event

if TYPE_CHECKING:
    from datetime import datetime

    from hatchway.access.open_tunnel import TunnelRequest
    from hatchway.access.principal import Principal
    from hatchway.audit.events import EventSource, Outcome
    from hatchway.domain.endpoint import ProxyProtocol
    from hatchway.domain.reach import Address
    from hatchway.gateway.admission.refusal import Refusal
    from hatchway.gateway.snapshot.subjects import Subject

EVENT_SOURCE: Final = "ec2-instance-connect.amazonaws.com"


class Call(NamedTuple):
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


class Admitted(NamedTuple):
    """A tunnel that may be opened.

    `unreachable` says why the network forbids it all the same: to the client that reads as a target that does
    not answer. `quota` is how many tunnels the endpoint may carry at once, `principal_quota` how many the
    principal may have, 0 for as many as it likes. `subjects` are what the decision depends on.
    """

    tunnel_id: str
    call: Call
    request: TunnelRequest
    address: Address
    principal: Principal
    instance_id: str | None
    quota: int
    unreachable: str | None
    additional: dict[str, Any]
    principal_quota: int = 0
    subjects: tuple[Subject, ...] = ()
    source: Address | None = None
    """The address that the target sees; None for the gateway's own."""
    proxy_protocol: ProxyProtocol | None = None
    """How the target is told the client's address and port; None for not at all."""

    @property
    def source_ip(self) -> str:
        return self.call.source.source_ip


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A tunnel that may not be opened: what the client is told, and what the audit trail is told.

    `authenticated` is whether the caller is who the request says. `perhaps_too_new` is whether its key or the
    endpoint may be one that the snapshot does not know yet.
    """

    refusal: Refusal
    call: Call
    authenticated: bool = True
    perhaps_too_new: bool = False
    additional: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether an open tunnel may go on: `revoked` is None, else why not, for the audit trail."""

    subjects: tuple[Subject, ...] = ()
    revoked: dict[str, Any] | None = None
