"""The results of a decision, as values: for the client, for the audit trail, for the tunnel. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hatchway.audit.events import Outcome, event
from hatchway.audit.log import text_to_json
from hatchway.audit.record_form import RecordForm

if TYPE_CHECKING:
    from datetime import datetime

    from hatchway.access.open_tunnel import TunnelRequest
    from hatchway.access.principal import Principal
    from hatchway.audit.events import EventSource
    from hatchway.domain.account import AuditRecord
    from hatchway.domain.addresses import Address
    from hatchway.domain.endpoint import ProxyProtocol
    from hatchway.gateway.admission.refusal import Refusal
    from hatchway.gateway.snapshot.dependencies import Dependency

EVENT_SOURCE: Final = "ec2-instance-connect.amazonaws.com"


class Call(NamedTuple):
    """One request to open a tunnel, as the audit trail records it.

    `forms` holds the forms of the records of all tunnels of one cached decision, by the names of events: see
    `decision_cache`.
    """

    source: EventSource
    request: TunnelRequest | None
    resources: tuple[tuple[str, str], ...]
    forms: dict[str, RecordForm] | None = None

    def record(self, name: str, event_id: str, time: datetime, additional: str) -> AuditRecord:
        """The record of a success. `additional` is a JSON object as `to_json` writes it."""
        forms = {} if self.forms is None else self.forms
        form = forms.get(name)
        if form is None:
            form = forms[name] = RecordForm(self.event(name, "", time, Outcome()))
        return form.record(
            request_id=self.source.request_id, event_id=event_id, time=time, additional=additional
        )

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

    Attributes:
        unreachable: why the network forbids it nevertheless; the client only sees a target that does not
            answer.
        decision: the decision for the audit trail, as `to_json` writes it; empty once it has been recorded.
        quota: how many tunnels the endpoint may carry at once.
        principal_quota: how many tunnels the principal may have at once; 0 for any number.
        dependencies: what the decision depends on.
    """

    tunnel_id: str
    call: Call
    request: TunnelRequest
    address: Address
    principal: Principal
    instance_id: str | None
    quota: int
    unreachable: str | None
    decision: str = ""
    principal_quota: int = 0
    dependencies: tuple[Dependency, ...] = ()
    source: Address | None = None
    """The address that the target sees; None for the gateway's own."""
    proxy_protocol: ProxyProtocol | None = None
    """How the target learns the client's address and port; None for not at all."""

    @property
    def source_ip(self) -> str:
        return self.call.source.source_ip

    def without_decision(self, dependencies: tuple[Dependency, ...]) -> Admitted:
        """The same with these dependencies and without the decision, as it is kept while the tunnel lasts."""
        # `_replace` takes three times as long.
        return Admitted(*self[:8], "", self.principal_quota, dependencies, *self[11:])

    @property
    def additional(self) -> dict[str, Any]:
        """What the event of its opening has besides the tunnel's id."""
        return {
            **({"decision": json.loads(self.decision)} if self.decision else {}),
            **({} if self.unreachable is None else {"network": self.unreachable}),
        }

    @property
    def additional_json(self) -> str:
        """The same with the tunnel's id, as `to_json` writes it."""
        decision = f',"decision":{self.decision}' if self.decision else ""
        network = "" if self.unreachable is None else f',"network":{text_to_json(self.unreachable)}'
        return f'{{"tunnelId":{text_to_json(self.tunnel_id)}{decision}{network}}}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A tunnel that may not be opened, with the answer for the client and the event for the audit trail.

    `authenticated` is whether the caller is who the request says. `perhaps_too_new` is whether the snapshot
    may not know its key or the endpoint yet.
    """

    refusal: Refusal
    call: Call
    authenticated: bool = True
    perhaps_too_new: bool = False
    additional: dict[str, Any] = field(default_factory=dict, repr=False)


class Deferred(NamedTuple):
    """Not decided yet, because decisions for this principal have taken more time than its share.

    Ask again after so many `seconds`, or answer with `refusal`.
    """

    seconds: float
    maker_id: str
    refusal: Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Reevaluation:
    """Whether an open tunnel may go on: if not, `revoked` says why, for the audit trail."""

    dependencies: tuple[Dependency, ...] = ()
    revoked: dict[str, Any] | None = None
