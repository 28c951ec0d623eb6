"""A control plane over HTTPS on loopback, and boto3 clients of it."""

import http.client
import json
import os
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.store.migrated import ON_POSTGRESQL, new_postgresql_store

from hatchway.audit.group_commit import GroupCommit
from hatchway.control.application import create_application
from hatchway.control.http.server import HttpsServer
from hatchway.control.plane import ControlPlane
from hatchway.domain.account import Account, Quotas
from hatchway.domain.arns import Arns
from hatchway.domain.identity import InlinePolicy, ManagedPolicy, OwnerKind, PolicyVersion, Role, User
from hatchway.domain.ids import Kind, derived_id
from hatchway.domain.network import Instance, InstanceState, Rule, SecurityGroup, Subnet, Vpc, default_group
from hatchway.keys.access_keys import create_access_key
from hatchway.keys.vault import Vault
from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signing import sign_headers
from hatchway.store import Store, Transaction
from hatchway.transport.listening.sources import Sources

ACCOUNT = "123456789012"
REGION = "us-east-1"
ARNS = Arns(ACCOUNT, REGION)
GATEWAY_KEY = Vault(bytes(range(32)))

VPC = "vpc-0000000000000000a"
OTHER_VPC = "vpc-0000000000000000b"
SUBNET = "subnet-0000000000000000a"
OTHER_SUBNET = "subnet-0000000000000000b"
SUBNET_ELSEWHERE = "subnet-0000000000000000c"
DEFAULT_GROUP = "sg-0000000000000000a"
OTHER_DEFAULT_GROUP = "sg-0000000000000000b"
SSH_GROUP = "sg-0000000000000000c"
INSTANCE = "i-0000000000000000a"
STOPPED_INSTANCE = "i-0000000000000000b"


@dataclass(frozen=True)
class Credentials:
    access_key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def temporary(cls, answer: Mapping[str, Any]) -> "Credentials":
        """Those of an answer of STS."""
        given = answer["Credentials"]
        return cls(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])


def refused(call: Callable[[], Any]) -> tuple[str, int]:
    """The code and status with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@dataclass(frozen=True)
class Answer:
    """What a raw request was answered with; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str


