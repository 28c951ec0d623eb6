"""Instance Connect Endpoints (AWS: "EC2 Instance Connect Endpoint")."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hatchway.control.ec2.client_tokens import Idempotency
from hatchway.control.ec2.endpoint_checks import (
    CREATE,
    GROUPS_ATTRIBUTE,
    Creation,
    Groups,
    Modification,
    creation_checks,
    deletion_checks,
    modification_checks,
)
from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.resource_ids import ENDPOINT, SECURITY_GROUP, SUBNET
from hatchway.control.ec2.tags import read_tags
from hatchway.control.ec2.zones import zone_id
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.account import Account
from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME
from hatchway.domain.endpoint import MAX_SECURITY_GROUPS, Endpoint, EndpointState, IpAddressType
from hatchway.domain.endpoint_creation import (
    CannotCreateEndpoint,
    CannotPreserveClientIp,
    EndpointOrder,
    NoFreeAddress,
    modified_endpoint,
    new_endpoint,
)
from hatchway.domain.gateway_names import endpoint_dns_name
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.network import DEFAULT_GROUP_NAME, Subnet
from hatchway.domain.service_linked_role import service_linked_role
from hatchway.protocol import ServiceError
from hatchway.store.tables import endpoints

RESOURCE_TYPE: Final = "instance-connect-endpoint"

_ATTRIBUTES: Final = ("PreserveClientIp", "IpAddressType")
"""What a modification may set, besides the security groups."""

ENDPOINTS: Final[Listing[Endpoint]] = Listing(
    action="DescribeInstanceConnectEndpoints",
    ids="InstanceConnectEndpointIds",
    kind=ENDPOINT,
    rows=lambda tx: tx.endpoints,
    id_column=endpoints.c.id,
    fields=lambda _call: {
        "instance-connect-endpoint-id": endpoints.c.id,
        "state": endpoints.c.state,
        "subnet-id": endpoints.c.subnet_id,
        "vpc-id": endpoints.c.vpc_id,
    },
    least_page=1,
)


@operation("ec2", "CreateInstanceConnectEndpoint", reads_only=False)
def create_instance_connect_endpoint(call: Call) -> Result:
    """Makes an endpoint with its network interface, and the account's service-linked role with the first."""
    parameters = call.parameters
    subnet_id = parameters["SubnetId"]
    SUBNET.check(subnet_id)
    asked_groups = _group_ids(parameters.get("SecurityGroupIds") or ())
    tags = read_tags(parameters.get("TagSpecifications") or (), RESOURCE_TYPE)
    once = Idempotency.of(CREATE, parameters)
    subnet = call.tx.subnets.get(subnet_id)
    group_ids = asked_groups or _default_group_ids(call, subnet)
    endpoint_id = new_id(Kind.ENDPOINT, call.random_bytes(16))
    makes_role = call.tx.roles.get(SERVICE_LINKED_ROLE_NAME) is None

    call.authorize(
        *creation_checks(
            call.arns,
            Creation(
                endpoint_id=endpoint_id,
                subnet_id=subnet_id,
                subnet=subnet,
                groups=_groups(call, group_ids),
                tags=tags,
                makes_role=makes_role,
            ),
        )
    )

    earlier_id = once.earlier_resource(call)
    earlier = call.tx.endpoints.get(earlier_id) if earlier_id else None
    if earlier is not None:
        return {"InstanceConnectEndpoint": endpoint_result(call, earlier), "ClientToken": once.token}
    if subnet is None:
        raise SUBNET.missing([subnet_id])
    _check_groups(call, group_ids, subnet.vpc_id)
    account = call.tx.account()
    _check_quotas(call, account, subnet)
    order = EndpointOrder(
        account=account.id,
        endpoint_id=endpoint_id,
        subnet=subnet,
        security_group_ids=group_ids,
        dns_name=endpoint_dns_name(endpoint_id, account, call.tx.vpcs.get(subnet.vpc_id), subnet),
        preserve_client_ip=parameters.get("PreserveClientIp") or False,
        ip_address_type=_ip_address_type(parameters.get("IpAddressType")),
        tags=tags,
    )
    try:
        endpoint, interface = new_endpoint(order, taken=_taken_addresses(call, subnet), now=call.now)
    except CannotCreateEndpoint as problem:
        raise _cannot(problem) from None

    call.tx.endpoints.put(endpoint)
    call.tx.network_interfaces.put(interface)
    if makes_role:
        call.tx.roles.put(service_linked_role(account.id, call.now))
    once.remember(call, endpoint.id)
    return {"InstanceConnectEndpoint": endpoint_result(call, endpoint), "ClientToken": once.token}


