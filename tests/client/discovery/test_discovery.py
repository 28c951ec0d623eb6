"""From options to a plan: what is asked of the control plane, and what is not."""

from pathlib import Path
from typing import Any

import pytest
from tests.client.stubs import DNS_NAME, INSTANCE_ID, StubControlPlane

from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.discovery.discovery import TunnelOptions, gateway_port, plan_tunnel, push_key
from hatchway.client.errors import ApiError, ClientError, InvalidOption, NotConfigured, NotFound


@pytest.fixture
def profile(control_plane: StubControlPlane, aws_environment: Path) -> Profile:
    return Profile(
        ProfileOptions(
            region="us-east-1", endpoint_url=control_plane.url + "/", ca_bundle=control_plane.ca_bundle
        )
    )


def test_an_instance_is_reached_through_the_endpoint_in_its_subnet(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    plan = plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID, max_tunnel_duration=600))
    assert plan.request.endpoint_id == "eice-1"
    assert plan.request.private_ip_address == "10.0.1.1"
    assert plan.request.max_tunnel_duration == 600
    assert (plan.route.dns_name, plan.route.port) == (DNS_NAME, 8444)
    assert plan.region == "us-east-1"
    instances, endpoints = control_plane.calls
    assert instances["InstanceId.1"] == [INSTANCE_ID]
    assert endpoints["Filter.1.Name"] == ["state"]
    assert endpoints["Filter.1.Value.1"] == ["create-complete"]
    assert "Filter.2.Name" not in endpoints


def test_of_more_endpoints_than_a_page_holds_those_of_the_vpc_are_asked_for(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.more_endpoints = True
    assert plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID)).request.endpoint_id == "eice-1"
    first, second = control_plane.calls[1:]
    assert "Filter.2.Name" not in first
    assert (second["Filter.2.Name"], second["Filter.2.Value.1"]) == (["vpc-id"], ["vpc-1"])


def test_an_endpoint_of_another_vpc_is_none(profile: Profile, control_plane: StubControlPlane) -> None:
    control_plane.vpc_id = "vpc-2"
    with pytest.raises(NotFound, match="vpc-1, where i-0123456789abcdef0 is, has no endpoint"):
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID))


def test_without_an_endpoint_in_the_subnet_the_first_of_the_vpc_serves(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.endpoints = [("eice-2", "subnet-2"), ("eice-3", "subnet-3")]
    assert plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID)).request.endpoint_id == "eice-2"


@pytest.mark.parametrize(
    ("addresses", "kinds", "chosen"),
    [
        (("fd00::1",), {"eice-1": "ipv6"}, ("eice-1", "fd00::1")),
        # The one in the instance's subnet is eice-1; what it cannot reach another may.
        (("fd00::1",), {"eice-2": "ipv6"}, ("eice-2", "fd00::1")),
        (("fd00::1",), {"eice-2": "dualstack"}, ("eice-2", "fd00::1")),
        (("10.0.1.1",), {"eice-1": "ipv6"}, ("eice-2", "10.0.1.1")),
        (("10.0.1.1", "fd00::1"), {"eice-1": "ipv6"}, ("eice-1", "fd00::1")),
        (("10.0.1.1", "fd00::1"), {"eice-1": "dualstack"}, ("eice-1", "10.0.1.1")),
    ],
)
def test_an_endpoint_is_chosen_among_those_that_reach_the_address(
    profile: Profile,
    control_plane: StubControlPlane,
    addresses: tuple[str, ...],
    kinds: dict[str, str],
    chosen: tuple[str, str],
) -> None:
    control_plane.addresses, control_plane.kinds = addresses, kinds
    request = plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID)).request
    assert (request.endpoint_id, request.private_ip_address) == chosen


def test_an_address_that_no_endpoint_reaches_is_said(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.addresses = ("fd00::1",)
    with pytest.raises(NotFound, match=r"vpc-1 reaches .* at fd00::1: make one that is ipv6 or dualstack"):
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID))


def test_of_several_endpoints_one_whose_last_change_went_well_serves(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.endpoints = [("eice-2", "subnet-2"), ("eice-3", "subnet-3")]
    control_plane.states = {"eice-2": "update-failed"}
    assert plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID)).request.endpoint_id == "eice-3"