class SharedServer:
    """A server that outlives the tests: each puts its own application on it."""

    def __init__(
        self, certificate: Path, ca: Path, sources: Sources, listener: socket.socket | None = None
    ) -> None:
        self.certificate = certificate
        self.ca = ca
        self.application: ASGIApp | None = None
        listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        ready = threading.Event()
        self.server = HttpsServer(
            self._act,
            certificate=certificate,
            key=certificate,
            drain_seconds=1,
            on_ready=ready.set,
            sources=sources,
        )
        self._thread = threading.Thread(target=self.server.run, args=([listener],))
        self._thread.start()
        ready.wait(30)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def _act(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.application is not None:
            await self.application(scope, receive, send)

    def close(self) -> None:
        self.server.should_exit = True
        self._thread.join()


@dataclass
class World:
    """One account with a small fleet, and its control plane."""

    shared_server: SharedServer
    store: Store
    plane: ControlPlane
    session: boto3.Session
    root: Credentials
    clock: "Clock"

    def client(self, service: str, credentials: Credentials | None = None, **config: Any) -> Any:
        who = credentials or self.root
        return self.session.client(
            service,
            region_name=REGION,
            endpoint_url=self.shared_server.url,
            verify=str(self.shared_server.ca),
            aws_access_key_id=who.access_key_id,
            aws_secret_access_key=who.secret,
            aws_session_token=who.token,
            config=Config(**{"retries": {"max_attempts": 1, "mode": "standard"}, **config}),
        )

    def user(
        self,
        name: str,
        *statements: Mapping[str, Any],
        path: str = "/",
        tags: Mapping[str, str] | None = None,
    ) -> Credentials:
        """A user with these statements as its inline policy."""
        with self.store.write() as tx:
            tx.users.put(
                User(
                    name=name,
                    id=derived_id(Kind.USER, ACCOUNT, name),
                    path=path,
                    created_at=self.clock(),
                    tags=tags or {},
                )
            )
            _attach(tx, name, statements)
            return _key(tx, self.plane.vault, name, self.clock())

    def role(
        self,
        name: str,
        *statements: Mapping[str, Any],
        trust: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        path: str = "/",
        tags: Mapping[str, str] | None = None,
        max_session_duration: int = 3600,
        permissions_boundary: str | None = None,
    ) -> str:
        """A role with these statements as its inline policy. Returns its ARN.

        `trust` is one statement or several; each allows sts:AssumeRole where it does not say otherwise.
        """
        trusts = [trust] if isinstance(trust, Mapping) else trust
        trusting = [{"Effect": "Allow", "Action": "sts:AssumeRole", **each} for each in trusts]
        with self.store.write() as tx:
            tx.roles.put(
                Role(
                    name=name,
                    id=derived_id(Kind.ROLE, ACCOUNT, name),
                    path=path,
                    created_at=self.clock(),
                    description="",
                    trust_policy=json.dumps({"Version": "2012-10-17", "Statement": trusting}),
                    max_session_duration=max_session_duration,
                    permissions_boundary=permissions_boundary,
                    tags=tags or {},
                )
            )
            _attach(tx, name, statements, OwnerKind.ROLE)
        return ARNS.role(name, path)

    def managed_policy(self, name: str, *statements: Mapping[str, Any]) -> str:
        """A managed policy of these statements. Returns its ARN."""
        arn, now = ARNS.managed_policy(name), self.clock()
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        with self.store.write() as tx:
            tx.managed_policies.put(
                ManagedPolicy(
                    arn=arn,
                    name=name,
                    id=derived_id(Kind.MANAGED_POLICY, ACCOUNT, name),
                    path="/",
                    description="",
                    created_at=now,
                    updated_at=now,
                    default_version="v1",
                )
            )
            tx.policy_versions.put(
                PolicyVersion(policy_arn=arn, version_id="v1", document=document, created_at=now)
            )
        return arn

    def allow_role(self, name: str, *statements: Mapping[str, Any]) -> None:
        """Replaces the role's inline policy."""
        with self.store.write() as tx:
            _attach(tx, name, statements, OwnerKind.ROLE)

    def allow(self, name: str, *statements: Mapping[str, Any]) -> None:
        """Replaces the user's inline policy."""
        with self.store.write() as tx:
            _attach(tx, name, statements)

    def send(
        self,
        method: str = "POST",
        target: str = "/",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        service: str | None = None,
        region: str = REGION,
        who: Credentials | None = None,
        alter: Callable[[list[tuple[str, str]]], list[tuple[str, str]]] = lambda headers: headers,
    ) -> "Answer":
        """A request as it stands, signed by `who` or the root user for `service` if given; then altered."""
        signer = who or self.root
        all_headers = [("Host", f"127.0.0.1:{self.shared_server.port}"), *(headers or {}).items()]
        if service is not None:
            path, _, query = target.partition("?")
            request = HttpRequest(method, path, query, tuple(all_headers), body)
            all_headers += sign_headers(
                request,
                access_key_id=signer.access_key_id,
                secret_access_key=signer.secret,
                session_token=signer.token,
                region=region,
                service=service,
                now=datetime.now(UTC),
            )
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.shared_server.port,
            timeout=30,
            context=ssl.create_default_context(cafile=self.shared_server.ca),
        )
        with closing(connection):
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in alter([*all_headers, ("Content-Length", str(len(body)))]):
                connection.putheader(name, value)
            connection.endheaders()
            # One that is refused before its end need not be taken whole: the answer is read all the same.
            with suppress(OSError):
                connection.send(body)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read().decode())

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The audit trail's events, oldest first."""
        with self.store.read() as tx:
            records = sorted(tx.audit_records.find(), key=lambda record: record.event_time)
        bodies = [json.loads(record.body) for record in records]
        return [body for body in bodies if name is None or body["eventName"] == name]

    def change(self, work: Callable[[Transaction], object]) -> None:
        with self.store.write() as tx:
            work(tx)


