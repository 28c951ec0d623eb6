"""Terraform keeps networks and endpoints: made, changed, imported, replaced and destroyed."""

from typing import Any

from tests.control.harness import (
    INSTANCE,
    OTHER_VPC,
    SSH_GROUP,
    STOPPED_INSTANCE,
    SUBNET,
    VPC,
    World,
    refused,
)
from tests.e2e.terraform import Terraform

CONFIGURATION = """
data "aws_availability_zones" "here" { state = "available" }

resource "aws_vpc" "lab" {
  cidr_block           = "10.20.0.0/16"
  enable_dns_hostnames = %(dns_hostnames)s
  tags                 = { Name = "lab", env = "%(env)s" }
}

resource "aws_subnet" "web" {
  vpc_id            = aws_vpc.lab.id
  cidr_block        = "%(subnet)s"
  availability_zone = data.aws_availability_zones.here.names[1]
  tags              = { env = "%(env)s" }
}

resource "aws_security_group" "ssh" {
  name        = "%(group)s"
  description = "SSH from the lab"
  vpc_id      = aws_vpc.lab.id
  ingress {
    description = "%(env)s"
    from_port   = %(port)s
    to_port     = %(port)s
    protocol    = "tcp"
    cidr_blocks = [aws_vpc.lab.cidr_block]
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
  tags = { env = "%(env)s" }
  # A rule of the other group names it: as in AWS, it cannot go before that names another.
  lifecycle { create_before_destroy = true }
}

resource "aws_security_group" "web" {
  name   = "web"
  vpc_id = aws_vpc.lab.id
}

resource "aws_vpc_security_group_ingress_rule" "http" {
  security_group_id = aws_security_group.web.id
  cidr_ipv4         = "10.0.0.0/8"
  from_port         = 80
  to_port           = %(http_to)s
  ip_protocol       = "tcp"
  description       = "%(env)s"
  tags              = { env = "%(env)s" }
}

resource "aws_vpc_security_group_egress_rule" "ssh" {
  security_group_id            = aws_security_group.web.id
  referenced_security_group_id = aws_security_group.ssh.id
  ip_protocol                  = "-1"
  tags                         = { env = "%(env)s" }
}

resource "aws_security_group_rule" "dns" {
  type              = "ingress"
  security_group_id = aws_security_group.web.id
  cidr_blocks       = ["10.1.0.0/16"]
  from_port         = 53
  to_port           = 53
  protocol          = "udp"
  description       = "%(env)s"
}

resource "aws_ec2_instance_connect_endpoint" "lab" {
  subnet_id          = aws_subnet.web.id
  security_group_ids = [aws_security_group.ssh.id]
  preserve_client_ip = false
  tags               = { env = "%(env)s" }
}

output "vpc" { value = aws_vpc.lab.id }
output "imported" {
  value = {
    "aws_vpc.lab"                                 = aws_vpc.lab.id
    "aws_subnet.web"                              = aws_subnet.web.id
    "aws_security_group.ssh"                      = aws_security_group.ssh.id
    "aws_security_group.web"                      = aws_security_group.web.id
    "aws_vpc_security_group_ingress_rule.http"    = aws_vpc_security_group_ingress_rule.http.id
    "aws_vpc_security_group_egress_rule.ssh"      = aws_vpc_security_group_egress_rule.ssh.id
    "aws_ec2_instance_connect_endpoint.lab"       = aws_ec2_instance_connect_endpoint.lab.id
    "aws_security_group_rule.dns"                 = join("_", [
      aws_security_group.web.id, "ingress", "udp", "53", "53", "10.1.0.0/16"
    ])
  }
}
"""
DATA = """
data "aws_caller_identity" "me" {}
data "aws_vpc" "office" {
  tags = { Name = "office" }
}
data "aws_vpcs" "all" {}
data "aws_subnet" "web" {
  filter {
    name   = "tag:tier"
    values = ["web"]
  }
}
data "aws_subnets" "office" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.office.id]
  }
}
data "aws_security_group" "ssh" {
  name   = "ssh-in"
  vpc_id = data.aws_vpc.office.id
}
data "aws_security_groups" "office" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.office.id]
  }
}
data "aws_instance" "web" {
  instance_tags = { Name = "web-1" }
}
data "aws_instances" "all" {
  instance_state_names = ["running", "stopped"]
}
output "found" {
  value = {
    account   = data.aws_caller_identity.me.account_id
    vpc       = data.aws_vpc.office.id
    vpcs      = data.aws_vpcs.all.ids
    subnet    = data.aws_subnet.web.id
    subnets   = data.aws_subnets.office.ids
    group     = data.aws_security_group.ssh.id
    groups    = data.aws_security_groups.office.ids
    instance  = data.aws_instance.web.id
    type      = data.aws_instance.web.instance_type
    instances = data.aws_instances.all.ids
    zones     = data.aws_availability_zones.here.zone_ids
  }
}
"""
FIRST = {
    "dns_hostnames": "false",
    "env": "dev",
    "subnet": "10.20.1.0/24",
    "group": "ssh",
    "port": "22",
    "http_to": "80",
}
IN_PLACE = {"dns_hostnames": "true", "env": "prod", "port": "2222", "http_to": "88"}
REPLACED = {
    "aws_subnet.web",
    "aws_security_group.ssh",
    "aws_ec2_instance_connect_endpoint.lab",
}
"""What another range of the subnet and another name of the group make anew."""


