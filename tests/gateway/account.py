"""An account in a store of its own, and clients that sign for it."""

from __future__ import annotations

import base64
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tests.store.migrated import new_sqlite_store

from hatchway.access.identities import StoredIdentities, resolve_caller
from hatchway.access.sessions import TemporaryKey, new_temporary_key, put_session
from hatchway.access.signing_keys import SigningKeys, session_signing_keys
from hatchway.domain.account import Account
from hatchway.domain.addresses import Address, parse_address
from hatchway.domain.arns import Arns
from hatchway.domain.endpoint import Endpoint, EndpointState, IpAddressType
from hatchway.domain.identity import InlinePolicy, OwnerKind, Role, User
from hatchway.domain.network import Instance, NetworkInterface, Rule, SecurityGroup, Subnet, Vpc
from hatchway.domain.session import Session, SessionKind
from hatchway.gateway.admission.admission import Admission
from hatchway.gateway.admission.off_limits import OffLimits
from hatchway.gateway.admission.served import Served
from hatchway.keys.access_keys import NewAccessKey, create_access_key
from hatchway.keys.vault import Vault
from hatchway.sigv4.signing import presign
from hatchway.store import Store, Transaction
from hatchway.transport.websocket.handshake import Head

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from hatchway.gateway.admission.admission import Load
    from hatchway.gateway.admission.decision_time import DecisionTime
    from hatchway.gateway.snapshot.snapshot import Snapshot

ACCOUNT, REGION = "123456789012", "us-east-1"
HOST = "gateway.example"
VPC, SUBNET, ENDPOINT = "vpc-1", "subnet-1", "eice-0123456789abcdef0"
INTERFACE_ADDRESS = "10.0.1.250"
OPEN_GROUP, SSH_GROUP = "sg-open", "sg-ssh"
ENDPOINT_ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance-connect-endpoint/{ENDPOINT}"
USER_ARN = f"arn:aws:iam::{ACCOUNT}:user/alice"
THEN = datetime(2026, 1, 1, tzinfo=UTC)
GATEWAY_KEY = Vault(bytes(range(32)))
ANYWHERE = ("0.0.0.0/0", "::/0")


def allow(condition: Mapping[str, Any] | None = None, resource: str = ENDPOINT_ARN) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": "ec2-instance-connect:OpenTunnel",
        "Resource": resource,
    }
    if condition:
        statement["Condition"] = condition
    return {"Version": "2012-10-17", "Statement": [statement]}


ELSEWHERE = allow(resource=ENDPOINT_ARN[:-1] + "1")
"""For whom gateways have keys, and who may open no tunnel here."""


def instance(
    address: str | None = "10.0.1.1", *, ipv6: str | None = None, groups: tuple[str, ...] = (OPEN_GROUP,)
) -> Instance:
    return Instance(
        id=f"i-{(address or ipv6 or '').replace('.', 'a').replace(':', 'b')}",
        name="web-1",
        vpc_id=VPC,
        subnet_id=SUBNET,
        private_ip=address,
        ipv6=ipv6,
        security_group_ids=groups,
    )


def security_group(
    group_id: str, *, ingress: tuple[Rule, ...] = (), egress: tuple[Rule, ...] = ()
) -> SecurityGroup:
    return SecurityGroup(
        id=group_id, vpc_id=VPC, name=group_id, description="", ingress=ingress, egress=egress
    )


def endpoint(endpoint_id: str = ENDPOINT, **changes: Any) -> Endpoint:
    fields: dict[str, Any] = {
        "id": endpoint_id,
        "name": None,
        "vpc_id": VPC,
        "subnet_id": SUBNET,
        "availability_zone": "us-east-1a",
        "dns_name": HOST,
        "state": EndpointState.CREATE_COMPLETE,
        "state_message": "",
        "created_at": THEN,
        "deleted_at": None,
        "security_group_ids": (OPEN_GROUP,),
        "network_interface_ids": ("eni-1",),
        "preserve_client_ip": False,
        "ip_address_type": IpAddressType.DUALSTACK,
        "max_tunnels": None,
    }
    return Endpoint(**{**fields, **changes})