@dataclass
class Clock:
    """The system's clock, put forward as a test likes. Clients sign with the system's own."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def _attach(
    tx: Transaction,
    name: str,
    statements: tuple[Mapping[str, Any], ...],
    kind: OwnerKind = OwnerKind.USER,
) -> None:
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        tx.inline_policies.put(
            InlinePolicy(owner_kind=kind, owner_name=name, policy_name="given", document=document)
        )


def _key(tx: Transaction, vault: Vault, user_name: str | None, now: datetime) -> Credentials:
    new = create_access_key(tx, vault, user_name=user_name, now=now, random_bytes=os.urandom)
    return Credentials(new.key.id, new.secret)


def root_key(tx: Transaction, vault: Vault) -> Credentials:
    return _key(tx, vault, None, datetime.now(UTC))


def tunnel_user(tx: Transaction, vault: Vault) -> Credentials:
    """A user who may open any tunnel, with a key."""
    now = datetime.now(UTC)
    tx.users.put(User(name="alice", id="AIDAALICE", path="/", created_at=now))
    _attach(tx, "alice", ({"Effect": "Allow", "Action": "ec2-instance-connect:OpenTunnel", "Resource": "*"},))
    return _key(tx, vault, "alice", now)


def furnish(tx: Transaction, now: datetime) -> None:
    """The fleet: two VPCs, three subnets, two instances."""
    tx.accounts.put(
        Account(
            id=ACCOUNT,
            region=REGION,
            gateway_dns_name="gateway.hatchway.test",
            created_at=now,
            quotas=Quotas(endpoints_per_account=3, endpoints_per_vpc=2, endpoints_per_subnet=1),
        )
    )
    tx.vpcs.put(
        Vpc(id=VPC, name="office", cidrs=("10.0.0.0/16", "fd00:1::/56"), tags={"Name": "office"}),
        Vpc(id=OTHER_VPC, name="lab", cidrs=("10.1.0.0/16",)),
    )
    tx.subnets.put(
        _subnet(SUBNET, VPC, "web", ("10.0.1.0/24", "fd00:1::/64"), {"tier": "web"}),
        _subnet(OTHER_SUBNET, VPC, "db", ("10.0.2.0/28",), {}),
        _subnet(SUBNET_ELSEWHERE, OTHER_VPC, "bench", ("10.1.1.0/24",), {}),
    )
    tx.security_groups.put(
        default_group(DEFAULT_GROUP, VPC),
        default_group(OTHER_DEFAULT_GROUP, OTHER_VPC),
        SecurityGroup(
            id=SSH_GROUP,
            vpc_id=VPC,
            name="ssh-in",
            description="SSH from the office",
            ingress=(Rule("tcp", 22, 22, "10.0.0.0/16"), Rule("tcp", 22, 22, DEFAULT_GROUP)),
            egress=(Rule("-1", 0, 65535, "0.0.0.0/0"), Rule("tcp", 443, 444, "::/0")),
        ),
    )
    tx.instances.put(
        Instance(
            id=INSTANCE,
            name="web-1",
            vpc_id=VPC,
            subnet_id=SUBNET,
            private_ip="10.0.1.1",
            ipv6="fd00:1::1",
            security_group_ids=(SSH_GROUP,),
            tags={"Name": "web-1", "env": "dev"},
        ),
        _stopped(),
    )


def _subnet(
    subnet_id: str, vpc_id: str, name: str, cidrs: tuple[str, ...], tags: Mapping[str, str]
) -> Subnet:
    return Subnet(
        id=subnet_id, vpc_id=vpc_id, name=name, cidrs=cidrs, availability_zone="us-east-1a", tags=tags
    )


def _stopped() -> Instance:
    return Instance(
        id=STOPPED_INSTANCE,
        name="db-1",
        vpc_id=VPC,
        subnet_id=OTHER_SUBNET,
        private_ip="10.0.2.5",
        ipv6=None,
        security_group_ids=(DEFAULT_GROUP,),
        state=InstanceState.STOPPED,
    )


@contextmanager
def serving(directory: Path) -> Iterator[SharedServer]:
    """A server with a certificate of its own, whose files are kept in `directory`."""
    now = datetime.now(UTC)
    ca = create_ca("Hatchway test CA", [], now)
    server = issue_server_certificate(ca, ["127.0.0.1"], now)
    certificate, ca_certificate = directory / "server.pem", directory / "ca.pem"
    certificate.write_bytes(server.certificate + server.key)
    ca_certificate.write_bytes(ca.certificate)
    # One test after the other comes from the same address, and many fail to authenticate.
    patient = Sources(time.monotonic, may_waste=10**6, all_may_waste=10**6, may_fail=10**6)
    shared_server = SharedServer(certificate, ca_certificate, patient)
    yield shared_server
    shared_server.close()


def new_database(path: Path) -> Path:
    """An empty, migrated SQLite database."""
    store = Store.open(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@contextmanager
def new_world(
    shared_server: SharedServer, template: Path, directory: Path, session: boto3.Session
) -> Iterator[World]:
    """A world of its own for one test; `template` is an empty, migrated SQLite database."""
    if ON_POSTGRESQL:
        store = new_postgresql_store()
    else:
        store = Store.open(f"sqlite:///{shutil.copyfile(template, directory / 'hatchway.db')}")
    with world_in(store, shared_server, session) as world:
        yield world


@contextmanager
def world_in(store: Store, shared_server: SharedServer, session: boto3.Session) -> Iterator[World]:
    """The same in an empty, migrated store, which is closed in the end."""
    clock = Clock()
    vault = Vault(os.urandom(32))
    audit = GroupCommit(store)
    plane = ControlPlane(
        store=store,
        vault=vault,
        gateway_vault=GATEWAY_KEY,
        log=audit,
        arns=ARNS,
        clock=clock,
        random_bytes=os.urandom,
    )
    with store.write() as tx:
        furnish(tx, clock())
        root = root_key(tx, vault)
    shared_server.application = create_application(plane)
    try:
        yield World(shared_server, store, plane, session, root, clock)
    finally:
        shared_server.application = None
        audit.close()
        store.close()
