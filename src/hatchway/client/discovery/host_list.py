"""The hosts that a caller may see, each with the endpoint that leads to it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatchway.client.discovery.discovery import choose_endpoints, find_endpoints
from hatchway.client.discovery.hosts import RUNNING, describe_hosts
from hatchway.client.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.discovery import FoundEndpoint
    from hatchway.client.discovery.hosts import Filter, Host


@dataclass(frozen=True, slots=True)
class HostList:
    """Hosts by name, then id, each with the id of the endpoint that a tunnel to it takes; None for no way.

    `endpoints_unseen` is why no endpoint could be looked for: whoever may see hosts may not see endpoints.
    """

    hosts: list[tuple[Host, str | None]]
    endpoints_unseen: ApiError | None = None


def list_hosts(profile: Profile, filters: Iterable[Filter]) -> HostList:
    """The hosts that match every filter.

    Raises:
        ApiError, NotConfigured: the control plane refuses to tell of hosts, or cannot be asked.
    """
    ec2 = profile.api("ec2")
    hosts = sorted(describe_hosts(ec2, filters), key=lambda host: (host.name, host.instance_id))
    by_vpc: dict[str, list[FoundEndpoint]] = defaultdict(list)
    unseen = None
    try:
        for endpoint in find_endpoints(ec2):
            by_vpc[endpoint.vpc_id].append(endpoint)
    except ApiError as refused:
        unseen = refused
    return HostList(
        [(host, _way_to(host, by_vpc[host.vpc_id])) for host in hosts],
        unseen,
    )


def _way_to(host: Host, in_vpc: Sequence[FoundEndpoint]) -> str | None:
    if host.state != RUNNING or not host.vpc_id:
        return None
    return next((endpoint.endpoint_id for endpoint in choose_endpoints(in_vpc, host)), None)