@dataclass
class StoredAccount:
    store: Store
    url: str
    vault: Vault = field(default_factory=lambda: Vault(bytes(32)))
    keys: dict[str, NewAccessKey] = field(default_factory=dict)
    sessions: dict[str, TemporaryKey] = field(default_factory=dict)
    """The temporary credentials that `target` signs with, by what is asked for there as the user."""

    def user(self, name: str, document: Mapping[str, Any] | None = None) -> NewAccessKey:
        """A user with an inline policy and a key."""
        with self.store.write() as tx:
            tx.users.put(User(name=name, id=f"AIDA{name.upper()}", path="/", created_at=THEN))
            if document is not None:
                put_policy(tx, name, document)
            key = create_access_key(
                tx,
                self.vault,
                user_name=name,
                now=datetime.now(UTC),
                random_bytes=os.urandom,
            )
        self.keys[name] = key
        self.derive_keys()
        return key

    def role(self, name: str, document: Mapping[str, Any] | None = None) -> Role:
        """A role with an inline policy."""
        role = Role(
            name=name,
            id=f"AROA{name.upper()}",
            path="/",
            created_at=THEN,
            description="",
            trust_policy=json.dumps({"Version": "2012-10-17", "Statement": []}),
        )
        with self.store.write() as tx:
            tx.roles.put(role)
            if document is not None:
                put_policy(tx, name, document, kind=OwnerKind.ROLE)
        return role

    def session(
        self, who: str, kind: SessionKind = SessionKind.ROLE, *, lasts: float = 3600, **more: Any
    ) -> Session:
        """A session of a role or user, as STS makes one; `target` signs with it what `who` asks for."""
        now = datetime.now(UTC)
        key = new_temporary_key(os.urandom)
        with self.store.write() as tx:
            row = tx.roles.get(who) if kind is SessionKind.ROLE else tx.users.get(who)
            fields: dict[str, Any] = {
                "access_key_id": key.access_key_id,
                "kind": kind,
                "owner_name": who,
                "owner_id": "" if row is None else row.id,
                "name": "work" if kind is SessionKind.ROLE else None,
                "token_hash": key.token_hash,
                "issued_at": now,
                "expires_at": now + timedelta(seconds=lasts),
            }
            session = Session(**{**fields, **more})
            put_session(tx, self.vault, session, key.secret)
            caller = resolve_caller(StoredIdentities(tx, Arns(ACCOUNT, REGION)), key.access_key_id)
            assert caller is not None
            tx.sealed_signing_keys.put_all(
                session_signing_keys(
                    GATEWAY_KEY, session, key.secret, caller.policies, now=now, region=REGION
                )
            )
        self.sessions[who] = key
        return session

    def derive_keys(self, now: datetime | None = None) -> None:
        """What a control plane does all the time: gateways get the signing keys that they may have."""

        def clock() -> datetime:
            return now or datetime.now(UTC)

        SigningKeys(self.store, self.vault, GATEWAY_KEY, clock=clock, region=REGION).refresh()

    def target(
        self, user: str, *, now: datetime | None = None, host: str = HOST, expires: int = 60, **changes: Any
    ) -> str:
        """The request target that the user's client sends, with the AWS CLI's parameters by default."""
        key = self.keys.get(user)
        temporary = self.sessions.get(user)
        if temporary is None:
            assert key is not None
            credentials = {"access_key_id": key.key.id, "secret_access_key": key.secret}
        else:
            credentials = {
                "access_key_id": temporary.access_key_id,
                "secret_access_key": temporary.secret,
                "session_token": temporary.token,
            }
        return presign(
            host,
            "/openTunnel",
            {name: str(value) for name, value in tunnel_parameters(**changes).items()},
            **credentials,
            now=now or datetime.now(UTC),
            region=REGION,
            service="ec2-instance-connect",
            expires=expires,
        )

    def head(self, user: str, **options: Any) -> Head:
        return head(self.target(user, **options))


