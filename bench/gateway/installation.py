"""Hatchway installations to measure: one made by `hatchway init` and `apply`, and ones of a given size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType
from hatchway.domain.identity import (
    Attachment,
    Group,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    User,
)
from hatchway.domain.network import Instance, NetworkInterface, Rule, SecurityGroup, Subnet, Vpc
from hatchway.keys.access_keys import create_access_key
from hatchway.keys.key_files import read_master_keys
from hatchway.keys.vault import Vault
from hatchway.settings import DataDirectory
from hatchway.sigv4.signing import presign
from hatchway.store import Store, Transaction

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT, REGION, DNS_NAME = "123456789012", "us-east-1", "gateway.bench"
HATCHWAY = (sys.executable, "-P", "-m", "hatchway")
MAX_TUNNELS = 20_000
"""The endpoint's own quota: AWS's 20 would stop the bench at once."""

POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Tunnels",
            "Effect": "Allow",
            "Action": "ec2-instance-connect:OpenTunnel",
            "Resource": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance-connect-endpoint/*",
            "Condition": {
                "IpAddress": {"ec2-instance-connect:privateIpAddress": "127.0.0.0/8"},
                "NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": "3600"},
            },
        },
        {"Sid": "FindHosts", "Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"},
    ],
}
FLEET = {
    "vpcs": {
        "bench": {
            "cidr": "127.0.0.0/8",
            "subnets": {"hosts": {"cidr": "127.0.0.0/16", "availability_zone": f"{REGION}a"}},
            "security_groups": {
                "open": {"ingress": [{"protocol": "tcp", "ports": "all", "source": "127.0.0.0/8"}]}
            },
        }
    },
    "instances": {
        "host": {"subnet": "bench/hosts", "private_ip": "127.0.0.1", "security_groups": ["bench/open"]},
    },
    "endpoints": {
        "bench": {"id": "eice-0123456789abcdef0", "subnet": "bench/hosts", "max_tunnels": MAX_TUNNELS},
    },
    "policies": {"connect": POLICY},
    "groups": {"engineers": {"policies": ["connect"]}},
    "users": {"alice": {"groups": ["engineers"]}},
}


@dataclass(frozen=True, slots=True)
class Way:
    """One user's way to one host."""

    access_key_id: str
    secret: str
    endpoint_id: str
    address: str

    def request(self, port: int) -> bytes:
        """The request that opens a tunnel, signed now and good for an hour."""
        parameters = {
            "instanceConnectEndpointId": self.endpoint_id,
            "maxTunnelDuration": "3600",
            "remotePort": str(port),
            "privateIpAddress": self.address,
        }
        target = presign(
            DNS_NAME,
            "/openTunnel",
            parameters,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret,
            now=datetime.now(UTC),
            region=REGION,
            service="ec2-instance-connect",
            expires=3600,
        )
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {DNS_NAME}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version: 13",
            "User-Agent: bench",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True, slots=True)
class Installation:
    directory: DataDirectory
    ways: list[Way]


def small(path: Path, store_url: str | None = None) -> Installation:
    """One endpoint, one host, one user, as an operator makes them; in SQLite unless otherwise given."""
    elsewhere = () if store_url is None else ("--store-url", store_url)
    directory = _init(path, *elsewhere)
    fleet = path / "fleet.json"
    fleet.write_text(json.dumps(FLEET))
    _hatchway("apply", "--data-dir", str(path), *elsewhere, str(fleet))
    store = Store.open(store_url or directory.store_url)
    with store.write() as tx:
        (endpoint,) = tx.endpoints.find()
        way = _way(tx, _vault(directory), "alice", endpoint.id, "127.0.0.1")
    store.close()
    return Installation(directory, [way])


