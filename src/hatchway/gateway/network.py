"""Whether the endpoint's network lets a connection through to the target.

Source: AWS, "Security groups for EC2 Instance Connect Endpoint".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatchway.domain.network import InstanceState
from hatchway.domain.reach import Peer, address_problem, allows_egress, allows_ingress

if TYPE_CHECKING:
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.network import Instance
    from hatchway.domain.reach import Address
    from hatchway.gateway.snapshot import Snapshot


class Flow(NamedTuple):
    """What would pass, and between whom. `instance` is the registered one at the address, if there is one."""

    endpoint: Endpoint
    instance: Instance | None
    address: Address
    port: int
    client: Address


def network_problem(snapshot: Snapshot, flow: Flow) -> str | None:
    """Why the connection is not let through, in words for the audit trail; None when it is.

    A target that is not registered has no security group of its own to ask.
    """
    endpoint, instance, address, port, client = flow
    vpc = snapshot.vpc(endpoint.vpc_id)
    problem = address_problem(address, vpc.cidrs if vpc else ())
    if problem is not None:
        return problem
    if instance is not None and instance.state is not InstanceState.RUNNING:
        return f"{instance.id} is {instance.state}"
    leaving = endpoint.security_group_ids
    entering = instance.security_group_ids if instance else ()
    target = Peer(address, frozenset(entering))
    if not allows_egress(snapshot.security_groups(leaving), target, port):
        return f"no egress rule of {_listed(leaving)} allows {address} port {port}"
    if instance is None:
        return None
    members = frozenset(leaving)
    sources = [
        Peer(source, members)
        for source in ([client] if endpoint.preserve_client_ip else snapshot.interface_addresses(endpoint))
        if source.version == address.version
    ]
    if not allows_ingress(snapshot.security_groups(entering), sources, port):
        return f"no ingress rule of {_listed(entering)} allows {endpoint.id} to port {port}"
    return None


def _listed(ids: tuple[str, ...]) -> str:
    return ", ".join(ids) or "no security group"
