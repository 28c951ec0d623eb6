"""Accounts of a given size, put straight into a store."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.log import to_record
from hatchway.domain.account import Account, Quotas
from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType
from hatchway.domain.identity import InlinePolicy, OwnerKind, User
from hatchway.domain.network import Instance, InstanceState, Rule, SecurityGroup, Subnet, Vpc
from hatchway.keys.access_keys import create_access_key
from hatchway.store.trail.audit_rows import in_order_of_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchway.domain.account import AuditRecord
    from hatchway.keys.vault import Vault
    from hatchway.store import Store, Transaction

ACCOUNT, REGION = "123456789012", "us-east-1"
PER_SUBNET, SUBNETS_OF_VPC = 250, 10
CALLER = "bench"
EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
_BASE = int(ipaddress.ip_address("10.0.0.0"))
_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class Size:
    """So much of everything; of VPCs, subnets and endpoints what the instances take."""

    instances: int
    users: int
    events: int


@dataclass(frozen=True, slots=True)
class Key:
    access_key_id: str
    secret: str


def fill(store: Store, vault: Vault, size: Size, *, new: bool) -> Key:
    """Makes the account; the key of a user who may do everything. `new` when the store holds no account."""
    now = datetime.now(UTC)
    with store.write() as tx:
        if new:
            tx.accounts.put(
                Account(
                    id=ACCOUNT,
                    region=REGION,
                    gateway_dns_name="gateway.bench",
                    created_at=now,
                    quotas=Quotas(),
                )
            )
        _put_network(tx, size.instances, now)
        tx.instances.put_all(map(_instance, range(size.instances)))
        names = [*(f"user-{number:05d}" for number in range(size.users)), CALLER]
        tx.users.put_all(
            User(name=name, id=f"AIDA{number:016d}", path=f"/{number % 2}/", created_at=now)
            for number, name in enumerate(names)
        )
        tx.inline_policies.put(
            InlinePolicy(
                owner_kind=OwnerKind.USER, owner_name=CALLER, policy_name="everything", document=EVERYTHING
            )
        )
        made = create_access_key(tx, vault, user_name=CALLER, now=now, random_bytes=os.urandom)
    events = _events(size, now)
    for _ in range(0, size.events, _AT_ONCE):
        with store.record() as tx:
            tx.audit_records.add_all([record for record, _ in zip(events, range(_AT_ONCE), strict=False)])
            # As the control plane does while they come.
            some = tx.audit_records.unindexed(_AT_ONCE)
            tx.audit_records.index(in_order_of_index(some))
            tx.audit_records.mark_indexed(some)
    if not store.is_sqlite:
        with store.engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.commit()
    return Key(made.key.id, made.secret)


def instance_id(number: int) -> str:
    return "i-" + hashlib.sha256(str(number).encode()).hexdigest()[:17]


def vpc_id(number: int) -> str:
    return f"vpc-{number:017x}"


def subnet_id(number: int) -> str:
    return f"subnet-{number:017x}"


def _instance(number: int) -> Instance:
    """In its subnet's turn; one in 500 is stopped, half are `dev`."""
    subnet, host = divmod(number, PER_SUBNET)
    vpc = subnet // SUBNETS_OF_VPC
    return Instance(
        id=instance_id(number),
        name=f"host-{number}",
        vpc_id=vpc_id(vpc),
        subnet_id=subnet_id(subnet),
        private_ip=str(ipaddress.ip_address(_BASE + subnet * 512 + 10 + host)),
        ipv6=None,
        security_group_ids=(f"sg-{vpc:017x}",),
        state=InstanceState.STOPPED if number % 500 == 7 else InstanceState.RUNNING,
        tags={
            "Name": f"host-{number}",
            "env": "dev" if number % 2 else "live",
            "team": f"team-{number % 100}",
        },
    )


def _put_network(tx: Transaction, instances: int, now: datetime) -> None:
    subnets = range(-(-instances // PER_SUBNET))
    vpcs = range(-(-len(subnets) // SUBNETS_OF_VPC))
    tx.vpcs.put_all(
        Vpc(id=vpc_id(n), name=f"vpc-{n}", cidrs=("10.0.0.0/8",), separate_network=True) for n in vpcs
    )
    tx.security_groups.put_all(
        SecurityGroup(
            id=f"sg-{n:017x}",
            vpc_id=vpc_id(n),
            name="default",
            description="",
            ingress=(Rule("tcp", 22, 22, "10.0.0.0/8"),),
        )
        for n in vpcs
    )
    tx.subnets.put_all(
        Subnet(
            id=subnet_id(n),
            vpc_id=vpc_id(n // SUBNETS_OF_VPC),
            name=f"subnet-{n}",
            cidrs=(f"{ipaddress.ip_address(_BASE + n * 512)}/23",),
            availability_zone=f"{REGION}{'abc'[n % 3]}",
        )
        for n in subnets
    )
    tx.endpoints.put_all(
        Endpoint(
            id=f"eice-{n:017x}",
            name=None,
            vpc_id=vpc_id(n),
            subnet_id=subnet_id(n * SUBNETS_OF_VPC),
            availability_zone=f"{REGION}a",
            dns_name="gateway.bench",
            state=EndpointState.CREATE_COMPLETE,
            state_message="",
            created_at=now,
            deleted_at=None,
            security_group_ids=(f"sg-{n:017x}",),
            network_interface_ids=(),
            preserve_client_ip=False,
            ip_address_type=IpAddressType.IPV4,
            max_tunnels=None,
            tags={},
        )
        for n in vpcs
    )


def _events(size: Size, now: datetime) -> Iterator[AuditRecord]:
    """Tunnels that users opened, one a second until now."""
    for number in range(size.events):
        time = now - timedelta(seconds=size.events - number)
        user = f"user-{number % size.users:05d}"
        source = EventSource(
            event_source="ec2-instance-connect.amazonaws.com",
            region=REGION,
            account=ACCOUNT,
            source_ip="192.0.2.7",
            user_agent="bench",
            user_identity={"type": "IAMUser", "userName": user, "accessKeyId": "AKIAAAAAAAAAAAAAAAAA"},
            request_id=f"{number:032x}",
        )
        yield to_record(
            event(
                source,
                event_id=str(uuid.UUID(int=number)),
                time=time,
                name="OpenTunnel",
                read_only=False,
                request_parameters={"instanceId": instance_id(number % size.instances)},
                outcome=Outcome(),
            ),
            time,
        )
