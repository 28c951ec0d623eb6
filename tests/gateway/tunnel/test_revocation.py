"""Open tunnels are cut when they are no longer allowed; only those that a change can affect are looked at."""

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.gateway.account import (
    ENDPOINT,
    ENDPOINT_ARN,
    GATEWAY_KEY,
    OPEN_GROUP,
    SSH_GROUP,
    THEN,
    VPC,
    StoredAccount,
    allow,
    endpoint,
    instance,
    new_admission,
    put_policy,
    security_group,
    slow_to_decide,
    stored_account,
)
from tests.gateway.harness import echo, target
from tests.gateway.workers import answer_to, echoes, events, open_tunnel, worker
from tests.transport.harness import run, until

from hatchway.domain.endpoint import EndpointState
from hatchway.domain.identity import (
    Attachment,
    Guardrail,
    KeyStatus,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    User,
)
from hatchway.domain.network import InstanceState, NetworkInterface, Rule
from hatchway.gateway.admission.decision import Admitted, Reevaluation
from hatchway.gateway.snapshot.dependencies import touched
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.gateway.snapshot.table import key_of
from hatchway.gateway.tunnel.closures import ACCESS_REVOKED
from hatchway.gateway.tunnel.registry import Registry
from hatchway.gateway.tunnel.revocation import MOST_BEFORE, Revocation
from hatchway.store import Transaction
from hatchway.transport.websocket.close import Closure

if TYPE_CHECKING:
    from hatchway.gateway.tunnel.relay import Relay

POLICY_ARN = "arn:aws:iam::123456789012:policy/connect"
BOUNDARY_ARN = "arn:aws:iam::123456789012:policy/boundary"
GUARDRAIL_ARN = "arn:aws:iam::123456789012:policy/guardrail"
WEB = instance("10.0.1.1")
NOTHING: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        yield made


@dataclass
class Ending:
    """In the place of a relay: it only remembers how it was ended."""

    closure: Closure | None = None
    why: str = ""

    def explain(self, why: str) -> None:
        self.why = why

    def cut(self, closure: Closure) -> None:
        self.closure = closure


@dataclass
class Gateway:
    """A worker's decisions without its connections."""

    account: StoredAccount
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(GATEWAY_KEY))
    registry: Registry = field(default_factory=Registry)
    tunnels: dict[str, Ending] = field(default_factory=dict)
    reviewed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.admission = new_admission(self.snapshot, self.registry)
        self.revocation = Revocation(self, self.registry, lambda: datetime.now(UTC))
        self.follow()

    def reevaluate(self, admitted: Admitted, now: datetime) -> Reevaluation:
        self.reviewed.append(admitted.tunnel_id)
        return self.admission.reevaluate(admitted, now)

    def explains(self, admitted: Admitted, now: datetime) -> bool:
        return self.admission.explains(admitted, now)

    def follow(self) -> None:
        changes = self.account.store.changes(self.snapshot.position)
        self.snapshot.apply(changes)
        self.revocation.changed(touched(changes, key_of))

    def decide(self, user: str, *, source_ip: str = "192.0.2.7", tunnel_id: str = "", **asked: Any) -> Any:
        return self.admission.decide(
            self.account.head(user, **asked),
            source_ip=source_ip,
            request_id="r",
            tunnel_id=tunnel_id or f"tun-{user}-{len(self.tunnels)}",
            now=datetime.now(UTC),
        )

    def open(self, user: str, **asked: Any) -> Ending:
        answer = self.decide(user, **asked)
        assert isinstance(answer, Admitted), answer.refusal
        ending = self.tunnels[answer.tunnel_id] = Ending()
        self.registry.add(answer, cast("Relay", ending))
        return ending

    async def settle(self) -> None:
        """Follow the store and decide on whatever that made due."""
        self.follow()
        deciding = asyncio.create_task(self.revocation.run())
        for _ in range(50):
            await asyncio.sleep(0)
        # A decision that took long, as one amid which garbage is collected, has the rest wait.
        while not deciding.done() and (self.revocation._due or self.revocation._last):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.001)
        deciding.cancel()