def test_a_named_endpoint_is_asked_for_the_address_that_it_reaches(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.addresses, control_plane.kinds = ("10.0.1.1", "fd00::1"), {"eice-2": "ipv6"}
    options = TunnelOptions(instance_id=INSTANCE_ID, instance_connect_endpoint_id="eice-2")
    assert plan_tunnel(profile, options).request.private_ip_address == "fd00::1"


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("INSTANCE_ID", "i-0123456789abcdef0/../key"),
        ("INSTANCE_ID", "i-1\n  ProxyCommand sh"),
        ("INSTANCE_ID", "-oProxyCommand=sh"),
        ("DNS_NAME", "-example.test"),
        ("DNS_NAME", "a.test/?x"),
        ("addresses", "10.0.1.1 x"),
        ("endpoints", "eice-1@example"),
    ],
)
def test_what_a_hostile_server_tells_in_the_place_of_an_id_an_address_or_a_name_is_nothing_to_go_by(
    profile: Profile,
    control_plane: StubControlPlane,
    monkeypatch: pytest.MonkeyPatch,
    *,
    what: str,
    told: str,
) -> None:
    if what.isupper():
        monkeypatch.setattr(f"tests.client.stubs.{what}", told)
    elif what == "addresses":
        control_plane.addresses = (told,)
    else:
        control_plane.endpoints = [(told, "subnet-1")]
    with pytest.raises(ApiError, match="the answer is not that of"):
        plan_tunnel(profile, TunnelOptions(host=INSTANCE_ID))


@pytest.mark.parametrize("member", ["instance_state", "vpc_id", "states"])
def test_members_in_the_place_of_a_text_are_nothing_to_go_by(
    profile: Profile, control_plane: StubControlPlane, member: str
) -> None:
    told = "<name>x</name>"
    setattr(control_plane, member, {"eice-1": told, "eice-2": told} if member == "states" else told)
    with pytest.raises(ApiError, match="the answer is not that of"):
        plan_tunnel(profile, TunnelOptions(host=INSTANCE_ID))


@pytest.mark.parametrize("state", ["stopped", "terminated"])
def test_an_instance_that_does_not_run_is_said_to_be_what_it_is(
    profile: Profile, control_plane: StubControlPlane, state: str
) -> None:
    control_plane.instance_state = state
    with pytest.raises(NotFound, match=f"{INSTANCE_ID} is {state}: it must be running"):
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID))
    assert control_plane.called() == ["DescribeInstances"]


def test_an_endpoint_that_was_named_is_the_one_that_serves(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    options = TunnelOptions(instance_id=INSTANCE_ID, instance_connect_endpoint_id="eice-2")
    assert plan_tunnel(profile, options).request.endpoint_id == "eice-2"


def test_with_address_and_endpoint_no_instance_is_asked_for(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    options = TunnelOptions(private_ip_address="10.0.1.9", instance_connect_endpoint_id="eice-1")
    assert plan_tunnel(profile, options).request.private_ip_address == "10.0.1.9"
    assert control_plane.called() == ["DescribeInstanceConnectEndpoints"]


def test_with_everything_given_nothing_is_asked(profile: Profile, control_plane: StubControlPlane) -> None:
    control_plane.document = b"not asked for"
    options = TunnelOptions(
        private_ip_address="10.0.1.9",
        instance_connect_endpoint_id="eice-1",
        instance_connect_endpoint_dns_name=DNS_NAME,
        gateway_port=9443,
        gateway_address="127.0.0.1",
        source_address="127.0.9.7",
    )
    plan = plan_tunnel(profile, options)
    assert (plan.route.port, plan.route.address, plan.route.source_address) == (
        9443,
        "127.0.0.1",
        "127.0.9.7",
    )
    assert control_plane.calls == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"private_ip_address": "10.0.1.1"},
        {"instance_id": INSTANCE_ID, "instance_connect_endpoint_dns_name": DNS_NAME},
        {"instance_id": "web-1"},
        {"instance_id": INSTANCE_ID, "instance_connect_endpoint_id": "office"},
        {"instance_id": INSTANCE_ID, "max_tunnel_duration": 86_401},
    ],
)
def test_options_that_do_not_go_together_are_refused(profile: Profile, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        plan_tunnel(profile, TunnelOptions(**options))


def test_an_address_to_connect_from_is_not_ignored_where_a_proxy_connects(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TunnelOptions(
        private_ip_address="10.0.1.9",
        instance_connect_endpoint_id="eice-0123456789abcdef0",
        instance_connect_endpoint_dns_name=DNS_NAME,
        gateway_port=9443,
        source_address="127.0.9.7",
    )
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    with pytest.raises(InvalidOption, match="--source-address"):
        plan_tunnel(profile, options)
    monkeypatch.setenv("NO_PROXY", DNS_NAME)
    assert plan_tunnel(profile, options).route.source_address == "127.0.9.7"


def test_a_vpc_without_an_endpoint_is_said(profile: Profile, control_plane: StubControlPlane) -> None:
    control_plane.endpoints = []
    with pytest.raises(NotFound, match="vpc-1"):
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID))
    with pytest.raises(NotFound, match="eice-7"):
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID, instance_connect_endpoint_id="eice-7"))


