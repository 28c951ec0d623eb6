"""A live tunnel, and the gateway worker that carries it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LEASE: Final = timedelta(seconds=20)
"""How long a gateway worker counts as alive after it last said so."""

GRACE: Final = timedelta(seconds=40)
"""Beyond its lease, in which a worker that could not reach the store may come back. After that, others may
enter its tunnels as ended; a worker that cannot know whether they have ends them before."""


# Not frozen: that doubles what one costs, and there is one for each opening.
@dataclass(slots=True, kw_only=True)
class Tunnel:
    """One open tunnel; the row goes when the tunnel ends, the audit trail keeps its story.

    `bytes_in` went from the client to the target, `bytes_out` the other way, as last reported.
    `expires_at` is when its duration is reached. `maker_id` is the unique id of the user who opened it, with
    whichever role; None of one that an earlier version opened.
    """

    id: str
    gateway_id: str
    endpoint_id: str
    instance_id: str | None
    principal_arn: str
    access_key_id: str
    source_ip: str
    private_ip: str
    remote_port: int
    opened_at: datetime
    expires_at: datetime
    bytes_in: int = 0
    bytes_out: int = 0
    maker_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayWorker:
    """One worker process. Past `lease_until` it counts as dead, and its tunnels as ended."""

    id: str
    host: str
    port: int
    started_at: datetime
    lease_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    """An administrator's request to end a tunnel. Its gateway sees to it; the row goes some time after.

    `requested_by` is the administrator's ARN, `request_id` that of the call.
    """

    tunnel_id: str
    requested_by: str
    request_id: str
    requested_at: datetime
