"""Ids of what people call by its name: hosts, and what a fleet file calls VPC/SUBNET and VPC/GROUP."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hatchway.client.api.profile import Profile


def complete_ids(profile: "Profile", operation: str, given: dict[str, Any]) -> None:
    """Puts whole ids in the place of names and of beginnings, in the parameters of a call.

    Raises:
        NotFound: nothing of that name is there, or more than one thing.
    """
    from hatchway.client.api.ids import is_whole, only_one, whole_id
    from hatchway.client.api.profile import api_errors
    from hatchway.client.discovery.hosts import identify_host

    if "InstanceId" in given and operation != "RegisterInstance" and not is_whole(given["InstanceId"]):
        given["InstanceId"] = identify_host(profile.api("ec2"), given["InstanceId"])
    if "SubnetId" in given and not is_whole(given["SubnetId"]):
        given["SubnetId"] = (
            _subnet_id(profile, given["SubnetId"])
            if "/" in given["SubnetId"]
            else whole_id(profile.api("ec2"), given["SubnetId"])
        )
    if not all(map(is_whole, given.get("SecurityGroupIds", ()))):
        ec2 = profile.api("ec2")
        given["SecurityGroupIds"] = [
            _group_id(profile, each) if "/" in each else whole_id(ec2, each)
            for each in given["SecurityGroupIds"]
        ]
    if "EnrollmentTokenId" in given and not is_whole(given["EnrollmentTokenId"]):
        with api_errors("ListEnrollmentTokens"):
            pages = profile.api("hatchway").get_paginator("list_enrollment_tokens").paginate()
            ids = [token["EnrollmentTokenId"] for page in pages for token in page["EnrollmentTokens"]]
        given["EnrollmentTokenId"] = only_one(given["EnrollmentTokenId"], ids)


def _subnet_id(profile: "Profile", path: str) -> str:
    """The id of the subnet VPC/SUBNET, as a fleet file derives it from the two names, or by tags Name."""
    from hatchway.client.api.profile import api_errors
    from hatchway.client.discovery.hosts import literal
    from hatchway.client.errors import NotFound
    from hatchway.domain.ids import Kind, derived_id

    vpc, _, subnet = path.partition("/")
    ec2 = profile.api("ec2")
    derived = derived_id(Kind.SUBNET, _account(profile), path)
    with api_errors("DescribeSubnets"):
        found = ec2.describe_subnets(Filters=[{"Name": "subnet-id", "Values": [derived]}])["Subnets"]
        if not found and (within := _vpcs_named(ec2, vpc)):
            named = [
                {"Name": "tag:Name", "Values": [literal(subnet)]},
                {"Name": "vpc-id", "Values": within},
            ]
            found = ec2.describe_subnets(Filters=named)["Subnets"]
    if len(found) != 1:
        raise NotFound(f"there is no one subnet {path!r}: give its id")
    return str(found[0]["SubnetId"])


def _group_id(profile: "Profile", path: str) -> str:
    """The id of the security group VPC/GROUP: the VPC as a fleet file calls it, or by its tag Name."""
    from hatchway.client.api.profile import api_errors
    from hatchway.client.discovery.hosts import literal
    from hatchway.client.errors import NotFound
    from hatchway.domain.ids import Kind, derived_id

    vpc, _, group = path.partition("/")
    ec2 = profile.api("ec2")
    derived = derived_id(Kind.VPC, _account(profile), vpc)
    with api_errors("DescribeSecurityGroups"):
        within = [derived, *_vpcs_named(ec2, vpc)]
        named = [{"Name": "group-name", "Values": [literal(group)]}, {"Name": "vpc-id", "Values": within}]
        found = ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    if len(found) != 1:
        raise NotFound(f"there is no one security group {path!r}: give its id")
    return str(found[0]["GroupId"])


def _account(profile: "Profile") -> str:
    from hatchway.client.api.profile import api_errors

    with api_errors("GetCallerIdentity"):
        return str(profile.api("sts").get_caller_identity()["Account"])


def _vpcs_named(ec2: Any, name: str) -> list[str]:
    """Those with that tag Name."""
    from hatchway.client.discovery.hosts import literal

    found = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": [literal(name)]}])["Vpcs"]
    return [str(each["VpcId"]) for each in found]
