"""What AWS's networks have and Hatchway's have not, listed for tools that ask: there is none, ever.

Terraform reads the route tables and network ACLs of each VPC that it makes.
"""

from typing import Final

from hatchway.access.authorization import Check
from hatchway.control.ec2.paging import page_size, position_of
from hatchway.control.ec2.resource_ids import ResourceId
from hatchway.control.ec2.small_listing import choose
from hatchway.control.operations import Call, Result, operation

_LEAST_PAGE: Final = 5
_INTERNET_GATEWAY: Final = ResourceId(
    "igw", "internetGateway", "InvalidInternetGatewayID.NotFound", "InvalidInternetGatewayId.Malformed"
)
_NETWORK_ACL: Final = ResourceId(
    "acl", "networkAcl", "InvalidNetworkAclID.NotFound", "InvalidNetworkAclId.Malformed"
)
_ROUTE_TABLE: Final = ResourceId(
    "rtb", "routeTable", "InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed"
)


@operation("ec2", "DescribeInternetGateways", reads_only=True)
def describe_internet_gateways(call: Call) -> Result:
    """None: what reaches a network from outside does so through endpoints."""
    _check(call, "DescribeInternetGateways", "InternetGatewayIds", _INTERNET_GATEWAY)
    return {"InternetGateways": [], "NextToken": None}


@operation("ec2", "DescribeNetworkAcls", reads_only=True)
def describe_network_acls(call: Call) -> Result:
    """None: security groups alone say what may pass."""
    _check(call, "DescribeNetworkAcls", "NetworkAclIds", _NETWORK_ACL)
    return {"NetworkAcls": [], "NextToken": None}


@operation("ec2", "DescribeRouteTables", reads_only=True)
def describe_route_tables(call: Call) -> Result:
    """None: routing is the networks' own."""
    _check(call, "DescribeRouteTables", "RouteTableIds", _ROUTE_TABLE)
    return {"RouteTables": [], "NextToken": None}


def _check(call: Call, action: str, ids_parameter: str, kind: ResourceId) -> None:
    """
    Raises:
        AccessDenied: the caller lacks the permission.
        ServiceError: a parameter is wrong, or names something.
    """
    call.authorize(Check(f"ec2:{action}"))
    ids = call.parameters.get(ids_parameter) or ()
    kind.check(*ids)
    page_size(call.parameters, _LEAST_PAGE)
    position_of(call.parameters, action)
    choose(call, action, (), {}, tagged=True)
    if ids:
        raise kind.missing(ids)