def managed(tx: Transaction, arn: str, document: dict[str, Any]) -> None:
    tx.managed_policies.put(
        ManagedPolicy(
            arn=arn,
            name=arn.rpartition("/")[2],
            id="A",
            path="/",
            description="",
            created_at=THEN,
            updated_at=THEN,
            default_version="v1",
        )
    )
    tx.policy_versions.put(
        PolicyVersion(policy_arn=arn, version_id="v1", document=json.dumps(document), created_at=THEN)
    )


def alice(**changes: Any) -> User:
    return replace(User(name="alice", id="AIDAALICE", path="/", created_at=THEN), **changes)


def furnish(account: StoredAccount) -> None:
    """Alice, who has her permission from a group, within a boundary; and Bob, who has his own policy."""
    account.user("alice")
    account.user("bob", allow())
    with account.store.write() as tx:
        managed(tx, POLICY_ARN, allow())
        managed(tx, BOUNDARY_ARN, allow(resource="*"))
        tx.users.put(alice(permissions_boundary=BOUNDARY_ARN))
        tx.memberships.put(Membership(user_name="alice", group_name="engineers"))
        tx.attachments.put(
            Attachment(owner_kind=OwnerKind.GROUP, owner_name="engineers", policy_arn=POLICY_ARN)
        )
        tx.endpoints.put(endpoint("eice-bobs"))
        tx.instances.put(instance("10.0.1.2"))
        tx.inline_policies.delete_where(owner_name="bob")
        put_policy(tx, "bob", allow(resource="*"))
    account.derive_keys()


Change = Callable[[Transaction, StoredAccount], object]
ONE_PERSONS: dict[str, Change] = {
    "key deactivated": lambda tx, account: tx.access_keys.put(
        replace(account.keys["alice"].key, status=KeyStatus.INACTIVE)
    ),
    "key deleted": lambda tx, account: tx.access_keys.delete(account.keys["alice"].key.id),
    "user deleted": lambda tx, _: tx.users.delete("alice"),
    "policy denies": lambda tx, _: put_policy(tx, "alice", NOTHING),
    "left the group": lambda tx, _: tx.memberships.delete("alice", "engineers"),
    "group's policy detached": lambda tx, _: tx.attachments.delete_where(owner_name="engineers"),
    "policy edited": lambda tx, _: managed(tx, POLICY_ARN, allow(resource=ENDPOINT_ARN + "x")),
    "policy deleted": lambda tx, _: tx.managed_policies.delete(POLICY_ARN),
    "boundary edited": lambda tx, _: managed(tx, BOUNDARY_ARN, NOTHING),
    "other boundary": lambda tx, _: tx.users.put(alice(permissions_boundary=POLICY_ARN + "-that-is-not")),
    "endpoint deleted": lambda tx, _: tx.endpoints.put(endpoint(state=EndpointState.DELETE_COMPLETE)),
    "endpoint gone": lambda tx, _: tx.endpoints.delete(ENDPOINT),
    "endpoint's groups let nothing out": lambda tx, _: tx.endpoints.put(
        endpoint(security_group_ids=("sg-none",))
    ),
    "instance stopped": lambda tx, _: tx.instances.put(replace(WEB, state=InstanceState.STOPPED)),
    "instance's groups let nothing in": lambda tx, _: tx.instances.put(
        replace(WEB, security_group_ids=("sg-none",))
    ),
}


@pytest.mark.parametrize("what", ONE_PERSONS)
def test_who_is_no_longer_allowed_is_cut_and_nobody_else_is_looked_at(
    account: StoredAccount, what: str
) -> None:
    furnish(account)

    async def test() -> None:
        gateway = Gateway(account)
        cut = gateway.open("alice")
        bobs = gateway.open("bob", instanceConnectEndpointId="eice-bobs", privateIpAddress="10.0.1.2")
        await gateway.settle()
        with account.store.write() as tx:
            ONE_PERSONS[what](tx, account)
        await gateway.settle()
        assert cut.closure == ACCESS_REVOKED
        assert bobs.closure is None
        assert gateway.reviewed == ["tun-alice-0"]
        assert gateway.registry.cause("tun-alice-0")["revocation"]["reason"]

    run(test)