def sized(path: Path, *, endpoints: int, users: int, ways: int) -> Installation:
    """So many endpoints, each in a VPC of its own with ten instances, and so many users with a key each.

    The ways are spread evenly over all of them.
    """
    directory = _init(path)
    store, vault, now = Store.open(directory.store_url), _vault(directory), datetime.now(UTC)
    policy_arn = f"arn:aws:iam::{ACCOUNT}:policy/connect"
    policy = ManagedPolicy(
        arn=policy_arn,
        name="connect",
        id="ANPA0000000000000000",
        path="/",
        description="",
        created_at=now,
        updated_at=now,
        default_version="v1",
    )
    with store.write() as tx:
        tx.managed_policies.put(policy)
        tx.policy_versions.put(
            PolicyVersion(policy_arn=policy_arn, version_id="v1", document=json.dumps(POLICY), created_at=now)
        )
        tx.groups.put(Group(name="engineers", id="AGPA0000000000000000", path="/", created_at=now))
        tx.attachments.put(
            Attachment(owner_kind=OwnerKind.GROUP, owner_name="engineers", policy_arn=policy_arn)
        )
        _put_network(tx, endpoints, now)
        names = [f"user-{number}" for number in range(users)]
        tx.users.put_all(
            User(name=name, id=f"AIDA{number:016}", path="/", created_at=now)
            for number, name in enumerate(names)
        )
        tx.memberships.put_all(Membership(user_name=name, group_name="engineers") for name in names)
        made: list[Way] = []
        for number, name in enumerate(names):
            endpoint = number * endpoints // users
            made.append(_way(tx, vault, name, _endpoint_id(endpoint), f"127.0.0.{1 + number % 10}"))
    store.close()
    stride = max(1, len(made) // ways)
    return Installation(directory, (made[::stride] * ways)[:ways])


def _put_network(tx: Transaction, endpoints: int, now: datetime) -> None:
    everywhere = (Rule("-1", 0, 65535, "0.0.0.0/0"),)
    numbers = range(endpoints)
    tx.vpcs.put_all(Vpc(id=f"vpc-{n:017x}", name=f"vpc-{n}", cidrs=("127.0.0.0/8",)) for n in numbers)
    tx.subnets.put_all(
        Subnet(
            id=f"subnet-{n:017x}",
            vpc_id=f"vpc-{n:017x}",
            name="hosts",
            cidrs=("127.0.0.0/16",),
            availability_zone=f"{REGION}a",
        )
        for n in numbers
    )
    tx.security_groups.put_all(
        SecurityGroup(
            id=f"sg-{n:017x}",
            vpc_id=f"vpc-{n:017x}",
            name="open",
            description="",
            ingress=everywhere,
            egress=everywhere,
        )
        for n in numbers
    )
    tx.network_interfaces.put_all(
        NetworkInterface(
            id=f"eni-{n:017x}",
            vpc_id=f"vpc-{n:017x}",
            subnet_id=f"subnet-{n:017x}",
            endpoint_id=_endpoint_id(n),
            private_ip="127.0.0.250",
            ipv6=None,
            security_group_ids=(f"sg-{n:017x}",),
            description="",
        )
        for n in numbers
    )
    tx.endpoints.put_all(
        Endpoint(
            id=_endpoint_id(n),
            name=None,
            vpc_id=f"vpc-{n:017x}",
            subnet_id=f"subnet-{n:017x}",
            availability_zone=f"{REGION}a",
            dns_name=DNS_NAME,
            state=EndpointState.CREATE_COMPLETE,
            state_message="",
            created_at=now,
            deleted_at=None,
            security_group_ids=(f"sg-{n:017x}",),
            network_interface_ids=(f"eni-{n:017x}",),
            preserve_client_ip=False,
            ip_address_type=IpAddressType.IPV4,
            max_tunnels=MAX_TUNNELS,
            tags={"env": "bench"},
        )
        for n in numbers
    )
    tx.instances.put_all(
        Instance(
            id=f"i-{n * 10 + host:017x}",
            name=f"host-{n}-{host}",
            vpc_id=f"vpc-{n:017x}",
            subnet_id=f"subnet-{n:017x}",
            private_ip=f"127.0.0.{1 + host}",
            ipv6=None,
            security_group_ids=(f"sg-{n:017x}",),
            tags={"env": "bench"},
        )
        for n in numbers
        for host in range(10)
    )


def _endpoint_id(number: int) -> str:
    return f"eice-{number:017x}"


def _way(tx: Transaction, vault: Vault, user: str, endpoint_id: str, address: str) -> Way:
    key = create_access_key(tx, vault, user_name=user, now=datetime.now(UTC), random_bytes=os.urandom)
    return Way(key.key.id, key.secret, endpoint_id, address)


def _vault(directory: DataDirectory) -> Vault:
    return Vault(*read_master_keys(directory.master_key, os.environ).all)


def _init(path: Path, *more: str) -> DataDirectory:
    _hatchway(
        *("init", "--data-dir", str(path), "--account", ACCOUNT, "--region", REGION),
        *("--gateway-dns-name", DNS_NAME, *more),
    )
    return DataDirectory(path)


def _hatchway(*arguments: str) -> None:
    done = subprocess.run([*HATCHWAY, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"hatchway {arguments[0]}: {done.stderr or done.stdout}")