@operation("ec2", "DescribeInstanceConnectEndpoints", reads_only=True)
def describe_instance_connect_endpoints(call: Call) -> Result:
    """Endpoints, those that were deleted within the last minute included."""
    page = describe(call, ENDPOINTS)
    return {
        "InstanceConnectEndpoints": [endpoint_result(call, endpoint) for endpoint in page.nouns],
        "NextToken": page.next_token,
    }


@operation("ec2", "ModifyInstanceConnectEndpoint", reads_only=False)
def modify_instance_connect_endpoint(call: Call) -> Result:
    """Replaces an endpoint's security groups, and changes what addresses it has and hands on."""
    parameters = call.parameters
    endpoint_id = parameters["InstanceConnectEndpointId"]
    ENDPOINT.check(endpoint_id)
    asked_groups = _group_ids(parameters.get("SecurityGroupIds") or ())
    attributes = {name: parameters[name] for name in _ATTRIBUTES if parameters.get(name) is not None}
    if not asked_groups and not attributes:
        names = ", ".join((GROUPS_ATTRIBUTE, *_ATTRIBUTES))
        raise ServiceError("MissingParameter", f"The request must contain at least one of {names}")
    found = _find(call, endpoint_id)

    call.authorize(
        *modification_checks(
            call.arns,
            endpoint_id,
            found,
            Modification(
                groups=_groups(call, asked_groups),
                attributes={name: _condition_value(value) for name, value in attributes.items()},
            ),
        )
    )

    endpoint, subnet = _living(found, endpoint_id)
    if asked_groups:
        _check_groups(call, asked_groups, endpoint.vpc_id)
    (interface,) = call.tx.network_interfaces.find(endpoint_id=endpoint_id)
    preserve = parameters.get("PreserveClientIp")
    order = EndpointOrder(
        account=call.arns.account,
        endpoint_id=endpoint_id,
        subnet=subnet,
        security_group_ids=asked_groups or endpoint.security_group_ids,
        dns_name=endpoint.dns_name,
        gateway_dns_name=endpoint.gateway_dns_name,
        preserve_client_ip=endpoint.preserve_client_ip if preserve is None else preserve,
        ip_address_type=_ip_address_type(parameters.get("IpAddressType")) or endpoint.ip_address_type,
        name=endpoint.name,
        max_tunnels=endpoint.max_tunnels,
        proxy_protocol=endpoint.proxy_protocol,
        tags=endpoint.tags,
    )
    taken = _taken_addresses(call, subnet) - set(filter(None, (interface.private_ip, interface.ipv6)))
    try:
        endpoint, interface = modified_endpoint(endpoint, interface, order, taken=taken)
    except CannotCreateEndpoint as problem:
        raise _cannot(problem) from None

    call.tx.endpoints.put(endpoint)
    call.tx.network_interfaces.put(interface)
    return {"Return": True}


@operation("ec2", "DeleteInstanceConnectEndpoint", reads_only=False)
def delete_instance_connect_endpoint(call: Call) -> Result:
    """Takes an endpoint out of service with its interface; it stays listed as deleted for a while."""
    endpoint_id = call.parameters["InstanceConnectEndpointId"]
    ENDPOINT.check(endpoint_id)
    found = _find(call, endpoint_id)

    call.authorize(*deletion_checks(call.arns, endpoint_id, found))

    endpoint, _ = _living(found, endpoint_id)
    deleted = replace(endpoint, state=EndpointState.DELETE_COMPLETE, state_message="", deleted_at=call.now)
    call.tx.endpoints.put(deleted)
    call.tx.network_interfaces.delete_where(endpoint_id=endpoint_id)
    return {"InstanceConnectEndpoint": endpoint_result(call, deleted)}


