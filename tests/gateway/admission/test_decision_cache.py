"""What is remembered of a decision, and that it is none other than one that is made anew."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.gateway.account import (
    ENDPOINT,
    GATEWAY_KEY,
    INTERFACE_ADDRESS,
    OPEN_GROUP,
    VPC,
    Own,
    StoredAccount,
    allow,
    head,
    instance,
    new_admission,
    put_policy,
    security_group,
    stored_account,
)

from hatchway.access import authorization
from hatchway.access.open_tunnel import TunnelRequest
from hatchway.domain.account import AuditRecord
from hatchway.domain.identity import KeyStatus
from hatchway.domain.network import InstanceState, Rule
from hatchway.gateway.admission.decision import Admitted, Deferred, Refused
from hatchway.gateway.admission.decision_cache import (
    LARGEST,
    CachedDecision,
    CacheKey,
    DecisionCache,
    DecisionInputs,
)
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.gateway.tunnel.registry import Registry

NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)
STATE = object()


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow())
        yield made


class Gateway:
    """One that follows the account only when it is told to, and counts how often policies are asked."""

    def __init__(
        self,
        account: StoredAccount,
        monkeypatch: pytest.MonkeyPatch,
        own: Own | None = None,
        drain_ports: Collection[int] = (),
    ) -> None:
        self.account = account
        self.asked = 0
        self.snapshot = Snapshot(GATEWAY_KEY)
        self.admission = new_admission(self.snapshot, Registry(), own=own, drain_ports=drain_ports)
        authorize = authorization.authorize

        def counted(*given: Any) -> Any:
            self.asked += 1
            return authorize(*given)

        monkeypatch.setattr("hatchway.gateway.admission.admission.authorize", counted)
        self.follow()

    def follow(self) -> None:
        self.snapshot.apply(self.account.store.changes(self.snapshot.position))

    def decide(
        self,
        user: str = "alice",
        *,
        source_ip: str = "192.0.2.7",
        user_agent: str = "aws-cli/2.36",
        now: datetime | None = None,
        **parameters: Any,
    ) -> Admitted | Refused | Deferred:
        now = now or datetime.now(UTC)
        asked = head(self.account.target(user, now=now, **parameters))
        asked = replace(asked, headers=(asked.headers[0], ("user-agent", user_agent)))
        return self.admission.decide(
            asked, source_ip=source_ip, request_id="request-1", tunnel_id="tun-1", now=now
        )


def opened(answer: Admitted | Refused | Deferred) -> AuditRecord:
    assert isinstance(answer, Admitted), answer
    return answer.call.record("OpenTunnel", "event-1", NOW, answer.additional_json)


def reached(answer: Admitted | Refused | Deferred) -> str | None:
    """None: it is; else why not."""
    assert isinstance(answer, Admitted), answer
    return answer.unreachable


def code(answer: Admitted | Refused | Deferred) -> str:
    assert isinstance(answer, Refused)
    return answer.refusal.error_code


def test_what_comes_again_is_admitted_and_recorded_alike_without_asking_the_policies(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(account, monkeypatch)
    first, again = gateway.decide(), gateway.decide()
    assert gateway.asked == 1
    assert opened(first) == opened(again)
    assert isinstance(first, Admitted)
    assert isinstance(again, Admitted)
    assert first._replace(call=again.call) == again
    assert '"decision":{"checks":[{"outcome":"allowed"' in opened(again).body


def test_tunnels_of_one_way_have_what_was_asked_for_once(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(account, monkeypatch)
    first, again = (
        gateway.decide(source_ip=f"192.0.2.{last}", user_agent=f"aws-cli/2.{last}") for last in (7, 7)
    )
    assert isinstance(first, Admitted)
    assert isinstance(again, Admitted)
    assert again.request is first.request
    assert again.call.source.source_ip is first.call.source.source_ip
    assert again.call.source.user_agent is first.call.source.user_agent


@pytest.mark.parametrize(
    "other",
    [
        {"source_ip": "192.0.2.8"},
        {"user_agent": "aws-cli/2.37"},
        {"remotePort": 2222},
        {"maxTunnelDuration": 60},
        {"privateIpAddress": "127.0.0.1"},
        {"user": "bob"},
    ],
)
def test_the_policies_are_asked_about_whatever_is_not_the_same(
    other: dict[str, Any], account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.user("bob", allow())
    gateway = Gateway(account, monkeypatch)
    gateway.decide()
    gateway.decide(**other)
    assert gateway.asked == 2


def test_a_policy_that_has_changed_refuses_at_once_what_was_allowed(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(account, monkeypatch)
    opened(gateway.decide())
    with account.store.write() as tx:
        put_policy(tx, "alice", allow({"NumericEquals": {"ec2-instance-connect:remotePort": "23"}}))
    gateway.follow()
    assert code(gateway.decide()) == "AccessDeniedException"


def test_tags_that_have_changed_refuse_at_once_what_was_allowed(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    with account.store.write() as tx:
        put_policy(tx, "alice", allow({"StringEquals": {"aws:ResourceTag/env": "test"}}))
        tx.instances.put(replace(instance(), tags={"env": "test"}))
        row = tx.endpoints.get(ENDPOINT)
        assert row is not None
        tx.endpoints.put(replace(row, tags={"env": "test"}))
    gateway = Gateway(account, monkeypatch)
    opened(gateway.decide())
    with account.store.write() as tx:
        tx.instances.put(replace(instance(), tags={"env": "production"}))
    gateway.follow()
    assert code(gateway.decide()) == "AccessDeniedException"


def test_a_security_group_that_has_changed_blocks_at_once_what_it_let_through(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(account, monkeypatch)
    assert [reached(gateway.decide()) for _ in range(2)] == [None, None]
    nothing = security_group(OPEN_GROUP)
    for changed in (nothing, replace(nothing, egress=(Rule("-1", 0, 65535, "0.0.0.0/0"),))):
        with account.store.write() as tx:
            tx.security_groups.put(changed)
        gateway.follow()
        assert "gress rule of sg-open allows" in str(reached(gateway.decide()))


def test_a_host_that_has_stopped_is_unreachable_at_once(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(account, monkeypatch)
    assert reached(gateway.decide()) is None
    with account.store.write() as tx:
        tx.instances.put(replace(instance(), state=InstanceState.STOPPED))
    gateway.follow()
    assert reached(gateway.decide()) == f"{instance().id} is stopped"


def test_an_address_of_an_interface_that_has_changed_counts_at_once(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = Rule("-1", 0, 65535, f"{INTERFACE_ADDRESS}/32")
    with account.store.write() as tx:
        tx.security_groups.put(
            security_group(OPEN_GROUP, ingress=(only,), egress=(Rule("-1", 0, 65535, "0.0.0.0/0"),))
        )
    gateway = Gateway(account, monkeypatch)
    assert reached(gateway.decide()) is None
    with account.store.write() as tx:
        interface = tx.network_interfaces.get("eni-1")
        assert interface is not None
        tx.network_interfaces.put(replace(interface, private_ip="10.0.1.251"))
    gateway.follow()
    assert "no ingress rule" in str(reached(gateway.decide()))


def test_a_vpc_that_has_other_ranges_counts_at_once(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(account, monkeypatch)
    assert reached(gateway.decide()) is None
    with account.store.write() as tx:
        vpc = tx.vpcs.get(VPC)
        assert vpc is not None
        tx.vpcs.put(replace(vpc, cidrs=("10.9.0.0/16",)))
    gateway.follow()
    assert reached(gateway.decide()) == "10.0.1.1 is not in the endpoint's VPC"


def test_a_port_where_gateways_are_drained_is_asked_about_each_time(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Own()
    gateway = Gateway(account, monkeypatch, own, drain_ports=(22,))
    assert reached(gateway.decide()) is None
    own._addresses = frozenset(Own("10.0.1.1")._addresses)
    assert "where gateways are drained" in str(reached(gateway.decide()))
    assert gateway.asked == 1


def test_a_key_that_is_no_longer_good_opens_nothing_that_it_opened_before(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(account, monkeypatch)
    opened(gateway.decide())
    with account.store.write() as tx:
        tx.access_keys.put(replace(account.keys["alice"].key, status=KeyStatus.INACTIVE))
    gateway.follow()
    assert code(gateway.decide()) == "InvalidClientTokenId"


def test_temporary_credentials_open_nothing_after_they_have_expired(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.role("work", allow())
    account.session("work", lasts=600)
    gateway = Gateway(account, monkeypatch)
    opened(gateway.decide("work"))
    assert code(gateway.decide("work", now=datetime.now(UTC) + timedelta(seconds=601))) == "ExpiredToken"


def test_a_host_that_comes_off_limits_is_unreachable_although_the_way_is_remembered(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Own()
    gateway = Gateway(account, monkeypatch, own)
    first = gateway.decide(privateIpAddress="10.0.1.9")
    own._addresses = frozenset(Own("10.0.1.9")._addresses)
    again = gateway.decide(privateIpAddress="10.0.1.9")
    assert isinstance(first, Admitted)
    assert isinstance(again, Admitted)
    assert gateway.asked == 1
    assert (first.unreachable, '"network":"10.0.1.9 is' in opened(again).body) == (None, True)


def test_a_host_that_registered_itself_comes_off_limits_although_the_way_is_remembered(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    with account.store.write() as tx:
        tx.instances.put(replace(instance("10.0.1.9"), registered_itself=True))
    own = Own()
    gateway = Gateway(account, monkeypatch, own)
    assert reached(gateway.decide(privateIpAddress="10.0.1.9")) is None
    own._addresses = frozenset(Own("10.0.1.9")._addresses)
    assert "registered itself" in str(reached(gateway.decide(privateIpAddress="10.0.1.9")))
    assert gateway.asked == 1


@pytest.mark.parametrize(
    "condition",
    [
        {"DateLessThan": {"aws:CurrentTime": "{until}"}},
        {"NumericLessThan": {"AWS:EpochTime": "{epoch}"}},
        {"DateLessThan": {"aws:PrincipalTag/until": "${{aws:CurrentTime}}"}},
    ],
)
def test_what_a_policy_lets_depend_on_the_time_is_decided_each_time(
    condition: Any, account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=30)
    values = {"until": until.isoformat(timespec="seconds"), "epoch": str(int(until.timestamp()))}
    filled = {
        operator: {key: text.format(**values) for key, text in keys.items()}
        for operator, keys in condition.items()
    }
    deny = {"Effect": "Deny", "Action": "ec2-instance-connect:*", "Resource": "*"}
    with account.store.write() as tx:
        # Whatever the condition says, it asks for the time.
        asking = {**deny, "Condition": {**filled, "StringEquals": {"aws:username": "nobody"}}}
        put_policy(tx, "alice", {"Version": "2012-10-17", "Statement": [asking]}, "asks")
    gateway = Gateway(account, monkeypatch)
    gateway.decide()
    gateway.decide()
    assert gateway.asked == 2


def test_a_tunnel_that_was_allowed_until_a_moment_is_refused_after_it(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=30)
    with account.store.write() as tx:
        put_policy(tx, "alice", allow({"DateLessThan": {"aws:CurrentTime": f"{until:%Y-%m-%dT%H:%M:%SZ}"}}))
    gateway = Gateway(account, monkeypatch)
    opened(gateway.decide())
    assert code(gateway.decide(now=until + timedelta(seconds=1))) == "AccessDeniedException"


def test_what_was_refused_is_decided_each_time(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(account, monkeypatch)
    port = {"NumericEquals": {"ec2-instance-connect:remotePort": "23"}}
    with account.store.write() as tx:
        put_policy(tx, "alice", allow(port))
    gateway.follow()
    for _ in range(2):
        assert code(gateway.decide()) == "AccessDeniedException"
    assert gateway.asked == 2


def test_no_more_decisions_are_kept_than_there_may_be_and_the_oldest_goes_first() -> None:
    cache = DecisionCache(most=2)
    for number in range(3):
        cache.put(cached(number), STATE)
    assert len(cache) == 2
    assert cache.revalidate(asked(0), INPUTS, STATE) is None
    assert cache.get(asked(0), STATE) is None
    assert cache.revalidate(asked(2), INPUTS, STATE) is not None


def test_a_decision_of_other_inputs_is_forgotten() -> None:
    cache = DecisionCache()
    cache.put(cached(0), STATE)
    assert cache.revalidate(asked(0), INPUTS._replace(instance=instance()), STATE) is None
    cache.put(cached(0), STATE)
    assert cache.revalidate(asked(0), INPUTS._replace(between=(_Anything(),)), STATE) is None
    assert not len(cache)
    assert cache.get(asked(0), STATE) is None


def test_a_decision_is_found_without_its_inputs_in_the_state_in_which_they_were_looked_at() -> None:
    cache = DecisionCache()
    cache.put(cached(0), STATE)
    assert cache.get(asked(0), STATE) is not None
    assert cache.get(asked(1), STATE) is None
    another = object()
    assert cache.get(asked(0), another) is None
    assert cache.revalidate(asked(0), INPUTS, another) is not None
    assert cache.get(asked(0), another) is not None
    assert cache.get(asked(0), STATE) is None


def test_a_decision_of_many_words_is_not_kept() -> None:
    cache = DecisionCache()
    assert not cache.put(cached(0)._replace(decision="x" * (LARGEST + 1)), STATE)
    assert not len(cache)


def asked(number: int) -> CacheKey:
    return CacheKey(f"AKIA{number}", "192.0.2.7", "", TunnelRequest(ENDPOINT, "10.0.1.1", 22, 3600))


class _Anything:
    """Of an input only that it is this one counts."""


INPUTS = DecisionInputs(*(_Anything() for _ in range(4)))  # type: ignore[arg-type]


def cached(number: int) -> CachedDecision:
    return CachedDecision(asked(number), INPUTS, {}, (), "{}", (), {})
