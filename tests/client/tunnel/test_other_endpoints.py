"""An endpoint that refuses has another one tried that reaches the host, where another can mend it."""

import json
import os
from http import HTTPStatus
from pathlib import Path

import pytest
from tests.client.stubs import (
    DNS_NAME,
    INSTANCE_ID,
    Answer,
    StubControlPlane,
    StubGateway,
    refusal,
    tunnel_plan,
)
from tests.client.tunnel.test_tunnel import Says

from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.connection.tls import Trust
from hatchway.client.discovery.cache import AnswerCache, Place
from hatchway.client.discovery.discovery import MOST_TRIED, TunnelOptions, plan_tunnel
from hatchway.client.discovery.plan import TunnelPlan
from hatchway.client.errors import (
    ClientError,
    EveryEndpointRefused,
    GatewayUnreachable,
    InvalidOption,
    NotOpened,
    TunnelClosed,
    TunnelRefused,
)
from hatchway.client.ssh.proxy_command import read_places, write_places
from hatchway.client.tunnel.local import standard_streams
from hatchway.client.tunnel.stream_relay import carry
from hatchway.gateway.admission.refusal import DRAINING, ENDPOINT_FULL, PRINCIPAL_FULL, Refusal, access_denied

ENDPOINTS = [f"eice-{number:017x}" for number in range(1, 4)]


def plan_by(gateway: StubGateway, *endpoints: str) -> TunnelPlan:
    plan = tunnel_plan(gateway)
    first, *others = (plan._replace(request=plan.request._replace(endpoint_id=each)) for each in endpoints)
    return first._replace(others=tuple(others))


def attempt(plan: TunnelPlan, ca_bundle: str) -> ClientError:
    """What becomes of it."""
    ends = (*os.pipe(), *os.pipe())
    try:
        with standard_streams(ends[0], ends[3]) as local, pytest.raises((NotOpened, TunnelClosed)) as caught:
            carry(plan, Trust(ca_bundle), local)
    finally:
        for end in ends:
            os.close(end)
    return caught.value


def asked_of(gateway: StubGateway) -> list[str]:
    return [
        endpoint for request in gateway.requests for endpoint in ENDPOINTS if endpoint in str(request.path)
    ]


def answering(gateway: StubGateway, refusals: dict[str, Refusal]) -> None:
    """Each endpoint refuses as said, or opens a tunnel that says that it was reached."""

    def answer() -> Answer:
        endpoint = next(each for each in ENDPOINTS if each in str(gateway.requests[-1].path))
        if (said := refusals.get(endpoint)) is None:
            return Says(b"", 4000, f"reached by {endpoint}")
        return refusal(int(said.status), said.body("r-1"))

    gateway.answer = answer


@pytest.mark.parametrize(
    "said",
    [
        access_denied("no"),
        ENDPOINT_FULL.refusal,
        Refusal(HTTPStatus.NOT_FOUND, "ResourceNotFoundException", "It is gone."),
    ],
)
def test_a_refusal_that_is_the_endpoint_s_has_the_next_one_tried(gateway: StubGateway, said: Refusal) -> None:
    answering(gateway, {ENDPOINTS[0]: said})
    assert f"reached by {ENDPOINTS[1]}" in str(attempt(plan_by(gateway, *ENDPOINTS), gateway.ca_bundle))
    assert asked_of(gateway) == ENDPOINTS[:2]


@pytest.mark.parametrize(
    "said",
    [
        Refusal(HTTPStatus.FORBIDDEN, "SignatureDoesNotMatch", "no"),
        Refusal(HTTPStatus.FORBIDDEN, "ExpiredToken", "no"),
        Refusal(HTTPStatus.BAD_REQUEST, "InvalidParameter", "no"),
        PRINCIPAL_FULL.refusal,
        # Of the same gateway, whatever endpoint is asked for.
        DRAINING,
    ],
)
def test_what_no_other_endpoint_can_mend_is_asked_once(gateway: StubGateway, said: Refusal) -> None:
    answering(gateway, {ENDPOINTS[0]: said})
    refused = attempt(plan_by(gateway, *ENDPOINTS), gateway.ca_bundle)
    assert isinstance(refused, TunnelRefused)
    assert asked_of(gateway) == ENDPOINTS[:1]