def test_a_refused_call_carries_operation_code_and_message(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.instance_known = False
    with pytest.raises(ApiError) as caught:
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID))
    assert (caught.value.operation, caught.value.code) == ("DescribeInstances", "InvalidInstanceID.NotFound")
    assert caught.value.message == "No such instance"


def test_a_control_plane_of_an_unknown_ca_is_not_trusted(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    strangers = Profile(ProfileOptions(region="us-east-1", endpoint_url=control_plane.url))
    with pytest.raises(ApiError, match="--ca-bundle"):
        gateway_port(strangers)
    with pytest.raises(ApiError, match="--ca-bundle"):
        push_key(strangers, INSTANCE_ID, "ec2-user", "ssh-ed25519 " + "A" * 68)
    assert control_plane.calls == []


def test_a_key_is_pushed_for_the_user_that_was_named(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    key = "ssh-ed25519 " + "A" * 68
    push_key(profile, INSTANCE_ID, "ec2-user", key)
    (call,) = control_plane.calls
    assert call["InstanceId"] == [INSTANCE_ID]
    assert call["InstanceOSUser"] == ["ec2-user"]
    assert call["SSHPublicKey"] == [key]
    with pytest.raises(ApiError) as caught:
        push_key(profile, INSTANCE_ID, "root", key)
    assert caught.value.code == "AuthException"


def test_without_credentials_the_call_says_so(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NotConfigured):
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID))


def test_without_a_discovery_document_gateways_listen_on_443(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.document = None
    assert gateway_port(profile) == 443


def test_a_control_plane_that_cannot_say_where_gateways_are_is_not_taken_for_one_that_has_them_at_443(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.document_status = 503
    with pytest.raises(ApiError, match=r"the server answers 503, .*: try again in a moment$"):
        gateway_port(profile)


def test_without_an_endpoint_url_no_discovery_document_is_asked_for(aws_environment: Path) -> None:
    with pytest.raises(NotConfigured, match="no endpoint URL"):
        gateway_port(Profile(ProfileOptions(region="us-east-1")))


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"gateway_port": "22"}',
        b'{"gateway_port": 0}',
        b'{"gateway_port": true}',
        b"[" * 60_000,
    ],
)
def test_a_discovery_document_that_names_no_port_is_an_error(
    profile: Profile, control_plane: StubControlPlane, document: bytes
) -> None:
    control_plane.document = document
    with pytest.raises(ApiError, match="--gateway-port"):
        gateway_port(profile)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<html><body>Log in</body></html>",
        b"\x1b[2J\xff",
        b"<DescribeInstancesResponse/>",
        b"<a><reservationSet><item/></reservationSet></a>",
        b"{}" * 100_000,
    ],
)
def test_an_answer_that_is_none_is_an_error_in_words(
    profile: Profile, control_plane: StubControlPlane, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(control_plane, "answer", lambda parameters: (200, body))
    with pytest.raises(ClientError) as caught:
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1500


def test_a_refusal_names_the_request_and_cannot_drive_the_terminal(
    profile: Profile, control_plane: StubControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = "<Error><Code>UnauthorizedOperation</Code><Message>no\x7f\u009b2J</Message></Error>"
    body = f"<Response><Errors>{error}</Errors><RequestID>5d2c</RequestID></Response>".encode()
    monkeypatch.setattr(control_plane, "answer", lambda parameters: (403, body))
    with pytest.raises(ApiError) as caught:
        plan_tunnel(profile, TunnelOptions(instance_id=INSTANCE_ID))
    assert str(caught.value).startswith(
        "DescribeInstances: UnauthorizedOperation: no\ufffd\ufffd2J (request id 5d2c): "
    )
