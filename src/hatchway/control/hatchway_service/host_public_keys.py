"""The public keys by which hosts are known, as they reported them (`hatchway.control.hosts.key_reports`)."""

from hatchway.access.authorization import Check, Guard
from hatchway.access.context import resource_tag_keys
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Instance
from hatchway.domain.ssh_key import HostPublicKeys
from hatchway.store.tables import host_public_keys


@operation("hatchway", "DescribeHostKeys", reads_only=True)
def describe_host_keys(call: Call) -> Result:
    """The public keys of hosts, of those that have reported some.

    Any host tells its keys to everybody who connects. So who may describe instances may read them here, that
    nobody has to be trusted on first sight, unless a policy denies it.
    """
    asked = {each: call.tx.instances.get(each) for each in dict.fromkeys(call.parameters["InstanceIds"])}

    call.authorize(
        Check("ec2:DescribeInstances"),
        *(_unless_denied(call, each, instance) for each, instance in asked.items()),
    )

    columns = host_public_keys.c
    found = call.tx.host_public_keys.find(columns.instance_id.in_(asked), order=(columns.instance_id,))
    return {"HostKeys": [_result(keys) for keys in found]}


def _unless_denied(call: Call, instance_id: str, instance: Instance | None) -> Guard:
    keys = resource_tag_keys(instance.tags if instance else {})
    arn = call.arns.instance(instance_id)
    return Guard("hatchway:DescribeHostKeys", arn, keys, call.arns.unnamed, (keys,))


def _result(keys: HostPublicKeys) -> Result:
    return {
        "InstanceId": keys.instance_id,
        "PublicKeys": list(keys.public_keys),
        "ReportedAt": keys.reported_at,
    }
