"""Resolving endpoints: where each stands, by which addresses, and what its gateways are called."""

from collections import defaultdict
from dataclasses import replace

from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME
from hatchway.domain.endpoint_creation import (
    CannotCreateEndpoint,
    EndpointOrder,
    interface_id_of,
    modified_endpoint,
    new_endpoint,
)
from hatchway.domain.gateway_names import endpoint_dns_name, name_problem
from hatchway.domain.ids import Kind, derived_id
from hatchway.domain.service_linked_role import service_linked_role
from hatchway.fleet.declarations import DeclaredEndpoint
from hatchway.fleet.directory import Directory, NamesBefore
from hatchway.fleet.draft import Draft


def resolve_endpoints(
    draft: Draft, names: NamesBefore, directory: Directory, endpoints: tuple[DeclaredEndpoint, ...]
) -> None:
    """Puts the endpoints of the file into the draft, each with the network interface that it has or gets."""
    orders = []
    # In the order of names: which address an endpoint finds free must not depend on the order of the file.
    for declared in sorted(endpoints, key=lambda endpoint: endpoint.name):
        order = _endpoint_order(draft, names, directory, declared)
        if order is not None and draft.claim("endpoints", order.endpoint_id, declared.place):
            orders.append((declared, order))
    if not orders:
        return
    taken = _addresses_in_use(draft, frozenset(order.endpoint_id for _, order in orders))
    for _, order in orders:
        taken[order.subnet.vpc_id].update(order.addresses.values())
    # Those that are there choose first: none loses its address to a newcomer.
    there = draft.before.rows.endpoints
    for declared, order in sorted(orders, key=lambda pair: pair[1].endpoint_id not in there):
        _put_endpoint(draft, declared, order, taken[order.subnet.vpc_id])
    if SERVICE_LINKED_ROLE_NAME not in draft.after.roles:
        draft.after.roles[SERVICE_LINKED_ROLE_NAME] = service_linked_role(draft.account, draft.now)


def _endpoint_order(
    draft: Draft, names: NamesBefore, directory: Directory, declared: DeclaredEndpoint
) -> EndpointOrder | None:
    subnet = directory.subnet(declared.subnet, f"{declared.place}.subnet")
    if subnet is None:
        return None
    groups = directory.groups_of(declared.security_groups, subnet.vpc_id, declared.place)
    if groups is None:
        return None
    endpoint_id = (
        declared.id
        or names.endpoints.get(declared.name)
        or derived_id(Kind.ENDPOINT, draft.account, declared.name)
    )
    return EndpointOrder(
        account=draft.account,
        endpoint_id=endpoint_id,
        subnet=subnet,
        security_group_ids=groups,
        # As all others, it gets its name in the end.
        dns_name="",
        preserve_client_ip=declared.preserve_client_ip,
        proxy_protocol=declared.proxy_protocol,
        ip_address_type=declared.ip_address_type,
        # Whose name is its id was made through the API, and has none.
        name=None if declared.name == endpoint_id else declared.name,
        max_tunnels=declared.max_tunnels,
        gateway_dns_name=declared.gateway_dns_name,
        addresses={
            version: address
            for version, address in ((4, declared.private_ip), (6, declared.ipv6))
            if address is not None
        },
        tags=declared.tags,
    )


def name_gateways(draft: Draft, of_account: str | None) -> None:
    """Has every endpoint the DNS name that its gateways have now, those not named in the file too."""
    after = draft.after
    account = draft.before.account
    if of_account is not None:
        account = replace(account, gateway_dns_name=of_account)
    for endpoint in list(after.endpoints.values()):
        vpc, subnet = after.vpcs.get(endpoint.vpc_id), after.subnets.get(endpoint.subnet_id)
        dns_name = endpoint_dns_name(endpoint.id, account, vpc, subnet, endpoint.gateway_dns_name)
        if endpoint.dns_name != dns_name:
            if problem := name_problem(endpoint.id, dns_name):
                place = draft.place_of("endpoints", endpoint.id) or "gateway_dns_name"
                draft.problems.add(place, f"the endpoint {problem}")
                continue
            draft.after.endpoints[endpoint.id] = replace(endpoint, dns_name=dns_name)


def _addresses_in_use(draft: Draft, moving: frozenset[str]) -> defaultdict[str, set[str]]:
    """The addresses that are taken in each VPC, except those of the endpoints in `moving`."""
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for instance in draft.after.instances.values():
        taken[instance.vpc_id].update(instance.addresses)
    for interface in draft.after.network_interfaces.values():
        if interface.endpoint_id not in moving:
            taken[interface.vpc_id].update(filter(None, (interface.private_ip, interface.ipv6)))
    return taken


def _put_endpoint(draft: Draft, declared: DeclaredEndpoint, order: EndpointOrder, taken: set[str]) -> None:
    rows = draft.before.rows
    endpoint = rows.endpoints.get(order.endpoint_id)
    if endpoint is not None and endpoint.subnet_id != order.subnet.id:
        draft.problems.add(
            f"{declared.place}.subnet",
            "an endpoint stays in its subnet: give the one in this subnet a name of its own",
        )
        return
    interface_ids = (
        endpoint.network_interface_ids if endpoint else (interface_id_of(draft.account, order.endpoint_id),)
    )
    interface = rows.network_interfaces.get(interface_ids[0]) if interface_ids else None
    try:
        if endpoint is None or interface is None:
            endpoint, interface = new_endpoint(order, taken=taken, now=draft.now)
        else:
            endpoint, interface = modified_endpoint(endpoint, interface, order, taken=taken)
    except CannotCreateEndpoint as error:
        draft.problems.add(declared.place, f"the endpoint {error}")
        return
    for version, address in order.addresses.items():
        if address not in (interface.private_ip, interface.ipv6):
            draft.problems.add(
                declared.place,
                f"{address} is an IPv{version} address, and the endpoint is {endpoint.ip_address_type}",
            )
    taken.update(filter(None, (interface.private_ip, interface.ipv6)))
    draft.after.endpoints[endpoint.id] = endpoint
    draft.after.network_interfaces[interface.id] = interface
