"""Whether the endpoint's network lets a connection through to the target.

Source: AWS, "Security groups for EC2 Instance Connect Endpoint".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatchway.domain.addresses import address_problem
from hatchway.domain.network import InstanceState
from hatchway.domain.security_groups import Peer, allows_egress, allows_ingress

if TYPE_CHECKING:
    from hatchway.domain.addresses import Address
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.network import Instance
    from hatchway.gateway.admission.off_limits import OffLimits
    from hatchway.gateway.admission.served import Served
    from hatchway.gateway.snapshot.snapshot import Snapshot


class Flow(NamedTuple):
    """What would pass, and between whom. `instance` is the one registered at the address in the endpoint's
    VPC, if any."""

    endpoint: Endpoint
    instance: Instance | None
    address: Address
    port: int
    client: Address


def network_problem(snapshot: Snapshot, served: Served, off_limits: OffLimits, flow: Flow) -> str | None:
    """Why the connection is not allowed, in words for the audit trail; None if it is allowed.

    A target that is not registered has no security group of its own. So its address must neither belong to a
    host in another VPC that this gateway serves, nor be off limits. The address of a host that registered
    itself must not be off limits either: nobody else has confirmed where that host is.
    """
    endpoint, instance, address, port, client = flow
    vpc = snapshot.vpc(endpoint.vpc_id)
    problem = address_problem(address, vpc.cidrs if vpc else ())
    if problem is None:
        problem = off_limits.port_problem(address, port)
    if problem is not None:
        return problem
    if instance is None:
        problem = _somebody_elses(snapshot, served, flow) or off_limits.problem(address)
        if problem is not None:
            return problem
    elif instance.state is not InstanceState.RUNNING:
        return f"{instance.id} is {instance.state}"
    elif (problem := off_limits.instance_problem(instance, address)) is not None:
        return problem
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


def _somebody_elses(snapshot: Snapshot, served: Served, flow: Flow) -> str | None:
    for other in snapshot.instances_at(str(flow.address)):
        vpc = snapshot.vpc(other.vpc_id)
        if vpc is not None and served.reaches(vpc, snapshot.endpoints_of(vpc.id)):
            return (
                f"{flow.address} is {other.id} of {vpc.id}, whose security groups and tags would not count"
                f" through an endpoint of {flow.endpoint.vpc_id}: bind gateways to VPCs whose ranges overlap"
            )
    return None


def _listed(ids: tuple[str, ...]) -> str:
    return ", ".join(ids) or "no security group"
