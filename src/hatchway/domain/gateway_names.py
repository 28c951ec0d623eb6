"""By what names clients find gateways: each endpoint's DnsName, and all that there are."""

import re
from collections.abc import Collection, Iterable
from typing import Final

from hatchway.domain.account import ENDPOINT_ID_LABEL, Account
from hatchway.domain.endpoint import Endpoint
from hatchway.domain.network import Subnet, Vpc

_LABEL: Final = re.compile(r"[0-9a-zA-Z]([0-9a-zA-Z-]{0,61}[0-9a-zA-Z])?")
_LONGEST: Final = 253
"""Of a host name and each of its labels (RFC 1123, section 2.1; RFC 1035, section 2.3.4)."""


def gateway_name(account: Account, vpc: Vpc | None, subnet: Subnet | None, own: str | None) -> str:
    """The name, or the pattern, of an endpoint's gateways: its own, else its subnet's, its VPC's or the
    account's."""
    of_subnet = None if subnet is None else subnet.gateway_dns_name
    of_vpc = None if vpc is None else vpc.gateway_dns_name
    return own or of_subnet or of_vpc or account.gateway_dns_name


def endpoint_dns_name(
    endpoint_id: str, account: Account, vpc: Vpc | None, subnet: Subnet | None, own: str | None = None
) -> str:
    """The DnsName of an endpoint there.

    Args:
        own: what has been said of this endpoint alone.
    """
    return gateway_name(account, vpc, subnet, own).replace(ENDPOINT_ID_LABEL, endpoint_id)


def name_problem(endpoint_id: str, dns_name: str) -> str | None:
    """Why an endpoint cannot be called so; None where it can. Completes "the endpoint …"."""
    if endpoint_id in dns_name and not _LABEL.fullmatch(endpoint_id):
        return (
            f"{endpoint_id} cannot be called {dns_name}: a part of a DNS name has at most 63 characters,"
            " letters, digits and dashes. Give it a gateway_dns_name without {endpoint_id}, or another id"
        )
    if len(dns_name) > _LONGEST:
        return f"{endpoint_id} cannot be called {dns_name}: a DNS name has at most {_LONGEST} characters"
    return None


def gateway_names(
    account: Account,
    vpcs: Iterable[Vpc],
    subnets: Iterable[Subnet],
    endpoints: Collection[Endpoint],
    *,
    of_vpcs: Collection[str] = (),
    of_endpoints: Collection[str] = (),
) -> list[str]:
    """The names and patterns that gateways have: the account's, then VPCs', subnets' and endpoints', those of
    the latest endpoints last.

    Args:
        subnets: those at least that have a name of their own.
        endpoints: those at least that have one, or are asked for.
        of_vpcs, of_endpoints: names or ids of what the gateways are bound to; none of either for all.
    """
    bound = bool(of_vpcs or of_endpoints)
    by_id = {vpc.id: vpc for vpc in vpcs}
    subnet_by_id = {subnet.id: subnet for subnet in subnets}
    oldest = sorted(endpoints, key=lambda each: (each.created_at, each.id))
    own = sorted((each.vpc_id, each.gateway_dns_name or "") for each in subnet_by_id.values())
    own += [(each.vpc_id, each.gateway_dns_name or "") for each in oldest]
    whole = {vpc.id for vpc in by_id.values() if not bound or vpc.id in of_vpcs or vpc.name in of_vpcs}
    of_whole = {gateway_name(account, by_id[vpc_id], None, None) for vpc_id in whole}
    names = [] if bound and account.gateway_dns_name not in of_whole else [account.gateway_dns_name]
    names += sorted(of_whole)
    names += [name for vpc_id, name in own if name and vpc_id in whole]
    names += [
        gateway_name(account, by_id.get(each.vpc_id), subnet_by_id.get(each.subnet_id), each.gateway_dns_name)
        for each in oldest
        if each.id in of_endpoints or each.name in of_endpoints
    ]
    return list(dict.fromkeys(names))
