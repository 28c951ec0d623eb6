"""Rows of an account as gateways follow it, by the thousand, put straight into a store."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from hatchway.access.authentication import Scope
from hatchway.access.signing_keys import GATEWAY_SERVICE, gateway_dates, seal_signing_key
from hatchway.domain.account import Account
from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType
from hatchway.domain.identity import (
    AccessKey,
    Attachment,
    Guardrail,
    KeyStatus,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    User,
)
from hatchway.domain.network import Instance, NetworkInterface, Rule, SecurityGroup, Vpc
from hatchway.domain.session import Session, SessionKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.keys.vault import Vault
    from hatchway.store import Store, Transaction

ACCOUNT, REGION = "123456789012", "us-east-1"
GROUPS: Final = 100
"""Groups of users: each user is in one, and has its policies by it."""
HOSTS_OF_VPC: Final = 1000
NOW: Final = datetime.now(UTC).replace(microsecond=0)
POLICY: Final = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action":'
    ' ["ec2-instance-connect:OpenTunnel", "ec2-instance-connect:SendSSHPublicKey"], "Resource": "*",'
    ' "Condition": {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}}, {"Effect": "Allow",'
    ' "Action": "ec2:Describe*", "Resource": "*"}]}'
)
_GUARD: Final = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
)
_BASE: Final = int(ipaddress.ip_address("10.0.0.0"))
_AT_ONCE: Final = 10_000


def found(store: Store) -> None:
    """Makes the account, its groups' policy and a guardrail."""
    with store.write() as tx:
        tx.accounts.put(Account(id=ACCOUNT, region=REGION, gateway_dns_name="gateway.bench", created_at=NOW))
        for name, document in (("connect", POLICY), ("guard", _GUARD)):
            put_policy(tx, name, document)
        for number in range(GROUPS):
            tx.attachments.put(
                Attachment(
                    owner_kind=OwnerKind.GROUP, owner_name=f"team-{number}", policy_arn=policy_arn("connect")
                )
            )
        tx.guardrails.put(Guardrail(policy_arn=policy_arn("guard")))


def policy_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def put_policy(tx: Transaction, name: str, document: str) -> None:
    arn = policy_arn(name)
    tx.managed_policies.put(
        ManagedPolicy(
            arn=arn,
            name=name,
            id=f"ANPA{name}",
            path="/",
            description="",
            created_at=NOW,
            updated_at=NOW,
            default_version="v1",
        )
    )
    tx.policy_versions.put(PolicyVersion(policy_arn=arn, version_id="v1", document=document, created_at=NOW))


def key_id(number: int) -> str:
    return f"AKIA{number:016d}"


def vpc_id(number: int) -> str:
    return f"vpc-{number:017x}"


def endpoint_id(number: int) -> str:
    return f"eice-{number:017x}"


def address(number: int) -> str:
    """Of a host: VPCs have ranges of their own."""
    return str(ipaddress.ip_address(_BASE + number))


def access_key(number: int, status: KeyStatus = KeyStatus.ACTIVE) -> AccessKey:
    return AccessKey(id=key_id(number), user_name=f"user-{number}", status=status, created_at=NOW)


def put_users(store: Store, gateway_key: Vault, first: int, count: int) -> None:
    """Users in a group each, with an access key each and its signing keys for three days."""

    def put(tx: Transaction, numbers: range) -> None:
        tx.users.put_all(
            User(
                name=f"user-{n}", id=f"AIDA{n:016d}", path="/", created_at=NOW, tags={"team": f"team-{n % 9}"}
            )
            for n in numbers
        )
        tx.memberships.put_all(
            Membership(user_name=f"user-{n}", group_name=f"team-{n % GROUPS}") for n in numbers
        )
        tx.access_keys.put_all(map(access_key, numbers))
        tx.sealed_signing_keys.put_all(
            seal_signing_key(gateway_key, key_id(n), Scope(date, REGION, GATEWAY_SERVICE), os.urandom(32))
            for n in numbers
            for date in gateway_dates(NOW)
        )

    _in_portions(store, first, count, put)