def write_gateway_key(directory: Path) -> None:
    """Puts `GATEWAY_KEY` where a gateway with this data directory looks for it."""
    path = directory / "gateway.key"
    path.touch(mode=0o600)
    path.write_bytes(base64.b64encode(bytes(range(32))))


def head(target: str) -> Head:
    path, _, query = target.partition("?")
    return Head(path=path, query=query, headers=(("host", HOST), ("user-agent", "aws-cli/2.36")))


def slow_to_decide(patterns: int) -> dict[str, Any]:
    """Allows tunnels, after as many patterns that are made anew for each request."""
    return allow(
        {"StringNotLike": {"aws:UserAgent": [f"*{at}?${{aws:username}}*" for at in range(patterns)]}}
    )


class Own:
    """A gateway machine's addresses, as a test has them."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = frozenset(map(parse_address, addresses))

    def holds(self, address: Address) -> bool:
        return address in self._addresses


def new_admission(
    snapshot: Snapshot,
    load: Load,
    max_tunnels: int | None = None,
    *,
    vpcs: Iterable[str] = (),
    endpoints: Iterable[str] = (),
    own: Own | None = None,
    drain_ports: Collection[int] = (),
    may_take_addresses: bool = True,
    decision_time: DecisionTime | None = None,
) -> Admission:
    """As a gateway makes it that is bound to these VPCs and endpoints, on a machine with these addresses."""
    return Admission(
        snapshot,
        load,
        max_tunnels,
        served=Served(vpcs, endpoints),
        off_limits=OffLimits(own or Own(), snapshot, drain_ports=drain_ports),
        may_take_addresses=may_take_addresses,
        decision_time=decision_time,
    )


def tunnel_parameters(**changes: Any) -> dict[str, Any]:
    parameters = {
        "instanceConnectEndpointId": ENDPOINT,
        "remotePort": 22,
        "privateIpAddress": "10.0.1.1",
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def put_policy(
    tx: Transaction,
    owner: str,
    document: Mapping[str, Any],
    name: str = "tunnels",
    kind: OwnerKind = OwnerKind.USER,
) -> None:
    tx.inline_policies.put(
        InlinePolicy(owner_kind=kind, owner_name=owner, policy_name=name, document=json.dumps(document))
    )


@contextmanager
def stored_account(url: str | None = None) -> Iterator[StoredAccount]:
    """One VPC, one endpoint whose groups let everything out, one host that lets everything in.

    They are in an empty database, or in SQLite.
    """
    with TemporaryDirectory() as directory:
        if url:
            store = Store.open(url)
            store.migrate()
        else:
            store = new_sqlite_store(Path(directory, "store.db"))
            url = f"sqlite:///{Path(directory, 'store.db')}"
        with store.write() as tx:
            tx.accounts.put(Account(id=ACCOUNT, region=REGION, gateway_dns_name=HOST, created_at=THEN))
            tx.vpcs.put(Vpc(id=VPC, name="office", cidrs=("10.0.0.0/16", "fd00::/16", "127.0.0.0/8")))
            tx.subnets.put(
                Subnet(
                    id=SUBNET,
                    vpc_id=VPC,
                    name="web",
                    cidrs=("10.0.1.0/24",),
                    availability_zone="us-east-1a",
                )
            )
            everything = tuple(Rule("-1", 0, 65535, cidr) for cidr in ANYWHERE)
            tx.security_groups.put(security_group(OPEN_GROUP, ingress=everything, egress=everything))
            tx.network_interfaces.put(
                NetworkInterface(
                    id="eni-1",
                    vpc_id=VPC,
                    subnet_id=SUBNET,
                    endpoint_id=ENDPOINT,
                    private_ip=INTERFACE_ADDRESS,
                    ipv6="fd00::250",
                    security_group_ids=(OPEN_GROUP,),
                    description="",
                )
            )
            tx.endpoints.put(endpoint())
            # What listens on the machine that runs the tests is a target because it is registered.
            tx.instances.put(instance(), instance("127.0.0.1"))
        try:
            yield StoredAccount(store, url)
        finally:
            store.close()
