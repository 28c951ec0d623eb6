"""Where a gateway lets no tunnel lead, and whose endpoints it serves: own machines, overlapping networks."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.gateway.account import (
    ENDPOINT,
    GATEWAY_KEY,
    OPEN_GROUP,
    THEN,
    VPC,
    Own,
    StoredAccount,
    allow,
    endpoint,
    instance,
    new_admission,
    security_group,
    stored_account,
)
from tests.gateway.admission.test_admission import Carries, admitted, refusal

from hatchway.domain.account import ApiAddress
from hatchway.domain.addresses import parse_address
from hatchway.domain.network import InstanceState, Rule, Vpc
from hatchway.gateway.admission.decision import Admitted, Deferred, Refused
from hatchway.gateway.admission.network import Flow, network_problem
from hatchway.gateway.admission.off_limits import OffLimits
from hatchway.gateway.admission.served import Served
from hatchway.gateway.snapshot.snapshot import Snapshot

OTHER_VPC, OTHER_ENDPOINT = "vpc-2", "eice-0123456789abcdef1"
GATEWAY = Own("10.0.1.254", "fd00::fe", "198.51.100.9")


@pytest.fixture
def account() -> Iterator[StoredAccount]:
    with stored_account() as made:
        made.user("alice", allow(resource="*"))
        yield made


def snapshot_of(account: StoredAccount) -> Snapshot:
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    return snapshot


def ask(
    account: StoredAccount,
    *,
    vpcs: tuple[str, ...] = (),
    endpoints: tuple[str, ...] = (),
    own: Own = GATEWAY,
    drain_ports: Collection[int] = (),
    **asked: Any,
) -> Admitted | Refused | Deferred:
    snapshot = snapshot_of(account)
    admission = new_admission(
        snapshot, Carries(0), vpcs=vpcs, endpoints=endpoints, own=own, drain_ports=drain_ports
    )
    return admission.decide(
        account.head("alice", **asked),
        source_ip="192.0.2.7",
        request_id="request-1",
        tunnel_id="tun-1",
        now=datetime.now(UTC),
    )


def unreachable(account: StoredAccount, address: str, **options: Any) -> str | None:
    answer = admitted(ask(account, privateIpAddress=address, **options))
    assert answer.additional.get("network") == answer.unreachable
    return answer.unreachable


# Machines of Hatchway's own


@pytest.mark.parametrize("address", ["10.0.1.254", "::ffff:10.0.1.254"])
def test_no_tunnel_leads_to_where_gateways_are_drained_though_their_machine_is_registered(
    account: StoredAccount, address: str
) -> None:
    with account.store.write() as tx:
        tx.instances.put(instance("10.0.1.254"))
        tx.instances.put(instance("10.0.1.7"))

    def found(address: str, port: int) -> str | None:
        answer = ask(account, privateIpAddress=address, remotePort=port, drain_ports={9464, 9465})
        return admitted(answer).unreachable

    assert "where gateways are drained" in (found(address, 9465) or "")
    # Its other ports, and the same one elsewhere, are like any.
    assert "drained" not in (found(address, 22) or "")
    assert "drained" not in (found("10.0.1.7", 9465) or "")


@pytest.mark.parametrize(
    "address", ["10.0.1.254", "fd00::fe", "FD00:0:0::00fe", "::ffff:10.0.1.254", "::ffff:a00:1fe"]
)
def test_the_gateways_own_machine_is_no_target_until_an_instance_is_registered_there(
    account: StoredAccount, address: str
) -> None:
    found = unreachable(account, address)
    assert found is not None
    assert "the gateway's own machine" in found
    with account.store.write() as tx:
        tx.instances.put(instance("10.0.1.254", ipv6="fd00::fe"))
    assert unreachable(account, address) is None


@pytest.mark.parametrize("address", ["10.0.1.254", "10.0.2.9", "10.0.1.5", "10.0.1.77", "fd00::fe"])
def test_a_host_that_registered_itself_opens_no_address_that_is_off_limits(
    account: StoredAccount, address: str
) -> None:
    host = instance(*((None,) if ":" in address else (address,)), ipv6=address if ":" in address else None)
    with account.store.write() as tx:
        tx.vpcs.put(Vpc(id=VPC, name="office", cidrs=("10.0.0.0/16", "fd00::/64")))
        tx.api_addresses.put(ApiAddress(address="10.0.1.77", seen_at=THEN))
        tx.instances.put(replace(host, registered_itself=True))
    snapshot = snapshot_of(account)
    named, ranges = frozenset([parse_address("10.0.1.5")]), ["10.0.2.0/24"]
    off_limits = OffLimits(GATEWAY, snapshot, named=named, ranges=ranges)

    def found() -> str | None:
        kept = snapshot.endpoint(ENDPOINT)
        at = parse_address(address)
        assert kept is not None
        flow = Flow(kept, snapshot.instance_at(VPC, address), at, 22, parse_address("192.0.2.7"))
        return network_problem(snapshot, Served((), ()), off_limits, flow)

    assert str(found()).endswith(f"unless an instance is registered there, and {host.id} registered itself")
    with account.store.write() as tx:
        tx.instances.put(host)
    snapshot.apply(account.store.changes(snapshot.position))
    assert "registered" not in str(found())


def test_a_host_that_registered_itself_elsewhere_is_a_target_until_gateways_keep_away_from_there(
    account: StoredAccount,
) -> None:
    with account.store.write() as tx:
        tx.instances.put(replace(instance("10.0.1.77"), registered_itself=True))
    opened = admitted(ask(account, privateIpAddress="10.0.1.77"))
    assert opened.unreachable is None
    assert ("addresses", "10.0.1.77") in opened.dependencies
    with account.store.write() as tx:
        tx.api_addresses.put(ApiAddress(address="10.0.1.77", seen_at=THEN))
    admission = new_admission(snapshot_of(account), Carries(0), own=GATEWAY)
    revoked = admission.reevaluate(opened, datetime.now(UTC)).revoked
    assert "a machine of the API" in str(revoked)


def test_a_registered_machine_is_let_in_by_its_own_rules_alone(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.instances.put(instance("10.0.1.254", groups=()))
    assert "no ingress rule" in (unreachable(account, "10.0.1.254") or "")
    with account.store.write() as tx:
        tx.instances.put(replace(instance("10.0.1.254"), state=InstanceState.STOPPED))
    assert "stopped" in (unreachable(account, "10.0.1.254") or "")


def test_an_instance_of_another_vpc_makes_the_gateways_machine_no_target(account: StoredAccount) -> None:
    with account.store.write() as tx:
        tx.vpcs.put(Vpc(id=OTHER_VPC, name="lab", cidrs=("10.0.0.0/16",), separate_network=True))
        tx.instances.put(replace(instance("10.0.1.254"), vpc_id=OTHER_VPC))
    assert "the gateway's own machine" in (unreachable(account, "10.0.1.254") or "")


def test_a_machine_of_the_api_is_no_target(account: StoredAccount) -> None:
    assert unreachable(account, "10.0.1.77") is None
    with account.store.write() as tx:
        tx.api_addresses.put(ApiAddress(address="10.0.1.77", seen_at=THEN))
    assert "a machine of the API" in (unreachable(account, "10.0.1.77") or "")


def test_the_store_and_other_places_are_off_limits_by_name_and_by_range(account: StoredAccount) -> None:
    named = frozenset(map(parse_address, ["10.0.1.5", "fd00::5"]))
    off_limits = OffLimits(Own(), snapshot_of(account), named=named, ranges=["10.0.2.0/24"])
    for address in ("10.0.1.5", "fd00::5", "10.0.2.9"):
        assert off_limits.problem(parse_address(address)) is not None
    for address in ("10.0.1.6", "fd00::6", "10.0.3.9"):
        assert off_limits.problem(parse_address(address)) is None


@pytest.mark.parametrize(
    "address", ["64:ff9b::198.51.100.9", "2002:c633:6409::1", "::198.51.100.9", "::ffff:0:198.51.100.9"]
)
def test_an_address_that_stands_for_the_gateways_is_no_target(account: StoredAccount, address: str) -> None:
    with account.store.write() as tx:
        tx.vpcs.put(Vpc(id=VPC, name="office", cidrs=("::/0",)))
    found = unreachable(account, address)
    assert found is not None
    assert "stands for 198.51.100.9" in found


def test_a_tunnel_is_cut_when_its_target_becomes_a_machine_of_the_api(account: StoredAccount) -> None:
    snapshot = snapshot_of(account)
    admission = new_admission(snapshot, Carries(0), own=GATEWAY)
    opened = admitted(ask(account, privateIpAddress="10.0.1.77"))
    assert ("addresses", "10.0.1.77") in opened.dependencies
    with account.store.write() as tx:
        tx.api_addresses.put(ApiAddress(address="10.0.1.77", seen_at=THEN))
    snapshot.apply(account.store.changes(snapshot.position))
    revoked = admission.reevaluate(opened, datetime.now(UTC)).revoked
    assert revoked is not None
    assert "a machine of the API" in revoked["reason"]


# Networks


@pytest.fixture
def overlapping(account: StoredAccount) -> StoredAccount:
    """A second VPC with the same range and an endpoint of its own; a host is registered in the first one."""
    with account.store.write() as tx:
        tx.vpcs.put(Vpc(id=OTHER_VPC, name="lab", cidrs=("10.0.0.0/16",)))
        tx.security_groups.put(security_group("sg-shut"))
        tx.instances.put(instance(groups=("sg-shut",)))
        tx.endpoints.put(endpoint(OTHER_ENDPOINT, vpc_id=OTHER_VPC))
    return account


def through_other(account: StoredAccount, **options: Any) -> Admitted | Refused | Deferred:
    return ask(account, instanceConnectEndpointId=OTHER_ENDPOINT, **options)


def test_a_host_is_not_reached_through_another_vpcs_endpoint(overlapping: StoredAccount) -> None:
    found = admitted(through_other(overlapping)).unreachable
    assert found is not None
    assert f"{instance().id} of {VPC}" in found
    assert admitted(through_other(overlapping, privateIpAddress="10.0.1.2")).unreachable is None


def test_a_target_is_judged_by_the_instance_of_the_endpoints_own_vpc(overlapping: StoredAccount) -> None:
    with overlapping.store.write() as tx:
        own = replace(instance(), id="i-other", vpc_id=OTHER_VPC)
        tx.instances.put(own)
    answer = admitted(through_other(overlapping))
    assert (answer.unreachable, answer.instance_id) == (None, "i-other")
    assert "no ingress rule of sg-shut" in (admitted(ask(overlapping)).unreachable or "")
    with overlapping.store.write() as tx:
        tx.security_groups.put(
            security_group("sg-22", ingress=(Rule("tcp", 22, 22, OPEN_GROUP),)),
        )
        tx.instances.put(replace(own, security_group_ids=("sg-22",)))
    assert admitted(through_other(overlapping)).unreachable is None
    assert "sg-22" in (admitted(through_other(overlapping, remotePort=23)).unreachable or "")


def test_a_tunnel_is_cut_when_its_target_becomes_a_host_of_another_vpc(overlapping: StoredAccount) -> None:
    snapshot = snapshot_of(overlapping)
    admission = new_admission(snapshot, Carries(0))
    opened = admitted(through_other(overlapping, privateIpAddress="10.0.1.2"))
    with overlapping.store.write() as tx:
        tx.instances.put(instance("10.0.1.2"))
    snapshot.apply(overlapping.store.changes(snapshot.position))
    revoked = admission.reevaluate(opened, datetime.now(UTC)).revoked
    assert revoked is not None
    assert VPC in revoked["reason"]


@pytest.mark.parametrize(
    ("bound", "separate", "served"),
    [
        ((), False, True),
        ((), True, False),
        (("lab",), True, True),
        ((OTHER_VPC,), True, True),
        (("lab",), False, True),
        (("office",), False, False),
        (("office", "lab"), True, True),
        (("nothing",), False, False),
    ],
)
def test_a_gateway_serves_the_vpcs_that_it_is_bound_to_or_all_that_are_no_separate_networks(
    overlapping: StoredAccount, bound: tuple[str, ...], separate: bool, served: bool
) -> None:
    with overlapping.store.write() as tx:
        tx.vpcs.put(
            Vpc(id=OTHER_VPC, name="lab", cidrs=("10.0.0.0/16",), separate_network=separate),
        )
    answer = through_other(overlapping, vpcs=bound, privateIpAddress="10.0.1.2")
    if served:
        admitted(answer)
        return
    assert refusal(answer) == (404, "ResourceNotFoundException")
    assert isinstance(answer, Refused)
    assert "not one that this gateway serves" in answer.refusal.message
    assert answer.additional["network"] == (
        f"this gateway does not serve {OTHER_ENDPOINT}, which is in {OTHER_VPC}"
    )


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(
    ("bound", "served"),
    [
        ({"endpoints": (ENDPOINT,)}, (True, False)),
        ({"endpoints": (OTHER_ENDPOINT,)}, (False, True)),
        ({"endpoints": ("other",)}, (False, True)),
        ({"vpcs": ("office",), "endpoints": ("other",)}, (True, True)),
        ({"endpoints": ("nothing",)}, (False, False)),
    ],
)
def test_a_gateway_that_is_bound_to_endpoints_serves_them_and_those_of_its_vpcs(
    overlapping: StoredAccount, bound: dict[str, Any], served: tuple[bool, bool], separate: bool
) -> None:
    with overlapping.store.write() as tx:
        (other,) = tx.endpoints.find(id=OTHER_ENDPOINT)
        tx.endpoints.put(replace(other, name="other"))
        tx.vpcs.put(Vpc(id=OTHER_VPC, name="lab", cidrs=("10.0.0.0/16",), separate_network=separate))
    answers = [through(overlapping, **bound, privateIpAddress="10.0.1.2") for through in (ask, through_other)]
    assert tuple(isinstance(answer, Admitted) for answer in answers) == served
    for answer in answers:
        assert isinstance(answer, Admitted) or refusal(answer) == (404, "ResourceNotFoundException")


def test_which_of_two_networks_with_the_same_addresses_is_meant_its_gateway_says(
    overlapping: StoredAccount,
) -> None:
    """The host of the other network at the same address is in the way of the one that serves both alone."""
    assert admitted(through_other(overlapping, endpoints=(OTHER_ENDPOINT,))).unreachable is None
    both = admitted(through_other(overlapping, endpoints=(ENDPOINT, OTHER_ENDPOINT)))
    assert f"{instance().id} of {VPC}" in (both.unreachable or "")


def test_hosts_of_a_network_that_a_gateway_does_not_serve_are_not_in_its_way(
    overlapping: StoredAccount,
) -> None:
    assert admitted(through_other(overlapping, vpcs=("lab",))).unreachable is None


def test_who_may_not_use_an_endpoint_does_not_learn_whether_it_is_served(overlapping: StoredAccount) -> None:
    overlapping.user("bob", allow(resource="arn:aws:ec2:::subnet/none"))
    answer = new_admission(snapshot_of(overlapping), Carries(0), vpcs=("office",)).decide(
        overlapping.head("bob", instanceConnectEndpointId=OTHER_ENDPOINT),
        source_ip="192.0.2.7",
        request_id="r",
        tunnel_id="t",
        now=datetime.now(UTC),
    )
    assert refusal(answer) == (403, "AccessDeniedException")


def test_a_tunnel_is_cut_when_its_vpc_becomes_a_network_of_its_own(account: StoredAccount) -> None:
    snapshot = snapshot_of(account)
    admission = new_admission(snapshot, Carries(0))
    opened = admitted(ask(account))
    with account.store.write() as tx:
        (vpc,) = tx.vpcs.find(id=VPC)
        tx.vpcs.put(replace(vpc, separate_network=True))
    snapshot.apply(account.store.changes(snapshot.position))
    revoked = admission.reevaluate(opened, datetime.now(UTC)).revoked
    assert revoked == {"reason": f"this gateway does not serve {ENDPOINT}, which is in {VPC}"}