def endpoint_result(call: Call, endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as EC2 describes it. All of its DNS names are the gateway's."""
    names = {"DnsName": endpoint.dns_name, "FipsDnsName": endpoint.dns_name}
    return {
        "OwnerId": call.arns.account,
        "InstanceConnectEndpointId": endpoint.id,
        "InstanceConnectEndpointArn": call.arns.endpoint(endpoint.id),
        "State": endpoint.state.value,
        "StateMessage": endpoint.state_message,
        **names,
        "NetworkInterfaceIds": endpoint.network_interface_ids,
        "VpcId": endpoint.vpc_id,
        "AvailabilityZone": endpoint.availability_zone,
        "AvailabilityZoneId": zone_id(endpoint.availability_zone),
        "CreatedAt": endpoint.created_at,
        "SubnetId": endpoint.subnet_id,
        "PreserveClientIp": endpoint.preserve_client_ip,
        "SecurityGroupIds": endpoint.security_group_ids,
        "Tags": tag_results(endpoint.tags),
        "IpAddressType": endpoint.ip_address_type.value,
        "PublicDnsNames": {"Ipv4": names, "Dualstack": names},
    }


def _group_ids(ids: Sequence[str]) -> tuple[str, ...]:
    SECURITY_GROUP.check(*ids)
    distinct = tuple(dict.fromkeys(ids))
    if len(distinct) > MAX_SECURITY_GROUPS:
        raise ServiceError(
            "InvalidParameterValue", f"An endpoint has at most {MAX_SECURITY_GROUPS} security groups."
        )
    return distinct


def _groups(call: Call, group_ids: Sequence[str]) -> Groups:
    return {group_id: call.tx.security_groups.get(group_id) for group_id in group_ids}


def _condition_value(value: str | bool) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _default_group_ids(call: Call, subnet: Subnet | None) -> tuple[str, ...]:
    if subnet is None:
        return ()
    groups = call.tx.security_groups.find(vpc_id=subnet.vpc_id, name=DEFAULT_GROUP_NAME)
    return tuple(group.id for group in groups[:1])


def _check_groups(call: Call, group_ids: Sequence[str], vpc_id: str) -> None:
    for group_id in group_ids:
        group = call.tx.security_groups.get(group_id)
        if group is None or group.vpc_id != vpc_id:
            raise ServiceError(
                SECURITY_GROUP.not_found, f"The security group '{group_id}' does not exist in VPC '{vpc_id}'"
            )
    if not group_ids:
        raise ServiceError(SECURITY_GROUP.not_found, f"VPC '{vpc_id}' has no default security group")


def _check_quotas(call: Call, account: Account, subnet: Subnet) -> None:
    living = endpoints.c.state != EndpointState.DELETE_COMPLETE
    quotas = account.quotas
    limits: tuple[tuple[int, str, dict[str, str]], ...] = (
        (quotas.endpoints_per_account, f"account {account.id} in {account.region}", {}),
        (quotas.endpoints_per_vpc, f"VPC {subnet.vpc_id}", {"vpc_id": subnet.vpc_id}),
        (quotas.endpoints_per_subnet, f"subnet {subnet.id}", {"subnet_id": subnet.id}),
    )
    for most, place, where in limits:
        if call.tx.endpoints.count(living, **where) >= most:
            raise ServiceError(
                "InstanceConnectEndpointLimitExceeded",
                f"The quota of {most} EC2 Instance Connect Endpoint{'s' if most != 1 else ''} "
                f"for {place} has been reached.",
            )


def _taken_addresses(call: Call, subnet: Subnet) -> set[str]:
    instances = call.tx.instances.find(subnet_id=subnet.id)
    interfaces = call.tx.network_interfaces.find(subnet_id=subnet.id)
    pairs = [(one.private_ip, one.ipv6) for one in instances]
    pairs += [(one.private_ip, one.ipv6) for one in interfaces]
    return {address for pair in pairs for address in pair if address is not None}


def _ip_address_type(text: str | None) -> IpAddressType | None:
    return None if text is None else IpAddressType(text)


def _cannot(problem: CannotCreateEndpoint) -> ServiceError:
    match problem:
        case NoFreeAddress():
            code = "InsufficientFreeAddressesInSubnet"
        case CannotPreserveClientIp():
            code = "InvalidParameterValue"
        case _:
            code = "InvalidParameterCombination"
    return ServiceError(code, f"The endpoint {problem}.")


def _find(call: Call, endpoint_id: str) -> tuple[Endpoint, Subnet | None] | None:
    endpoint = call.tx.endpoints.get(endpoint_id)
    return None if endpoint is None else (endpoint, call.tx.subnets.get(endpoint.subnet_id))


def _living(found: tuple[Endpoint, Subnet | None] | None, endpoint_id: str) -> tuple[Endpoint, Subnet]:
    if found is None or found[0].deleted or found[1] is None:
        raise ENDPOINT.missing([endpoint_id])
    return found[0], found[1]
