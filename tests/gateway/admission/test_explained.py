"""What a caller learns of why it was refused, where policies let it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.gateway.account import (
    ENDPOINT_ARN,
    GATEWAY_KEY,
    USER_ARN,
    StoredAccount,
    instance,
    new_admission,
    put_policy,
    stored_account,
)

from hatchway.domain.identity import KeyStatus
from hatchway.domain.network import InstanceState
from hatchway.gateway.admission.admission import Admission
from hatchway.gateway.admission.decision import Admitted, Deferred, Refused
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.gateway.tunnel.registry import Registry

DURATION = "ec2-instance-connect:maxTunnelDuration"
MAY_ASK = {"Effect": "Allow", "Action": "hatchway:ExplainDenial", "Resource": USER_ARN}
TUNNEL = {"Action": "ec2-instance-connect:OpenTunnel", "Resource": ENDPOINT_ARN}


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        yield made


def admission(account: StoredAccount) -> Admission:
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    return new_admission(snapshot, Registry())


def answer(
    account: StoredAccount, *statements: dict[str, Any], **asked: Any
) -> Admitted | Refused | Deferred:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    if "alice" not in account.keys:
        account.user("alice", document)
    else:
        with account.store.write() as tx:
            tx.inline_policies.delete_where(owner_name="alice")
            put_policy(tx, "alice", document)
    return admission(account).decide(
        account.head("alice", **asked),
        source_ip="192.0.2.7",
        request_id="r",
        tunnel_id="t",
        now=datetime.now(UTC),
    )


def told(account: StoredAccount, *statements: dict[str, Any], **asked: Any) -> str:
    refused = answer(account, *statements, **asked)
    assert isinstance(refused, Refused)
    return refused.refusal.explanation


def within(seconds: str, operator: str = "NumericLessThanEquals") -> dict[str, Any]:
    return {"Effect": "Allow", **TUNNEL, "Condition": {operator: {DURATION: seconds}}}


def beyond(seconds: str, operator: str = "NumericGreaterThan") -> dict[str, Any]:
    return {"Effect": "Deny", **TUNNEL, "Condition": {operator: {DURATION: seconds}}}


ALLOWED = {"Effect": "Allow", **TUNNEL}


@pytest.mark.parametrize(
    ("statements", "seconds"),
    [
        ([within("600")], 600),
        ([within("600", "NumericLessThan")], 599),
        ([ALLOWED, beyond("900")], 900),
        ([ALLOWED, beyond("900", "NumericGreaterThanEquals")], 899),
        ([within("600"), within("1800")], 1800),
        ([within("1800"), beyond("1200"), within("7200000")], 1200),
        ([within("600", "NumericEquals")], 600),
    ],
)
def test_whoever_asks_for_too_long_is_told_how_long_he_may(
    account: StoredAccount, statements: list[dict[str, Any]], seconds: int
) -> None:
    assert told(account, MAY_ASK, *statements) == (
        f"your policies allow it for {seconds} seconds: give --max-tunnel-duration {seconds}"
    )
    assert isinstance(answer(account, *statements, maxTunnelDuration=seconds), Admitted)


@pytest.mark.parametrize("seconds", ["0", "-600", "1e300", "99999999999", "0.5", "${aws:username}"])
def test_a_bound_that_no_tunnel_has_is_not_advised(account: StoredAccount, seconds: str) -> None:
    try:
        said = told(account, MAY_ASK, within(seconds, "NumericEquals"))
    except ValueError:
        pytest.skip("no policy may say so")
    assert "--max-tunnel-duration" not in said


def test_a_refusal_for_another_reason_is_told_as_that(account: StoredAccount) -> None:
    ports = {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}
    limited = {**within("600"), "Condition": {**ports, "NumericLessThanEquals": {DURATION: "600"}}}
    said = told(account, MAY_ASK, limited, remotePort=3389, maxTunnelDuration=300)
    assert "remotePort: request 3389, policy 22" in said
    # A shorter tunnel would be refused as well.
    assert "--max-tunnel-duration" not in told(account, MAY_ASK, limited, remotePort=3389)


def test_nobody_is_told_anything_without_the_permission_on_himself(account: StoredAccount) -> None:
    for statement in (
        {**MAY_ASK, "Resource": USER_ARN[:-5] + "bob"},
        {**MAY_ASK, "Action": "hatchway:ListTunnels"},
    ):
        refused = answer(account, statement, within("600"))
        assert isinstance(refused, Refused)
        assert refused.refusal.explanation == ""
        assert b"Explanation" not in refused.refusal.body("r")
        assert b"600" not in refused.refusal.body("r")


def test_the_answer_has_the_explanation_beside_the_message_and_the_trail_has_none(
    account: StoredAccount,
) -> None:
    refused = answer(account, MAY_ASK, within("600"))
    assert isinstance(refused, Refused)
    assert b'"Explanation": "your policies allow it for 600 seconds' in refused.refusal.body("r")
    assert "600" not in refused.refusal.message


def test_whose_tunnel_cannot_be_is_told_why_while_his_key_is_good(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.instances.put(replace(instance("10.0.1.1"), state=InstanceState.STOPPED))
    for statements, known in (([MAY_ASK], True), ([], False)):
        admitted = answer(account, ALLOWED, *statements)
        assert isinstance(admitted, Admitted)
        assert admitted.unreachable is not None
        assert admission(account).explains(admitted, datetime.now(UTC)) is known
    admitted = answer(account, ALLOWED, MAY_ASK)
    assert isinstance(admitted, Admitted)
    with account.store.write() as tx:
        tx.access_keys.put(replace(account.keys["alice"].key, status=KeyStatus.INACTIVE))
    assert not admission(account).explains(admitted, datetime.now(UTC))