def test_where_all_refuse_each_has_a_line_and_the_command_ends_as_for_one(gateway: StubGateway) -> None:
    answering(gateway, {ENDPOINTS[0]: access_denied("not this one"), ENDPOINTS[1]: ENDPOINT_FULL.refusal})
    refused = attempt(plan_by(gateway, *ENDPOINTS[:2]), gateway.ca_bundle)
    assert isinstance(refused, EveryEndpointRefused)
    first, second = str(refused).splitlines()
    assert first.startswith(f"{ENDPOINTS[0]}: AccessDeniedException: not this one: ")
    assert second.startswith(
        f"{ENDPOINTS[1]}: ServiceQuotaExceededException: Too many tunnels on this endpoint."
    )
    assert (refused.exit_code, refused.passing) == (255, False)


def test_a_gateway_that_is_not_there_is_not_asked_for_another_endpoint_and_another_gateway_is(
    gateway: StubGateway,
) -> None:
    answering(gateway, {})
    plan = plan_by(gateway, *ENDPOINTS)
    gone = plan.route._replace(port=1)
    first, second, third = (each._replace(others=()) for each in (plan, *plan.others))
    first, second = first._replace(route=gone), second._replace(route=gone)
    assert f"reached by {ENDPOINTS[2]}" in str(
        attempt(first._replace(others=(second, third)), gateway.ca_bundle)
    )
    assert isinstance(attempt(first._replace(others=(second,)), gateway.ca_bundle), GatewayUnreachable)


@pytest.fixture
def profile(control_plane: StubControlPlane, gateway: StubGateway, aws_environment: Path) -> Profile:
    document = {"gateway_port": gateway.port, "remember_seconds": 60}
    control_plane.document = json.dumps(document).encode()
    control_plane.endpoints = [(each, "subnet-1") for each in [*ENDPOINTS, "eice-0000000000000000f"]]
    return Profile(
        ProfileOptions(region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle)
    )


def planned(plan: TunnelPlan) -> list[str]:
    return [each.request.endpoint_id for each in (plan, *plan.others)]


def test_a_plan_has_the_endpoints_that_reach_the_address_and_no_more_than_are_tried(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    options = TunnelOptions(instance_id=INSTANCE_ID)
    assert planned(plan_tunnel(profile, options)) == ENDPOINTS
    assert len(ENDPOINTS) == MOST_TRIED
    control_plane.kinds = {ENDPOINTS[0]: "ipv6"}
    assert ENDPOINTS[0] not in planned(plan_tunnel(profile, options))
    named = options._replace(instance_connect_endpoint_id=ENDPOINTS[1])
    assert planned(plan_tunnel(profile, named)) == [ENDPOINTS[1]]


def test_an_endpoint_that_refused_comes_last_the_next_time_in_whatever_process(
    profile: Profile, control_plane: StubControlPlane, gateway: StubGateway
) -> None:
    options = TunnelOptions(instance_id=INSTANCE_ID, gateway_address="127.0.0.1")
    answering(gateway, {ENDPOINTS[0]: access_denied("no")})
    plan = plan_tunnel(profile, options, cache=AnswerCache(profile, options))
    # As ssh's ProxyCommand has it, which is told all and asks nothing.
    told = TunnelOptions(
        private_ip_address="10.0.1.1",
        instance_connect_endpoint_id=ENDPOINTS[0],
        instance_connect_endpoint_dns_name=DNS_NAME,
        gateway_port=gateway.port,
        gateway_address="127.0.0.1",
        others=read_places(write_places(plan.others)),
    )
    attempt(plan_tunnel(profile, told), gateway.ca_bundle)
    asked = len(control_plane.calls)
    remembered = plan_tunnel(profile, options, cache=AnswerCache(profile, options))
    assert planned(remembered) == [*ENDPOINTS[1:], ENDPOINTS[0]]
    assert len(control_plane.calls) == asked


def test_what_a_proxy_command_is_told_of_other_endpoints_is_what_was_planned(gateway: StubGateway) -> None:
    plan = plan_by(gateway, *ENDPOINTS)
    assert read_places(write_places(plan.others)) == tuple(
        Place(each, DNS_NAME, "10.0.1.1") for each in ENDPOINTS[1:]
    )


@pytest.mark.parametrize("text", ["", "eice-1", "a@b", "a@b@c@d", "a@b@c,"])
def test_what_names_no_other_endpoints_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="--other-endpoints"):
        read_places(text)