EVERYONES: dict[str, Change] = {
    # There is no such policy: whatever it said, nothing is allowed now.
    "guardrail attached": lambda tx, _: tx.guardrails.put(Guardrail(policy_arn=GUARDRAIL_ARN)),
    "security group edited": lambda tx, _: tx.security_groups.put(security_group(OPEN_GROUP)),
    "network out of which the address falls": lambda tx, _: tx.vpcs.put(
        replace(cast("Any", tx.vpcs.get(VPC)), cidrs=("10.9.0.0/16",))
    ),
}


@pytest.mark.parametrize("what", EVERYONES)
def test_what_forbids_all_tunnels_cuts_all(account: StoredAccount, what: str) -> None:
    furnish(account)

    async def test() -> None:
        gateway = Gateway(account)
        tunnels = [gateway.open("alice"), gateway.open("bob", instanceConnectEndpointId="eice-bobs")]
        with account.store.write() as tx:
            EVERYONES[what](tx, account)
        await gateway.settle()
        assert [tunnel.closure for tunnel in tunnels] == [ACCESS_REVOKED, ACCESS_REVOKED]

    run(test)


def test_a_detached_guardrail_s_policy_no_longer_matters_and_an_attached_one_s_does(
    account: StoredAccount,
) -> None:
    furnish(account)

    async def test() -> None:
        gateway = Gateway(account)
        tunnel = gateway.open("alice")
        with account.store.write() as tx:
            managed(tx, GUARDRAIL_ARN, allow(resource="*"))
            tx.guardrails.put(Guardrail(policy_arn=GUARDRAIL_ARN))
        await gateway.settle()
        assert tunnel.closure is None
        with account.store.write() as tx:
            managed(tx, GUARDRAIL_ARN, NOTHING)
        await gateway.settle()
        assert tunnel.closure == ACCESS_REVOKED

    run(test)


def test_a_user_put_into_a_group_depends_on_it_from_then_on(account: StoredAccount) -> None:
    account.user("carol", allow())

    async def test() -> None:
        gateway = Gateway(account)
        tunnel = gateway.open("carol")
        with account.store.write() as tx:
            tx.memberships.put(Membership(user_name="carol", group_name="watched"))
        await gateway.settle()
        assert tunnel.closure is None
        with account.store.write() as tx:
            managed(tx, POLICY_ARN, NOTHING)
            tx.attachments.put(
                Attachment(owner_kind=OwnerKind.GROUP, owner_name="watched", policy_arn=POLICY_ARN)
            )
        await gateway.settle()
        assert tunnel.closure == ACCESS_REVOKED

    run(test)


def test_an_instance_registered_at_the_address_of_a_tunnel_counts_for_it(account: StoredAccount) -> None:
    account.user("alice", allow())

    async def test() -> None:
        gateway = Gateway(account)
        tunnel = gateway.open("alice", privateIpAddress="10.0.1.77")
        with account.store.write() as tx:
            tx.security_groups.put(
                security_group(SSH_GROUP, ingress=(Rule("tcp", 22, 22, "203.0.113.0/24"),))
            )
            tx.instances.put(instance("10.0.1.77", groups=(SSH_GROUP,)))
        await gateway.settle()
        assert tunnel.closure == ACCESS_REVOKED
        reason = gateway.registry.cause("tun-alice-0")["revocation"]["reason"]
        assert reason.startswith(f"no ingress rule of {SSH_GROUP} allows")

    run(test)


def test_the_request_is_decided_on_again_as_it_was_made(account: StoredAccount) -> None:
    asked_for = {
        "IpAddress": {"aws:SourceIp": "192.0.2.0/24"},
        "StringLike": {"aws:UserAgent": "aws-cli/*"},
        "NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": "600"},
    }
    account.user("alice", allow())

    async def test() -> None:
        gateway = Gateway(account)
        stays = gateway.open("alice", maxTunnelDuration=600)
        elsewhere = gateway.open("alice", source_ip="198.51.100.7", maxTunnelDuration=600)
        too_long = gateway.open("alice", maxTunnelDuration=601)
        with account.store.write() as tx:
            put_policy(tx, "alice", allow(asked_for))
        await gateway.settle()
        assert stays.closure is None
        assert elsewhere.closure == too_long.closure == ACCESS_REVOKED

    run(test)


