"""Instance Connect and its endpoints beside AWS's service authorization reference: nothing is passed over.

Each action is there, each type of resource is asked about, and each condition key is carried, or it is said
here why not. Whatever a newer reference brings, these tests ask about.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

import pytest
from tests.control.harness import ARNS, INSTANCE, SSH_GROUP, SUBNET, Credentials, World
from tests.control.test_condition_keys import EVERYTHING, KEY, TAG, asked

from hatchway.access.authorization import authorize
from hatchway.access.open_tunnel import TunnelRequest, open_tunnel_checks
from hatchway.iam import Request
from hatchway.iam.global_keys import GLOBAL_KEYS, Presence
from hatchway.iam.lint import ActionFacts
from hatchway.policies.reference import aws_facts

__all__ = ["asked"]

LACKING = {
    "ec2-instance-connect:SendSerialConsoleSSHPublicKey": "hosts have no serial console that is reached here",
}
"""Actions that no call asks for."""

_OF_TUNNELS = "of OpenTunnel: the reference ties it to no action"
UNCARRIED: Mapping[str, Mapping[str, str]] = {
    "ec2-instance-connect:SendSSHPublicKey": {
        "ec2-instance-connect:maxtunnelduration": _OF_TUNNELS,
        "ec2-instance-connect:privateipaddress": _OF_TUNNELS,
        "ec2-instance-connect:remoteport": _OF_TUNNELS,
    },
}
"""Condition keys that no request for an action carries, besides the global ones."""

NOWHERE = {"ec2:commitmentduration": "of Capacity Reservations: the reference ties it to no action"}
"""Those that no request carries."""


def documented() -> dict[str, ActionFacts]:
    """What the reference says of the actions, by their names."""
    found: dict[str, ActionFacts] = {}
    for service, wanted in (("ec2-instance-connect", ""), ("ec2", "instanceconnectendpoint")):
        facts = aws_facts().service(service)
        assert facts is not None
        found |= {action.name: action for name, action in facts.actions.items() if wanted in name}
    return found


REFERENCE = documented()


@pytest.fixture
def observed(world: World, asked: list[Request]) -> Mapping[str, list[Request]]:
    """What policies are asked in the life of an endpoint and of a tunnel through it, by action."""
    who = world.user("admin", EVERYTHING)
    ec2 = world.client("ec2", who)
    tags = [{"ResourceType": "instance-connect-endpoint", "Tags": [TAG]}]
    made = ec2.create_instance_connect_endpoint(
        SubnetId=SUBNET, SecurityGroupIds=[SSH_GROUP], TagSpecifications=tags
    )["InstanceConnectEndpoint"]
    named = {"InstanceConnectEndpointId": made["InstanceConnectEndpointId"]}
    ec2.describe_instance_connect_endpoints()
    ec2.modify_instance_connect_endpoint(**named, SecurityGroupIds=[SSH_GROUP], IpAddressType="ipv4")
    world.client("ec2-instance-connect", who).send_ssh_public_key(
        InstanceId=INSTANCE, InstanceOSUser="ec2-user", SSHPublicKey=KEY
    )
    open_tunnel(world, who, named["InstanceConnectEndpointId"])
    ec2.delete_instance_connect_endpoint(**named)
    by_action: defaultdict[str, list[Request]] = defaultdict(list)
    for request in asked:
        by_action[request.action].append(request)
    return by_action


def open_tunnel(world: World, who: Credentials, endpoint_id: str) -> None:
    """Asks as the gateway does."""
    with world.store.read() as tx:
        endpoint, instance = tx.endpoints.get(endpoint_id), tx.instances.get(INSTANCE)
        caller = world.plane.callers.resolve(tx, ARNS, who.access_key_id)
    assert endpoint is not None and instance is not None and caller is not None
    request = TunnelRequest(endpoint_id, "10.0.1.1", 22, 3600)
    checks = open_tunnel_checks(request, ARNS.endpoint(endpoint_id), endpoint.tags, instance.tags)
    authorize(caller, checks, {})


def test_each_action_is_asked_for_or_said_to_be_lacking(observed: Mapping[str, list[Request]]) -> None:
    assert set(REFERENCE) - set(observed) == set(LACKING)


def test_each_type_of_resource_is_asked_about(observed: Mapping[str, list[Request]]) -> None:
    for name in set(REFERENCE) - set(LACKING):
        about = {arn for request in observed[name] for arn in (*request.resources, *request.deny_also)}
        for kind in REFERENCE[name].resource_types:
            pattern = re.sub(r"\\\$\\\{\w+\\\}", ".*", re.escape(kind.arn))
            assert any(re.fullmatch(pattern, arn) for arn in about), f"{name}: no {kind.name} in {about}"


def test_each_condition_key_is_carried_or_said_not_to_be(observed: Mapping[str, list[Request]]) -> None:
    never = {key.name.lower() for key in GLOBAL_KEYS if key.presence is Presence.NEVER}
    for name in set(REFERENCE) - set(LACKING):
        carried = {without_name(key) for request in observed[name] for key in request.keys}
        missing = {without_name(key) for key in REFERENCE[name].condition_keys} - carried - never
        expected = set(UNCARRIED.get(name, {}))
        expected |= {key for key in NOWHERE if key in REFERENCE[name].condition_keys}
        assert missing == expected, name


def without_name(key: str) -> str:
    """`aws:resourcetag/…` of `aws:resourcetag/env`."""
    return re.sub("/.*", "/…", key.lower())
