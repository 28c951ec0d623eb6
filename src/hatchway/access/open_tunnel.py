"""The checks of `ec2-instance-connect:OpenTunnel` (docs/iam.md, "What there is to allow")."""

from collections.abc import Mapping
from typing import NamedTuple

from hatchway.access.authorization import Check, Context
from hatchway.access.context import CHANGING_KEYS, resource_tag_keys, tag_readings
from hatchway.access.principal import Caller
from hatchway.iam.context_keys import reads_any

ACTION = "ec2-instance-connect:OpenTunnel"


class TunnelRequest(NamedTuple):
    """What a client asks for. `max_duration` is in seconds, 3,600 when the client gives none."""

    endpoint_id: str
    private_ip: str
    remote_port: int
    max_duration: int


def open_tunnel_checks(
    request: TunnelRequest,
    endpoint_arn: str,
    endpoint_tags: Mapping[str, str],
    instance_tags: Mapping[str, str],
) -> tuple[Check, ...]:
    """One check, or two where the endpoint and the instance disagree on some tag: both must then allow.

    The document restricts access to instances by tags while the action's resource is the endpoint; so that
    no one gains by tagging just one of them, each one's tags count first once.
    """
    keys: Context = {
        "ec2-instance-connect:remotePort": str(request.remote_port),
        "ec2-instance-connect:privateIpAddress": request.private_ip,
        "ec2-instance-connect:maxTunnelDuration": str(request.max_duration),
    }
    return tuple(
        [
            Check(ACTION, (endpoint_arn,), context={**keys, **resource_tag_keys(tags)})
            for tags in tag_readings(endpoint_tags, instance_tags)
        ]
    )


def is_decided_alike(caller: Caller) -> bool:
    """Whether the same request of a caller is decided alike, and for the same reasons, whenever it comes."""
    return not reads_any(ACTION, caller.policies, CHANGING_KEYS)