def put_sessions(store: Store, gateway_key: Vault, first: int, count: int) -> None:
    """Users' sessions of an hour, with the signing keys of one day."""

    def session(number: int) -> Session:
        return Session(
            access_key_id=f"ASIA{number:016d}",
            kind=SessionKind.USER,
            owner_name=f"user-{number % 100}",
            owner_id=f"AIDA{number % 100:016d}",
            name=None,
            token_hash=hashlib.sha256(str(number).encode()).digest(),
            issued_at=NOW,
            expires_at=NOW + timedelta(hours=1),
        )

    def put(tx: Transaction, numbers: range) -> None:
        tx.sessions.put_all(map(session, numbers))
        scope = Scope(gateway_dates(NOW)[1], REGION, GATEWAY_SERVICE)
        tx.sealed_signing_keys.put_all(
            seal_signing_key(gateway_key, f"ASIA{n:016d}", scope, os.urandom(32)) for n in numbers
        )

    _in_portions(store, first, count, put)


def put_hosts(store: Store, first: int, count: int) -> None:
    """Instances, a thousand to a VPC with a security group."""

    def put(tx: Transaction, numbers: range) -> None:
        for vpc in sorted({n // HOSTS_OF_VPC for n in numbers}):
            tx.vpcs.put(Vpc(id=vpc_id(vpc), name=f"vpc-{vpc}", cidrs=("10.0.0.0/8",)))
            rules = (Rule("tcp", 22, 22, "10.0.0.0/8"), Rule("tcp", 443, 443, "10.0.0.0/8"))
            egress = (Rule("-1", 0, 65535, "0.0.0.0/0"),)
            tx.security_groups.put(
                SecurityGroup(
                    id=f"sg-{vpc:017x}", vpc_id=vpc_id(vpc), name="ssh", description="", ingress=rules,
                    egress=egress,
                )
            )  # fmt: skip
            tx.endpoints.put(_endpoint(vpc))
            tx.network_interfaces.put(_interface(vpc))
        tx.instances.put_all(map(host, numbers))

    _in_portions(store, first, count, put)


def host(number: int) -> Instance:
    vpc = number // HOSTS_OF_VPC
    return Instance(
        id="i-" + hashlib.sha256(str(number).encode()).hexdigest()[:17],
        name=f"host-{number}",
        vpc_id=vpc_id(vpc),
        subnet_id=f"subnet-{vpc:017x}",
        private_ip=address(number),
        ipv6=None,
        security_group_ids=(f"sg-{vpc:017x}",),
        tags={"Name": f"host-{number}", "env": "dev", "team": f"team-{number % 99}"},
    )


def _endpoint(number: int) -> Endpoint:
    return Endpoint(
        id=endpoint_id(number),
        name=None,
        vpc_id=vpc_id(number),
        subnet_id=f"subnet-{number:017x}",
        availability_zone=f"{REGION}a",
        dns_name="gateway.bench",
        state=EndpointState.CREATE_COMPLETE,
        state_message="",
        created_at=NOW,
        deleted_at=None,
        security_group_ids=(f"sg-{number:017x}",),
        network_interface_ids=(f"eni-{number:017x}",),
        preserve_client_ip=False,
        ip_address_type=IpAddressType.IPV4,
        max_tunnels=None,
        tags={},
    )


def _interface(number: int) -> NetworkInterface:
    return NetworkInterface(
        id=f"eni-{number:017x}",
        vpc_id=vpc_id(number),
        subnet_id=f"subnet-{number:017x}",
        endpoint_id=endpoint_id(number),
        private_ip="10.255.255.254",
        ipv6=None,
        security_group_ids=(f"sg-{number:017x}",),
        description="",
    )


def _in_portions(store: Store, first: int, count: int, put: Callable[[Transaction, range], None]) -> None:
    for start in range(first, first + count, _AT_ONCE):
        with store.write() as tx:
            put(tx, range(start, min(first + count, start + _AT_ONCE)))