def test_who_may_know_is_told_why_his_tunnel_is_cut_and_nobody_else(account: StoredAccount) -> None:
    may_ask = {"Effect": "Allow", "Action": "hatchway:ExplainDenial", "Resource": "*"}
    account.user("alice", allow())
    account.user("bob", {**allow(), "Statement": [*allow()["Statement"], may_ask]})
    with account.store.write() as tx:
        tx.instances.put(WEB)

    async def test() -> None:
        gateway = Gateway(account)
        alices, bobs = gateway.open("alice"), gateway.open("bob")
        with account.store.write() as tx:
            tx.instances.put(replace(WEB, state=InstanceState.STOPPED))
        await gateway.settle()
        assert alices.closure == bobs.closure == ACCESS_REVOKED
        assert (alices.why, bobs.why) == ("", f"{WEB.id} is stopped")

    run(test)


def test_tags_that_no_longer_fit_cut(account: StoredAccount) -> None:
    account.user("alice", allow({"StringEquals": {"aws:ResourceTag/env": "dev"}}))
    with account.store.write() as tx:
        tx.instances.put(replace(WEB, tags={"env": "dev"}))

    async def test() -> None:
        gateway = Gateway(account)
        tunnel = gateway.open("alice")
        with account.store.write() as tx:
            tx.instances.put(replace(WEB, tags={"env": "prod"}))
        await gateway.settle()
        assert tunnel.closure == ACCESS_REVOKED

    run(test)


def test_what_cannot_be_decided_on_again_is_cut(account: StoredAccount) -> None:
    account.user("alice", allow())

    async def test() -> None:
        gateway = Gateway(account)
        tunnel = gateway.open("alice")
        with account.store.write() as tx:
            put_policy(tx, "alice", {"Version": "2012-10-17", "Statement": "no statement"})
        await gateway.settle()
        assert tunnel.closure == ACCESS_REVOKED

    run(test)


def test_of_5000_tunnels_a_change_to_one_user_looks_at_that_users(account: StoredAccount) -> None:
    for number in range(50):
        account.user(f"user-{number}", allow())

    async def test() -> None:
        gateway = Gateway(account)
        answers = {user: gateway.decide(user) for user in account.keys}
        for number in range(5000):
            user = f"user-{number % 50}"
            answer = answers[user]._replace(tunnel_id=f"tun-{number}")
            gateway.tunnels[answer.tunnel_id] = Ending()
            gateway.registry.add(answer, cast("Relay", gateway.tunnels[answer.tunnel_id]))
        with account.store.write() as tx:
            put_policy(tx, "user-7", NOTHING)
        await gateway.settle()
        users = {f"tun-{number}" for number in range(7, 5000, 50)}
        assert set(gateway.reviewed) == users
        assert {each for each, ending in gateway.tunnels.items() if ending.closure} == users

    run(test)


