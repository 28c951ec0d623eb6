"""The account that one Hatchway serves, and its quotas."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from hatchway.domain.tunnel_protocol import USUAL_DURATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """AWS's own numbers by default (AWS: "Quotas for EC2 Instance Connect Endpoint", "Amazon VPC quotas").

    `tunnels_per_principal` 0 is no bound, as AWS has none. `max_tunnel_duration` is the seconds that a client
    may ask for, from `USUAL_DURATION` to `LONGEST_DURATION`. `rules_per_security_group` is in each direction.
    `users_per_account` is twice AWS's, as many as listings are measured with.
    What the fleet file says is made whatever the quotas of endpoints, networks and users.
    """

    endpoints_per_account: int = 5
    endpoints_per_vpc: int = 1
    endpoints_per_subnet: int = 1
    tunnels_per_endpoint: int = 20
    tunnels_per_principal: int = 0
    max_tunnel_duration: int = USUAL_DURATION
    vpcs_per_account: int = 5
    subnets_per_vpc: int = 200
    security_groups_per_account: int = 2500
    rules_per_security_group: int = 60
    users_per_account: int = 10_000


ENDPOINT_ID_LABEL: Final = "{endpoint_id}"
"""Stands for an endpoint's id in the names of gateways."""


def certificate_name(gateway_dns_name: str) -> str:
    """What a certificate has for gateways of that name: a pattern's are all of one wildcard (RFC 9525 section
    6.3)."""
    return gateway_dns_name.replace(ENDPOINT_ID_LABEL, "*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`gateway_dns_name` is the DnsName of every endpoint for which nothing else is said (`gateway_names`):
    where clients find the gateway, on port 443. With `ENDPOINT_ID_LABEL` as its first label it is a pattern,
    and each endpoint has its own. `end_tunnels_with_credentials` is whether a tunnel ends when the temporary
    credentials expire that it was opened with.
    """

    id: str
    region: str
    gateway_dns_name: str
    created_at: datetime
    quotas: Quotas = field(default_factory=Quotas)
    end_tunnels_with_credentials: bool = False


ALIAS: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9](?:[a-z0-9]|-(?!-))*[a-z0-9]")
"""As IAM's service model has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAlias:
    """Another name for the account."""

    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReport:
    """The account's latest; `content` is CSV."""

    account_id: str
    generated_at: datetime
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAddress:
    """An address of a machine whose control plane serves the API; no target of tunnels. `seen_at` in UTC."""

    address: str
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientToken:
    """Makes a creation idempotent: the same token and request answer with the same resource."""

    token: str
    operation: str
    request_hash: str
    resource_id: str
    created_at: datetime


# Not frozen, nor made by names alone: each doubles what one costs, and there are two for each tunnel.
@dataclass(slots=True)
class AuditRecord:
    """One event of the audit trail; `body` is the event as JSON text, the other fields are for look-ups.

    `terms` are what it is found by, such as `EventName=OpenTunnel`; a record that comes from the store has
    none. `exported` is false in records of older programs that have yet to be written as JSON lines; of all
    others a table says that.
    """

    event_id: str
    event_time: datetime
    event_source: str
    event_name: str
    request_id: str
    user_name: str | None
    access_key_id: str | None
    body: str
    exported: bool = True
    terms: tuple[str, ...] = field(default=(), compare=False, metadata={"column": False})
