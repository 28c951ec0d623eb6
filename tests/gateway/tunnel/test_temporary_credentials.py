"""Tunnels by temporary credentials: opened at once, decided on again with their role, and left alone by their
expiry unless the account says otherwise."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.account import GATEWAY_KEY, REGION, StoredAccount, allow, put_policy, stored_account
from tests.gateway.harness import echo, target
from tests.gateway.tunnel.test_revocation import NOTHING, POLICY_ARN, Gateway, managed
from tests.gateway.workers import echoes, events, open_tunnel, worker
from tests.transport.harness import run, until

from hatchway.access.signing_keys import SigningKeys
from hatchway.domain.identity import Attachment, OwnerKind
from hatchway.domain.session import Session, SessionKind
from hatchway.gateway.admission.decision import Admitted, Refused
from hatchway.gateway.tunnel.closures import ACCESS_REVOKED
from hatchway.store import Transaction

ARN = "arn:aws:sts::123456789012:assumed-role/on-call/work"
ANYTHING = allow(resource="*")


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        yield made


def refused(gateway: Gateway, who: str) -> str:
    answer = gateway.decide(who)
    assert isinstance(answer, Refused)
    return answer.refusal.error_code


def test_a_session_opens_tunnels_as_its_role_and_the_trail_says_so(account: StoredAccount) -> None:
    role = account.role("on-call", allow({"StringEquals": {"aws:userid": "AROAON-CALL:work"}}))
    account.session("on-call", source_identity="alice")
    answer = Gateway(account).decide("on-call")
    assert isinstance(answer, Admitted)
    assert answer.principal.arn == ARN
    identity = answer.call.source.user_identity
    assert identity["type"] == "AssumedRole"
    context = identity["sessionContext"]
    assert context["sessionIssuer"]["principalId"] == role.id
    assert context["sourceIdentity"] == "alice"


def test_a_session_of_a_user_opens_tunnels_as_the_user(account: StoredAccount) -> None:
    account.user("alice", allow({"StringEquals": {"aws:username": "alice"}}))
    account.session("alice", SessionKind.USER)
    answer = Gateway(account).decide("alice")
    assert isinstance(answer, Admitted) and answer.principal.user_name == "alice"


def test_a_session_s_policies_bind_its_tunnels(account: StoredAccount) -> None:
    account.role("on-call", ANYTHING)
    port = allow({"NumericEquals": {"ec2-instance-connect:remotePort": "2222"}}, resource="*")
    account.session("on-call", policy=json.dumps(port))
    gateway = Gateway(account)
    assert refused(gateway, "on-call") == "AccessDeniedException"
    assert isinstance(gateway.decide("on-call", remotePort=2222), Admitted)


def test_without_its_own_token_a_session_s_key_is_unknown_and_an_expired_one_is_told_so(
    account: StoredAccount,
) -> None:
    account.user("alice", ANYTHING)
    account.role("on-call", ANYTHING)
    account.session("on-call")
    first = account.sessions["on-call"]
    account.session("on-call")
    gateway = Gateway(account)
    assert isinstance(gateway.decide("on-call"), Admitted)

    for wrong in (replace(first, token=account.sessions["on-call"].token), replace(first, token="x")):
        account.sessions["on-call"] = wrong
        answer = gateway.decide("on-call")
        assert isinstance(answer, Refused) and answer.refusal.error_code == "InvalidClientTokenId"
        assert "session token" in answer.additional["reason"]
        assert answer.perhaps_too_new
    account.sessions["alice"] = replace(
        first, access_key_id=account.keys["alice"].key.id, secret=account.keys["alice"].secret
    )
    assert refused(gateway, "alice") == "InvalidClientTokenId"

    account.session("on-call", lasts=-1)
    gateway.follow()
    assert refused(gateway, "on-call") == "ExpiredToken"


def test_the_control_plane_keeps_a_session_s_signing_keys_in_step_with_its_role(
    account: StoredAccount,
) -> None:
    account.role("on-call", NOTHING)
    account.session("on-call")
    gateway = Gateway(account)
    assert refused(gateway, "on-call") == "InvalidClientTokenId"
    with account.store.write() as tx:
        put_policy(tx, "on-call", ANYTHING, kind=OwnerKind.ROLE)
    account.derive_keys()
    gateway.follow()
    assert isinstance(gateway.decide("on-call"), Admitted)
    # What is there already is not made again.
    keys = SigningKeys(
        account.store, account.vault, GATEWAY_KEY, clock=lambda: datetime.now(UTC), region=REGION
    )
    assert keys.refresh() == 0


Change = Callable[[Transaction, Session], object]
CHANGES: dict[str, Change] = {
    "role deleted": lambda tx, _: tx.roles.delete("on-call"),
    "role made anew": lambda tx, _: tx.roles.put(replace(role_of(tx), id="AROAANOTHER")),
    "role's policy denies": lambda tx, _: put_policy(tx, "on-call", NOTHING, kind=OwnerKind.ROLE),
    "role's policy detached": lambda tx, _: tx.attachments.delete_where(owner_name="on-call"),
    "role's boundary": lambda tx, _: tx.roles.put(replace(role_of(tx), permissions_boundary="arn:none")),
    "role's tags": lambda tx, _: tx.roles.put(replace(role_of(tx), tags={})),
    "session policy edited": lambda tx, _: managed(tx, POLICY_ARN, NOTHING),
    "session policy deleted": lambda tx, _: tx.managed_policies.delete(POLICY_ARN),
    "session deleted": lambda tx, session: tx.sessions.delete(session.access_key_id),
    "older sessions revoked": lambda tx, _: put_policy(
        tx,
        "on-call",
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {
                    "DateLessThan": {
                        "aws:TokenIssueTime": f"{datetime.now(UTC) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
                    }
                },
            },
        },
        "AWSRevokeOlderSessions",
        OwnerKind.ROLE,
    ),
}


def role_of(tx: Transaction) -> Any:
    return tx.roles.get("on-call")


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_its_role_cuts_a_session_s_tunnels_and_looks_at_nobody_else(
    account: StoredAccount, what: str
) -> None:
    tagged = allow({"StringEquals": {"aws:PrincipalTag/team": "web"}}, resource="*")
    account.role("on-call")
    account.role("other", ANYTHING)
    with account.store.write() as tx:
        managed(tx, POLICY_ARN, ANYTHING)
        managed(tx, f"{POLICY_ARN}-attached", tagged)
        tx.roles.put(replace(role_of(tx), tags={"team": "web"}))
        tx.attachments.put(
            Attachment(owner_kind=OwnerKind.ROLE, owner_name="on-call", policy_arn=f"{POLICY_ARN}-attached")
        )
    session = account.session("on-call", policy_arns=(POLICY_ARN,))
    account.session("other")

    async def test() -> None:
        gateway = Gateway(account)
        cut, other = gateway.open("on-call"), gateway.open("other")
        await gateway.settle()
        with account.store.write() as tx:
            CHANGES[what](tx, session)
        await gateway.settle()
        assert cut.closure == ACCESS_REVOKED
        assert other.closure is None
        assert gateway.reviewed == ["tun-on-call-0"]

    run(test)


def test_a_change_of_trust_has_the_session_s_tunnels_decided_on_again_and_as_in_aws_ends_none(
    account: StoredAccount,
) -> None:
    account.role("on-call", ANYTHING)
    account.session("on-call")

    async def test() -> None:
        gateway = Gateway(account)
        tunnel = gateway.open("on-call")
        with account.store.write() as tx:
            tx.roles.put(replace(role_of(tx), trust_policy="{}"))
        await gateway.settle()
        assert (bool(gateway.reviewed), tunnel.closure) == (True, None)

    run(test)


def test_another_session_s_coming_and_going_is_of_no_concern(account: StoredAccount) -> None:
    account.role("on-call", ANYTHING)
    account.session("on-call")

    async def test() -> None:
        gateway = Gateway(account)
        tunnel = gateway.open("on-call")
        key_id = account.sessions["on-call"].access_key_id
        caller = gateway.snapshot.caller(key_id)
        account.session("on-call")
        await gateway.settle()
        assert (gateway.reviewed, tunnel.closure) == ([], None)
        assert gateway.snapshot.caller(key_id) is caller

    run(test)


def end_with_credentials(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.accounts.put(replace(tx.account(), end_tunnels_with_credentials=True))


def test_expiry_leaves_an_open_tunnel_alone_until_the_account_says_otherwise(account: StoredAccount) -> None:
    account.role("on-call", ANYTHING)
    session = account.session("on-call")

    async def test() -> None:
        gateway = Gateway(account)
        tunnel = gateway.open("on-call")
        with account.store.write() as tx:
            tx.sessions.put(replace(session, expires_at=datetime.now(UTC)))
        await gateway.settle()
        assert (bool(gateway.reviewed), tunnel.closure) == (True, None)
        end_with_credentials(account)
        await gateway.settle()
        assert tunnel.closure == ACCESS_REVOKED
        reason = gateway.registry.cause("tun-on-call-0")["revocation"]["reason"]
        assert reason == f"the temporary credentials {session.access_key_id} have expired"

    run(test)


# With a whole worker


def test_whoever_is_given_credentials_can_use_them_at_once(account: StoredAccount, tmp_path: Path) -> None:
    account.role("on-call", ANYTHING)

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                for _ in range(5):
                    account.session("on-call")
                    assert await echoes(await open_tunnel(gateway, account, port, user="on-call"))

    run(test)


def test_a_tunnel_ends_with_its_credentials_when_the_account_says_so(
    account: StoredAccount, tmp_path: Path
) -> None:
    account.role("on-call", ANYTHING)
    account.user("bob", ANYTHING)
    end_with_credentials(account)

    async def test() -> None:
        async with target(echo) as port:
            with worker(account, tmp_path) as gateway:
                account.session("on-call", lasts=2)
                client = await open_tunnel(gateway, account, port, user="on-call")
                bobs = await open_tunnel(gateway, account, port, user="bob")
                assert await echoes(client)
                _, closed = await client.rest()
                assert (closed.code, closed.reason) == (4003, "Access revoked")
                assert await echoes(bobs)
                await until(lambda: events(account, "CloseTunnel"))
                (event,) = events(account, "CloseTunnel")
                assert "have expired" in event["additionalEventData"]["revocation"]["reason"]
                assert event["userIdentity"]["arn"] == ARN

    run(test)
