"""Who gets a tunnel: signatures, policies, tags, security groups, addresses, quotas."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.access.carried_keys import contradictions
from tests.gateway.account import (
    ACCOUNT,
    ELSEWHERE,
    ENDPOINT,
    ENDPOINT_ARN,
    GATEWAY_KEY,
    INTERFACE_ADDRESS,
    OPEN_GROUP,
    USER_ARN,
    StoredAccount,
    allow,
    endpoint,
    head,
    instance,
    new_admission,
    put_policy,
    security_group,
    stored_account,
)

from hatchway.access import authorization
from hatchway.audit.events import Outcome
from hatchway.domain.account import Quotas
from hatchway.domain.endpoint import EndpointState
from hatchway.domain.identity import KeyStatus
from hatchway.domain.network import InstanceState, Rule
from hatchway.gateway.admission.admission import NO_SIGNING_KEY, Admission
from hatchway.gateway.admission.decision import Admitted, Deferred, Refused
from hatchway.gateway.admission.decision_time import BURST, SHARE, DecisionTime
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.gateway.tunnel.registry import Registry
from hatchway.iam import Decision, PolicySet, Request, evaluate
from hatchway.keys.access_keys import create_access_key
from hatchway.transport.websocket.handshake import Head

SSH_ONLY = {"NumericEquals": {"ec2-instance-connect:remotePort": "22"}}


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        yield made


@dataclass
class Carries:
    """So many tunnels on any endpoint, of any principal, and in all."""

    tunnels: int

    def __len__(self) -> int:
        return self.tunnels

    def on_endpoint(self, endpoint_id: str) -> int:
        return self.tunnels

    def of_principal(self, maker_id: str) -> int:
        return self.tunnels


def admission(account: StoredAccount, carried: int = 0, max_tunnels: int | None = None) -> Admission:
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    return new_admission(snapshot, Carries(carried), max_tunnels)


def decide(
    account: StoredAccount,
    asked: Head,
    *,
    source_ip: str = "192.0.2.7",
    carried: int = 0,
    max_tunnels: int | None = None,
    now: datetime | None = None,
) -> Admitted | Refused | Deferred:
    return admission(account, carried, max_tunnels).decide(
        asked,
        source_ip=source_ip,
        request_id="request-1",
        tunnel_id="tun-1",
        now=now or datetime.now(UTC),
    )


def refusal(answer: Admitted | Refused | Deferred) -> tuple[int, str]:
    assert isinstance(answer, Refused)
    return answer.refusal.status.value, answer.refusal.error_code


def admitted(answer: Admitted | Refused | Deferred) -> Admitted:
    assert isinstance(answer, Admitted), answer
    return answer


# Policies


def test_an_allowed_user_gets_a_tunnel(account: StoredAccount) -> None:
    account.user("alice", allow())
    answer = admitted(decide(account, account.head("alice", maxTunnelDuration=600)))
    assert str(answer.address) == "10.0.1.1"
    assert answer.request.remote_port == 22
    assert answer.request.max_duration == 600
    assert answer.principal.arn == USER_ARN
    assert answer.instance_id == instance().id
    assert answer.quota == 20
    assert answer.unreachable is None


def test_a_user_of_whom_a_policy_cannot_be_read_is_refused_and_the_record_says_why(
    account: StoredAccount,
) -> None:
    account.user("alice", allow())
    with account.store.write() as tx:
        put_policy(tx, "alice", {**allow(), "Owner": "nobody"}, name="guard")
    answer = decide(account, account.head("alice"))
    assert refusal(answer) == (403, "AccessDeniedException")
    assert isinstance(answer, Refused)
    assert "guard (cannot be read: Owner: " in str(answer.additional)
    assert "cannot be read" not in answer.refusal.message


def test_a_user_whose_policies_are_about_something_else_is_refused_in_the_words_of_aws(
    account: StoredAccount,
) -> None:
    account.user("alice", ELSEWHERE)
    answer = decide(account, account.head("alice"))
    assert refusal(answer) == (403, "AccessDeniedException")
    assert isinstance(answer, Refused)
    assert answer.refusal.message == (
        f"User: {USER_ARN} is not authorized to perform: ec2-instance-connect:OpenTunnel on resource: "
        f"{ENDPOINT_ARN} because no identity-based policy allows the ec2-instance-connect:OpenTunnel action"
    )


CASES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (SSH_ONLY, {}, True),
    (SSH_ONLY, {"remotePort": 23}, False),
    ({"IpAddress": {"ec2-instance-connect:privateIpAddress": "10.0.1.0/31"}}, {}, True),
    (
        {"IpAddress": {"ec2-instance-connect:privateIpAddress": "10.0.1.0/31"}},
        {"privateIpAddress": "10.0.1.2"},
        False,
    ),
    (
        {"IpAddress": {"ec2-instance-connect:privateIpAddress": "10.0.1.0/31"}},
        {"privateIpAddress": "::ffff:10.0.1.1"},
        True,
    ),
    ({"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": "600"}}, {}, False),
    (
        {"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": "600"}},
        {"maxTunnelDuration": 601},
        False,
    ),
    (
        {"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": "600"}},
        {"maxTunnelDuration": 600},
        True,
    ),
    ({"NumericLessThanEquals": {"ec2-instance-connect:maxTunnelDuration": "3600"}}, {}, True),
    ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, {}, True),
    ({"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, {}, False),
    ({"StringLike": {"aws:UserAgent": "aws-cli/*"}}, {}, True),
    ({"Bool": {"aws:SecureTransport": "true"}}, {}, True),
]


@pytest.mark.parametrize(("condition", "asked", "expected"), CASES)
def test_a_condition_on_the_tunnel_holds_or_refuses(
    account: StoredAccount, condition: dict[str, Any], asked: dict[str, Any], expected: bool
) -> None:
    account.user("alice", allow(condition))
    answer = decide(account, account.head("alice", **asked))
    if expected:
        admitted(answer)
    else:
        assert refusal(answer) == (403, "AccessDeniedException")


def test_another_endpoint_is_refused_before_anyone_learns_whether_it_exists(account: StoredAccount) -> None:
    account.user("alice", allow())
    asked = account.head("alice", instanceConnectEndpointId="eice-other")
    assert refusal(decide(account, asked)) == (403, "AccessDeniedException")


def test_an_endpoint_that_one_may_use_but_that_is_not_there_is_404(account: StoredAccount) -> None:
    account.user("alice", allow(resource="*"))
    asked = account.head("alice", instanceConnectEndpointId="eice-other")
    answer = decide(account, asked)
    assert refusal(answer) == (404, "ResourceNotFoundException")
    # It may just have been made. Who may not use it learns of none, not by the time either.
    assert isinstance(answer, Refused) and answer.perhaps_too_new
    account.user("alice", allow())
    denied = decide(account, asked)
    assert isinstance(denied, Refused) and not denied.perhaps_too_new


@pytest.mark.parametrize(
    "state",
    [EndpointState.CREATE_IN_PROGRESS, EndpointState.DELETE_IN_PROGRESS, EndpointState.DELETE_COMPLETE],
)
def test_an_endpoint_that_is_not_ready_is_404(account: StoredAccount, state: EndpointState) -> None:
    account.user("alice", allow())
    with account.store.write() as tx:
        tx.endpoints.put(endpoint(state=state))
    assert refusal(decide(account, account.head("alice"))) == (404, "ResourceNotFoundException")


@pytest.mark.parametrize(
    ("on_endpoint", "on_instance", "expected"),
    [
        ("dev", None, True),
        (None, "dev", True),
        ("dev", "prod", False),
        ("prod", "dev", False),
        (None, None, False),
    ],
)
def test_tags_of_endpoint_and_instance_must_both_allow(
    account: StoredAccount, on_endpoint: str | None, on_instance: str | None, expected: bool
) -> None:
    account.user("alice", allow({"StringEquals": {"aws:ResourceTag/env": "dev"}}))
    with account.store.write() as tx:
        tx.endpoints.put(endpoint(tags={"env": on_endpoint} if on_endpoint else {}))
        tx.instances.put(replace(instance(), tags={"env": on_instance} if on_instance else {}))
    answer = decide(account, account.head("alice"))
    assert isinstance(answer, Admitted) is expected


@pytest.mark.parametrize("twice", ["endpoint", "instance"])
def test_tags_that_differ_by_case_alone_refuse_and_the_record_says_so(
    account: StoredAccount, twice: str
) -> None:
    account.user("alice", allow())
    opened = admitted(decide(account, account.head("alice")))
    tags = {"env": "dev", "Env": "prod"}
    with account.store.write() as tx:
        tx.endpoints.put(endpoint(tags=tags if twice == "endpoint" else {}))
        tx.instances.put(replace(instance(), tags=tags if twice == "instance" else {}))
    answer = decide(account, account.head("alice"))
    assert refusal(answer) == (403, "AccessDeniedException")
    assert isinstance(answer, Refused)
    (check,) = answer.additional["decision"]["checks"]
    assert check["outcome"] == "implicitDeny"
    assert check["ambiguousKeys"] == ["aws:ResourceTag/env", "aws:ResourceTag/Env"]
    reevaluation = admission(account).reevaluate(opened, datetime.now(UTC))
    assert reevaluation.revoked is not None
    assert reevaluation.revoked["decision"]["checks"] == [check]


# Signatures


def test_a_wrong_signature_is_403(account: StoredAccount) -> None:
    account.user("alice", allow())
    asked = head(account.target("alice").replace("remotePort=22", "remotePort=23"))
    assert refusal(decide(account, asked)) == (403, "SignatureDoesNotMatch")


def test_an_unknown_key_is_403(account: StoredAccount) -> None:
    key = account.user("alice", allow())
    asked = head(account.target("alice").replace(key.key.id, "AKIAINVENTED"))
    answer = decide(account, asked)
    assert refusal(answer) == (403, "InvalidClientTokenId")
    assert isinstance(answer, Refused)
    event = answer.call.event("OpenTunnel", "e", datetime.now(UTC), Outcome())
    assert event["userIdentity"] == {"type": "Unknown", "accessKeyId": "AKIAINVENTED"}


def test_the_root_user_and_who_can_open_no_tunnel_are_told_what_a_tunnel_takes(
    account: StoredAccount,
) -> None:
    with account.store.write() as tx:
        account.keys["root"] = create_access_key(
            tx, account.vault, user_name=None, now=datetime.now(UTC), random_bytes=os.urandom
        )
    account.user("bob")
    pushing = allow()
    pushing["Statement"][0]["Action"] = "ec2-instance-connect:SendSSHPublicKey"
    account.user("carol", pushing)
    account.derive_keys()
    answers = [decide(account, account.head(name)) for name in ("root", "bob", "carol")]
    stranger = head(account.target("bob").replace(account.keys["bob"].key.id, "AKIAINVENTED"))
    answers.append(decide(account, stranger))
    told = set()
    for answer in answers:
        assert isinstance(answer, Refused)
        assert refusal(answer) == (403, "InvalidClientTokenId")
        told.add(answer.refusal.message)
    # One sentence for all: nobody learns which keys there are.
    (sentence,) = told
    assert "whose policies allow ec2-instance-connect:OpenTunnel; the root user's open none" in sentence
    # Of each there may be news that a gateway has not heard yet, as far as a stranger can tell by the time.
    assert all(isinstance(answer, Refused) and answer.perhaps_too_new for answer in answers)
    # The trail alone tells those that there are.
    reasons = [answer.additional.get("reason") for answer in answers if isinstance(answer, Refused)]
    assert reasons == [NO_SIGNING_KEY] * 3 + [None]


def test_a_key_is_good_as_soon_as_its_user_is_first_allowed_a_tunnel(account: StoredAccount) -> None:
    account.user("bob")
    assert refusal(decide(account, account.head("bob"))) == (403, "InvalidClientTokenId")
    with account.store.write() as tx:
        put_policy(tx, "bob", allow())
    account.derive_keys()
    assert isinstance(decide(account, account.head("bob")), Admitted)


@pytest.mark.parametrize(
    ("hour", "minute", "signed_minutes_ago"),
    [(0, 0, 5), (0, 4, 5), (0, 0, 0), (23, 59, -4), (23, 55, -5), (12, 0, 65 / 60)],
)
def test_a_clock_that_is_off_is_forgiven_about_midnight_too(
    account: StoredAccount, hour: int, minute: int, signed_minutes_ago: float
) -> None:
    account.user("alice", allow())
    now = datetime.now(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    account.derive_keys(now)
    asked = account.head("alice", now=now - timedelta(minutes=signed_minutes_ago))
    assert isinstance(decide(account, asked, now=now), Admitted)


def test_a_url_that_lives_for_days_is_good_to_the_end_of_the_day_after_its_own(
    account: StoredAccount,
) -> None:
    account.user("alice", allow())
    now = datetime.now(UTC)
    for days, admitted in ((0, True), (1, True), (2, False), (6, False)):
        later = now + timedelta(days=days)
        account.derive_keys(later)
        answer = decide(account, account.head("alice", now=now, expires=604_800), now=later)
        assert isinstance(answer, Admitted) is admitted
        if isinstance(answer, Refused):
            assert "gateways verify what was signed today or yesterday" in answer.refusal.message


def test_an_unsigned_request_is_403(account: StoredAccount) -> None:
    asked = head("/openTunnel?remotePort=22")
    assert refusal(decide(account, asked)) == (403, "MissingAuthenticationToken")


def test_an_expired_url_is_403(account: StoredAccount) -> None:
    account.user("alice", allow())
    now = datetime.now(UTC)
    asked = account.head("alice", now=now - timedelta(seconds=362), expires=60)
    assert refusal(decide(account, asked, now=now)) == (403, "RequestExpired")


def test_an_inactive_key_is_403(account: StoredAccount) -> None:
    key = account.user("alice", allow())
    with account.store.write() as tx:
        tx.access_keys.put(replace(key.key, status=KeyStatus.INACTIVE))
    assert refusal(decide(account, account.head("alice"))) == (403, "InvalidClientTokenId")


def test_a_bad_parameter_of_a_known_caller_is_400(account: StoredAccount) -> None:
    account.user("alice", allow())
    answer = decide(account, account.head("alice", remotePort="ssh"))
    assert refusal(answer) == (400, "InvalidParameter")


def test_a_bad_parameter_of_a_stranger_is_403(account: StoredAccount) -> None:
    asked = head("/openTunnel?remotePort=ssh")
    assert refusal(decide(account, asked)) == (403, "MissingAuthenticationToken")


# Quotas


def test_a_full_endpoint_is_429(account: StoredAccount) -> None:
    account.user("alice", allow())
    admitted(decide(account, account.head("alice"), carried=19))
    answer = decide(account, account.head("alice"), carried=20)
    assert refusal(answer) == (429, "ServiceQuotaExceededException")


def test_an_endpoints_own_quota_wins(account: StoredAccount) -> None:
    account.user("alice", allow())
    with account.store.write() as tx:
        tx.endpoints.put(endpoint(max_tunnels=200))
    admitted(decide(account, account.head("alice"), carried=150))


def test_a_principal_s_quota_counts_its_own_tunnels(account: StoredAccount) -> None:
    account.user("alice", allow())
    with account.store.write() as tx:
        tx.accounts.put(replace(tx.account(), quotas=Quotas(tunnels_per_principal=5)))
    admitted(decide(account, account.head("alice"), carried=4))
    answer = decide(account, account.head("alice"), carried=5)
    assert refusal(answer) == (429, "ServiceQuotaExceededException")
    assert isinstance(answer, Refused)
    assert answer.refusal.message == "Too many tunnels of this principal."


def test_an_account_may_let_tunnels_last_longer_and_policies_bound_that(account: StoredAccount) -> None:
    key = "ec2-instance-connect:maxTunnelDuration"
    account.user("alice", allow({"NumericLessThanEquals": {key: "20000"}}))
    asked = account.head("alice", maxTunnelDuration="20000")
    assert refusal(decide(account, asked)) == (400, "InvalidParameter")
    with account.store.write() as tx:
        tx.accounts.put(replace(tx.account(), quotas=Quotas(max_tunnel_duration=86_400)))
    assert admitted(decide(account, asked)).request.max_duration == 20_000
    assert admitted(decide(account, account.head("alice"))).request.max_duration == 3600
    longer = account.head("alice", maxTunnelDuration="20001")
    assert refusal(decide(account, longer)) == (403, "AccessDeniedException")


def test_a_worker_refuses_more_tunnels_than_it_may_carry(account: StoredAccount) -> None:
    account.user("alice", allow())
    admitted(decide(account, account.head("alice"), carried=1, max_tunnels=2))
    answer = decide(account, account.head("alice"), carried=2, max_tunnels=2)
    assert refusal(answer) == (429, "ServiceQuotaExceededException")
    assert isinstance(answer, Refused)
    assert answer.refusal.message == "Too many tunnels on this gateway."


# The network


def unreachable(account: StoredAccount, source_ip: str = "192.0.2.7", **asked: Any) -> str | None:
    if "alice" not in account.keys:
        account.user("alice", allow())
    return admitted(decide(account, account.head("alice", **asked), source_ip=source_ip)).unreachable


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("10.1.0.1", "not in the endpoint's VPC"),
        ("192.0.2.1", "not in the endpoint's VPC"),
        ("169.254.169.254", "not in the endpoint's VPC"),
        ("fe80::1", "not in the endpoint's VPC"),
        ("0.0.0.0", "not in the endpoint's VPC"),
        ("10.0.200.1", None),
        ("fd00::7", None),
        ("fd01::7", "not in the endpoint's VPC"),
    ],
)
def test_a_target_lies_in_the_endpoints_vpc(
    account: StoredAccount, address: str, problem: str | None
) -> None:
    found = unreachable(account, privateIpAddress=address)
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_an_egress_rule_must_let_the_connection_out(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.security_groups.put(security_group("sg-out", egress=(Rule("tcp", 22, 22, "10.0.1.0/24"),)))
        tx.endpoints.put(endpoint(security_group_ids=("sg-out",)))
    assert unreachable(account) is None
    assert unreachable(account, privateIpAddress="10.0.1.9") is None
    assert unreachable(account, remotePort=3389) == "no egress rule of sg-out allows 10.0.1.1 port 3389"
    assert unreachable(account, privateIpAddress="10.0.2.1") is not None


def test_an_egress_rule_may_name_the_targets_group(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.security_groups.put(security_group("sg-out", egress=(Rule("tcp", 22, 22, OPEN_GROUP),)))
        tx.endpoints.put(endpoint(security_group_ids=("sg-out",)))
    assert unreachable(account) is None
    # Nobody knows in which groups a host is that is not registered.
    assert unreachable(account, privateIpAddress="10.0.1.9") is not None


@pytest.mark.parametrize(
    ("peer", "preserve", "expected"),
    [
        (OPEN_GROUP, False, True),
        ("sg-other", False, False),
        (f"{INTERFACE_ADDRESS}/32", False, True),
        ("10.0.1.1/32", False, False),
        ("192.0.2.0/24", False, False),
        ("192.0.2.0/24", True, True),
        ("198.51.100.0/24", True, False),
        (f"{INTERFACE_ADDRESS}/32", True, False),
        (OPEN_GROUP, True, True),
    ],
)
def test_an_ingress_rule_must_let_the_source_in(
    account: StoredAccount, peer: str, preserve: bool, expected: bool
) -> None:
    with account.store.write() as tx:
        tx.security_groups.put(security_group("sg-in", ingress=(Rule("tcp", 22, 22, peer),)))
        tx.instances.put(instance(groups=("sg-in",)))
        tx.endpoints.put(endpoint(preserve_client_ip=preserve))
    found = unreachable(account)
    assert (found is None) is expected
    if found is not None:
        assert found == f"no ingress rule of sg-in allows {ENDPOINT} to port 22"


def test_an_ipv6_target_is_reached_from_the_ipv6_interface(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.security_groups.put(security_group("sg-in", ingress=(Rule("tcp", 22, 22, "fd00::250/128"),)))
        tx.instances.put(instance(None, ipv6="fd00::7", groups=("sg-in",)))
    assert unreachable(account, privateIpAddress="fd00::7") is None


def test_an_instance_without_a_group_is_not_reached(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.instances.put(instance(groups=()))
    assert unreachable(account) == f"no ingress rule of no security group allows {ENDPOINT} to port 22"


def test_a_stopped_instance_is_not_reached(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.instances.put(replace(instance(), state=InstanceState.STOPPED))
    found = unreachable(account)
    assert found is not None
    assert "stopped" in found


# The record


def test_the_event_is_what_the_client_asked(account: StoredAccount) -> None:
    account.user("alice", allow())
    answer = admitted(decide(account, account.head("alice", maxTunnelDuration=600)))
    event = answer.call.event("OpenTunnel", "event-1", datetime(2026, 11, 24, tzinfo=UTC), Outcome())
    assert event["userIdentity"]["type"] == "IAMUser"
    assert event["userIdentity"]["userName"] == "alice"
    assert event["eventSource"] == "ec2-instance-connect.amazonaws.com"
    assert event["sourceIPAddress"] == "192.0.2.7"
    assert event["userAgent"] == "aws-cli/2.36"
    assert event["requestParameters"] == {
        "instanceConnectEndpointId": ENDPOINT,
        "maxTunnelDuration": "600",
        "remotePort": "22",
        "privateIpAddress": "10.0.1.1",
    }
    assert event["requestID"] == "request-1"
    assert event["resources"][0]["ARN"] == ENDPOINT_ARN
    assert answer.additional["decision"]["checks"]


def test_a_change_of_policy_is_seen_by_a_snapshot_that_follows(account: StoredAccount) -> None:
    account.user("alice", allow())
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    admission = new_admission(snapshot, Carries(0))

    def ask() -> Admitted | Refused | Deferred:
        return admission.decide(
            account.head("alice"), source_ip="192.0.2.7", request_id="r", tunnel_id="t", now=datetime.now(UTC)
        )

    admitted(ask())
    with account.store.write() as tx:
        put_policy(tx, "alice", allow(resource=ENDPOINT_ARN + "x"))
    admitted(ask())
    snapshot.apply(account.store.changes(snapshot.position))
    assert refusal(ask()) == (403, "AccessDeniedException")


# Condition keys


def test_a_tunnel_s_requests_carry_what_the_table_of_global_keys_says(
    account: StoredAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Request] = []

    def noting(request: Request, policies: PolicySet) -> Decision:
        asked.append(request)
        return evaluate(request, policies)

    monkeypatch.setattr(authorization, "evaluate", noting)
    account.user("alice", allow())
    account.user("bob", allow())
    with account.store.write() as tx:
        tx.endpoints.put(replace(endpoint(), tags={"env": "dev"}))
        alice = tx.users.get("alice")
        assert alice is not None
        tx.users.put(replace(alice, tags={"team": "red"}))
    for name in ("alice", "bob"):
        admitted(decide(account, account.head(name)))

    assert contradictions([request.keys for request in asked]) == []
    assert {request.keys["aws:resourceaccount"] for request in asked} == {ACCOUNT}
    assert [request.keys.get("aws:principaltag/team") for request in asked] == ["red", None]


def test_the_deny_by_source_address_that_aws_gives_as_its_example_denies_tunnels(
    account: StoredAccount,
) -> None:
    deny = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {
            "NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]},
            "Bool": {"aws:ViaAWSService": "false"},
        },
    }
    document = allow()
    account.user("alice", {**document, "Statement": [*document["Statement"], deny]})
    admitted(decide(account, account.head("alice"), source_ip="192.0.2.7"))
    answer = decide(account, account.head("alice"), source_ip="198.51.100.7")
    assert refusal(answer)[1] == "AccessDeniedException"


def test_whose_policies_take_long_comes_later_with_all_its_sessions_and_others_do_not(
    account: StoredAccount,
) -> None:
    computed = [0.0]

    def taking(seconds: float) -> float:
        computed[0] += seconds
        return computed[0]

    snapshot = Snapshot(GATEWAY_KEY)
    account.user("alice", allow())
    account.user("mallory", allow())
    account.role("on-call", allow())
    account.session("on-call", made_by="AIDAMALLORY")
    snapshot.apply(account.store.changes())
    slow = new_admission(snapshot, Registry(), decision_time=DecisionTime(lambda: 0.0, lambda: taking(BURST)))

    def asks(user: str, address: str = "10.0.1.1") -> Admitted | Refused | Deferred:
        return slow.decide(
            account.head(user, privateIpAddress=address),
            source_ip="192.0.2.7",
            request_id="request-1",
            tunnel_id="tun-1",
            now=datetime.now(UTC),
        )

    assert isinstance(asks("mallory"), Admitted)
    assert isinstance(asks("mallory", "10.0.1.2"), Admitted)
    for user in ("mallory", "on-call"):
        later = asks(user, "10.0.1.3")
        assert isinstance(later, Deferred)
        assert later.seconds == pytest.approx(BURST / SHARE)
        assert refusal(later.refusal) == (429, "ThrottlingException")
        assert later.refusal.authenticated
    # What is decided already takes no time.
    assert isinstance(asks("mallory"), Admitted)
    assert isinstance(asks("alice"), Admitted)