def test_tunnels_whose_decisions_take_long_are_decided_on_after_all_others(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.gateway.tunnel.revocation.SLOW", 0.003)
    for user in ("heavy", "alice"):
        account.user(user, allow())

    async def test() -> None:
        gateway = Gateway(account)
        slept: list[float] = []
        for number in range(20):
            gateway.open("heavy" if number % 2 else "alice", tunnel_id=f"tun-{number}")
        with account.store.write() as tx:
            put_policy(tx, "heavy", slow_to_decide(1000))
            put_policy(tx, "alice", NOTHING)
        gateway.follow()
        sleep = asyncio.sleep

        async def slowly(seconds: float) -> None:
            slept.append(seconds)
            await sleep(0)

        monkeypatch.setattr(asyncio, "sleep", slowly)
        deciding = asyncio.create_task(gateway.revocation.run())
        while len(gateway.reviewed) < 20:
            await sleep(0)
        deciding.cancel()
        heavy = [int(tunnel.removeprefix("tun-")) % 2 == 1 for tunnel in gateway.reviewed]
        # One of them shows that they are.
        assert sum(heavy[:11]) == 1
        assert all(heavy[11:])
        # Others have as much time as they take.
        assert sum(seconds > 0.003 for seconds in slept) >= 8
        assert [ending.closure for ending in gateway.tunnels.values()] == [ACCESS_REVOKED, None] * 10

    run(test)


def test_changes_without_end_to_others_keep_no_tunnel_from_being_decided_on(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.gateway.tunnel.revocation.SLOW", 0.003)
    for user in ("heavy", "alice"):
        account.user(user, allow())

    async def test() -> None:
        gateway = Gateway(account)
        for number in range(8):
            gateway.open("heavy" if number < 4 else "alice", tunnel_id=f"tun-{number}")
        with account.store.write() as tx:
            put_policy(tx, "heavy", slow_to_decide(1000))
        gateway.follow()
        decide = gateway.reevaluate

        def changing(admitted: Admitted, now: datetime) -> Reevaluation:
            # Before one of them is decided on there are others.
            for number in range(5, 8):
                gateway.revocation.decide_again_on(f"tun-{number}")
            return decide(admitted, now)

        monkeypatch.setattr(gateway, "reevaluate", changing)
        gateway.revocation.decide_again_on("tun-4")
        deciding = asyncio.create_task(gateway.revocation.run())
        tunnels = set(gateway.tunnels)
        await until(lambda: set(gateway.reviewed) == tunnels or len(gateway.reviewed) > 20 * MOST_BEFORE)
        deciding.cancel()
        assert set(gateway.reviewed) == tunnels

    run(test)


def some_change(tx: Transaction, chance: random.Random) -> None:
    """A change of anything that a decision may depend on, or may not."""
    user, group = f"user-{chance.randrange(4)}", f"group-{chance.randrange(3)}"
    arn = f"arn:aws:iam::123456789012:policy/{chance.randrange(3)}"
    address = f"10.0.1.{chance.randrange(1, 4)}"
    endpoint_id, sg = f"eice-{chance.randrange(2)}", f"sg-{chance.randrange(3)}"
    tags = {"env": chance.choice(["dev", "prod"])}
    document = chance.choice(
        [
            allow(resource="*"),
            allow({"StringEquals": {"aws:ResourceTag/env": "dev"}}, resource="*"),
            allow({"StringEquals": {"aws:PrincipalTag/env": "dev"}}, resource="*"),
            NOTHING,
        ]
    )
    rules = (Rule("tcp", 22, 22, chance.choice(["0.0.0.0/0", "10.0.1.0/30", "sg-0", "203.0.113.0/24"])),)
    kind, owner = chance.choice([(OwnerKind.USER, user), (OwnerKind.GROUP, group)])
    boundary = chance.choice([None, None, arn])
    moves: list[Callable[[], object]] = [
        lambda: tx.users.put(
            alice(name=user, id=f"AIDA{user.upper()}", tags=tags, permissions_boundary=boundary)
        ),
        lambda: tx.memberships.put(Membership(user_name=user, group_name=group)),
        lambda: tx.memberships.delete(user, group),
        lambda: put_policy(tx, user, document),
        lambda: tx.inline_policies.delete_where(owner_name=user),
        lambda: tx.attachments.put(Attachment(owner_kind=kind, owner_name=owner, policy_arn=arn)),
        lambda: tx.attachments.delete_where(owner_name=owner),
        lambda: managed(tx, arn, document),
        lambda: tx.managed_policies.delete(arn),
        lambda: tx.policy_versions.delete(arn, "v1"),
        lambda: tx.guardrails.put(Guardrail(policy_arn=arn)),
        tx.guardrails.delete_where,
        lambda: tx.endpoints.put(endpoint(endpoint_id, tags=tags, security_group_ids=(sg, OPEN_GROUP))),
        lambda: tx.endpoints.put(endpoint(endpoint_id, security_group_ids=(sg,), preserve_client_ip=True)),
        lambda: tx.instances.put(replace(instance(address, groups=(sg,)), tags=tags)),
        lambda: tx.instances.put(instance(address, groups=(OPEN_GROUP,))),
        lambda: tx.instances.delete_where(private_ip=address),
        lambda: tx.security_groups.put(security_group(sg, ingress=rules, egress=rules)),
        lambda: tx.security_groups.delete(sg),
        lambda: tx.network_interfaces.delete("eni-1"),
    ]
    for move in chance.sample(moves, chance.randrange(1, 3)):
        move()


def allow_again(tx: Transaction) -> None:
    """Undo what forbids everything, so that there is something to be cut again."""
    tx.guardrails.delete_where()
    tx.attachments.delete_where()
    tx.instances.delete_where()
    tx.network_interfaces.put(
        NetworkInterface(
            id="eni-1",
            vpc_id=VPC,
            subnet_id="subnet-1",
            endpoint_id=ENDPOINT,
            private_ip="10.0.1.250",
            ipv6=None,
            security_group_ids=(OPEN_GROUP,),
            description="",
        )
    )
    for number in range(2):
        tx.endpoints.put(endpoint(f"eice-{number}"))
    for number in range(4):
        put_policy(tx, f"user-{number}", allow(resource="*"))
        tx.users.put(alice(name=f"user-{number}", id=f"AIDAUSER-{number}"))


@pytest.mark.parametrize("seed", range(4))
def test_a_tunnel_that_no_change_has_touched_is_still_allowed(account: StoredAccount, seed: int) -> None:
    """Against deciding on everything again: what stays open is exactly what is allowed."""
    chance = random.Random(seed)
    for number in range(4):
        account.user(f"user-{number}")

    async def test() -> None:
        gateway = Gateway(account)
        cut = 0
        for turn in range(60):
            if turn % 4 == 0:
                with account.store.write() as tx:
                    allow_again(tx)
                await gateway.settle()
            for _ in range(4):
                answer = gateway.decide(
                    f"user-{chance.randrange(4)}",
                    tunnel_id=f"tun-{len(gateway.tunnels)}",
                    instanceConnectEndpointId=f"eice-{chance.randrange(2)}",
                    privateIpAddress=f"10.0.1.{chance.randrange(1, 4)}",
                )
                if isinstance(answer, Admitted) and answer.unreachable is None:
                    ending = gateway.tunnels[answer.tunnel_id] = Ending()
                    gateway.registry.add(answer, cast("Relay", ending))
            with account.store.write() as tx:
                some_change(tx, chance)
            account.derive_keys()
            await gateway.settle()
            for tunnel_id, ending in gateway.tunnels.items():
                admitted = gateway.registry.get(tunnel_id)
                if admitted is None:
                    continue
                allowed = gateway.admission.reevaluate(admitted, datetime.now(UTC)).revoked is None
                assert allowed is (ending.closure is None), (turn, tunnel_id)
                if ending.closure is not None:
                    cut += 1
                    gateway.registry.remove(admitted)
        assert cut > 20

    run(test)


# With a whole worker


def test_an_open_tunnel_is_cut_and_the_trail_says_why(account: StoredAccount, tmp_path: Path) -> None:
    account.user("alice", allow())
    account.user("bob", allow())

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                client = await open_tunnel(gateway, account, port)
                bobs = await open_tunnel(gateway, account, port, user="bob")
                assert await echoes(client)
                assert await echoes(bobs)
                with account.store.write() as tx:
                    put_policy(tx, "alice", allow({"NumericEquals": {"ec2-instance-connect:remotePort": 1}}))
                _, closed = await client.rest()
                assert (closed.code, closed.reason) == (4003, "Access revoked")
                assert await echoes(bobs, b"still here")
                await until(lambda: events(account, "CloseTunnel"))
                (event,) = events(account, "CloseTunnel")
                why = event["additionalEventData"]
                assert why["closeCode"] == 4003
                assert "no identity-based policy allows" in why["revocation"]["reason"]
                assert why["revocation"]["decision"]["checks"][0]["nearMisses"]

    run(test)


def test_with_revocation_off_a_tunnel_outlives_its_permission(account: StoredAccount, tmp_path: Path) -> None:
    account.user("alice", allow())

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path, revocation=False) as gateway:
                client = await open_tunnel(gateway, account, port)
                assert await echoes(client)
                with account.store.write() as tx:
                    put_policy(tx, "alice", NOTHING)
                # New ones are refused: the change has arrived.
                while await answer_to(gateway, account, port) != b"HTTP/1.1 403 Forbidden":
                    continue
                assert await echoes(client, b"still here")

    run(test)
