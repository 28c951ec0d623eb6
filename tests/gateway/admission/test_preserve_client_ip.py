"""PreserveClientIp where it cannot be had: no tunnel reaches the target, and the audit trail says why."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from tests.gateway.account import (
    ENDPOINT,
    GATEWAY_KEY,
    StoredAccount,
    allow,
    endpoint,
    new_admission,
    stored_account,
)

from hatchway.gateway.admission.decision import Admitted
from hatchway.gateway.admission.preserve_client_ip import NOT_PERMITTED
from hatchway.gateway.snapshot.snapshot import Snapshot

CLIENT = "192.0.2.7"


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


class Nothing:
    """A worker that carries no tunnel."""

    def __len__(self) -> int:
        return 0

    def on_endpoint(self, endpoint_id: str) -> int:
        return 0

    def of_principal(self, maker_id: str) -> int:
        return 0


def decide(
    account: StoredAccount, *, permitted: bool, preserve: bool = True, source_ip: str = CLIENT, **changes: str
) -> Admitted:
    with account.store.write() as tx:
        tx.endpoints.put(endpoint(preserve_client_ip=preserve))
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    assert [each.id for each in snapshot.endpoints] == [ENDPOINT]
    answer = new_admission(snapshot, Nothing(), may_take_addresses=permitted).decide(
        account.head("alice", **changes),
        source_ip=source_ip,
        request_id="request-1",
        tunnel_id="tun-1",
        now=datetime.now(UTC),
    )
    assert isinstance(answer, Admitted)
    return answer


def test_a_gateway_that_may_connects_from_the_clients_address(account: StoredAccount) -> None:
    admitted = decide(account, permitted=True)
    assert admitted.unreachable is None
    assert str(admitted.source) == CLIENT


def test_a_gateway_that_may_not_refuses_and_says_why(account: StoredAccount) -> None:
    admitted = decide(account, permitted=False)
    assert admitted.unreachable == NOT_PERMITTED
    assert admitted.additional["network"] == NOT_PERMITTED


def test_other_endpoints_need_no_capability(account: StoredAccount) -> None:
    admitted = decide(account, permitted=False, preserve=False)
    assert (admitted.unreachable, admitted.source) == (None, None)


@pytest.mark.parametrize(
    ("client", "target"), [("2001:db8::7", "10.0.1.1"), (CLIENT, "fd00::1"), ("2001:db8::7", "fd00::1")]
)
def test_it_needs_ipv4_on_both_sides(account: StoredAccount, client: str, target: str) -> None:
    admitted = decide(account, permitted=True, source_ip=client, privateIpAddress=target)
    assert admitted.unreachable == f"PreserveClientIp needs IPv4, and this is from {client} to {target}"