def test_networks_and_endpoints_live_their_whole_life(tf: Terraform, terraform_world: World) -> None:
    ec2 = terraform_world.client("ec2")

    tf.write(CONFIGURATION % FIRST + DATA)
    made = tf.apply()
    ids = made.outputs["imported"]
    assert made.of("create") == set(ids)
    check_found(made.outputs["found"], made.outputs["vpc"])
    assert told(ec2, ids["aws_security_group.ssh"]) == {("tcp", 22, 22, "10.20.0.0/16", "dev")}
    assert tf.plan().planned == frozenset()

    in_place = {**FIRST, **IN_PLACE}
    tf.write(CONFIGURATION % in_place)
    changed = tf.apply()
    assert changed.of("update") | changed.of("replace") == set(ids) - {"aws_security_group.web"}
    assert changed.of("replace") <= {"aws_security_group_rule.dns"}
    assert changed.outputs["imported"] == ids
    assert told(ec2, ids["aws_security_group.ssh"]) == {("tcp", 2222, 2222, "10.20.0.0/16", "prod")}
    assert ("tcp", 80, 88, "10.0.0.0/8", "prod") in told(ec2, ids["aws_security_group.web"])
    (vpc,) = ec2.describe_vpcs(VpcIds=[ids["aws_vpc.lab"]])["Vpcs"]
    assert {"Key": "env", "Value": "prod"} in vpc["Tags"]

    tf.forget(*ids)
    blocks = (f'import {{\n  to = {address}\n  id = "{id_}"\n}}\n' for address, id_ in ids.items())
    tf.write("".join(blocks) + CONFIGURATION % in_place)
    imported = tf.apply()
    assert imported.summary["import"] == len(ids)
    assert imported.planned == frozenset() or imported.of("create") | imported.of("replace") == set()

    tf.write(CONFIGURATION % {**in_place, "subnet": "10.20.2.0/24", "group": "ssh-2"})
    replaced = tf.apply()
    assert replaced.of("replace") == REPLACED
    assert replaced.outputs["imported"]["aws_subnet.web"] != ids["aws_subnet.web"]

    assert tf.destroy().summary["remove"] == len(ids)
    assert refused(lambda: ec2.describe_vpcs(VpcIds=[ids["aws_vpc.lab"]])) == ("InvalidVpcID.NotFound", 400)


def told(ec2: Any, group_id: str) -> set[tuple[Any, ...]]:
    """What the ingress rules of a group say."""
    filters = [{"Name": "group-id", "Values": [group_id]}]
    return {
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], rule.get("CidrIpv4"), rule.get("Description"))
        for rule in ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
        if not rule["IsEgress"]
    }


def check_found(found: dict[str, Any], made: str) -> None:
    """The data sources find what the account had before Terraform came, and what it made."""
    assert (found["account"], found["vpc"], found["subnet"]) == ("123456789012", VPC, SUBNET)
    assert {VPC, OTHER_VPC} <= set(found["vpcs"]) <= {VPC, OTHER_VPC, made}
    assert SUBNET in found["subnets"] and len(found["subnets"]) == 2
    assert found["group"] == SSH_GROUP and SSH_GROUP in found["groups"]
    assert (found["instance"], found["type"]) == (INSTANCE, "hatchway.host")
    assert set(found["instances"]) == {INSTANCE, STOPPED_INSTANCE}
    assert found["zones"] == ["use1-az1", "use1-az2", "use1-az3"]
