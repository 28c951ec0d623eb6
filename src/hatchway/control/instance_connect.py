"""EC2 Instance Connect's own API (AWS: "EC2 Instance Connect API Reference")."""

from datetime import timedelta
from typing import Final

from hatchway.access.authorization import Check
from hatchway.access.context import resource_tag_keys
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Instance, InstanceState
from hatchway.domain.public_key import InvalidPublicKey, PublicKey, authorized_keys_line, parse_public_key
from hatchway.domain.ssh_key import LIFETIME, PushedKey
from hatchway.protocol import ServiceError
from hatchway.store.tables import pushed_keys

MOST_KEYS: Final = 100
"""Keys that one OS user of one instance may have at a time. Each `aws … ssh` pushes one."""


@operation("ec2-instance-connect", "SendSSHPublicKey", reads_only=False)
def send_ssh_public_key(call: Call) -> Result:
    """Makes a public key usable on an instance, by one OS user, for 60 seconds."""
    instance_id = call.parameters["InstanceId"]
    os_user = call.parameters["InstanceOSUser"]
    key = _public_key(call.parameters["SSHPublicKey"])
    instance = call.tx.instances.get(instance_id)

    # An instance that does not exist has no tags. By nothing else does a caller without the permission learn
    # whether it exists.
    call.authorize(
        Check(
            "ec2-instance-connect:SendSSHPublicKey",
            (call.arns.instance(instance_id),),
            context={"ec2:osuser": os_user, **resource_tag_keys(instance.tags if instance else {})},
        )
    )

    _check_reachable(call, instance)
    pushed = PushedKey(
        instance_id=instance_id,
        os_user=os_user,
        fingerprint=key.fingerprint,
        public_key=authorized_keys_line(key),
        expires_at=call.now + timedelta(seconds=LIFETIME),
        pushed_by=call.caller.principal.arn,
    )
    _check_quota(call, pushed)
    call.tx.pushed_keys.put(pushed)
    return {"RequestId": call.request_id, "Success": True}


def _public_key(text: str) -> PublicKey:
    try:
        return parse_public_key(text)
    except InvalidPublicKey as problem:
        raise ServiceError("InvalidArgsException", f"The SSH public key is not valid: {problem}.") from None


def _check_reachable(call: Call, instance: Instance | None) -> None:
    zone = call.parameters.get("AvailabilityZone")
    if instance is None or (zone is not None and zone != _zone_of(call, instance)):
        raise ServiceError("EC2InstanceNotFoundException", "The specified instance was not found.")
    if instance.state is not InstanceState.RUNNING:
        raise ServiceError(
            "EC2InstanceStateInvalidException",
            f"The instance is {instance.state}: it must be running for keys to be pushed to it.",
        )


def _zone_of(call: Call, instance: Instance) -> str | None:
    subnet = call.tx.subnets.get(instance.subnet_id)
    return None if subnet is None else subnet.availability_zone


def _check_quota(call: Call, pushed: PushedKey) -> None:
    usable = call.tx.pushed_keys.count(
        pushed_keys.c.expires_at > call.now,
        pushed_keys.c.fingerprint != pushed.fingerprint,
        instance_id=pushed.instance_id,
        os_user=pushed.os_user,
    )
    if usable >= MOST_KEYS:
        raise ServiceError(
            "ThrottlingException",
            f"{pushed.os_user} has {usable} keys on this instance: wait until some have expired.",
        )
