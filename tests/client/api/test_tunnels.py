"""Tunnels that gateways carry, named by the beginnings of ids."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.client.stubs import StubControlPlane

from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.api.tunnels import list_tunnels, terminate_tunnel
from hatchway.client.errors import NotFound

FIRST, SECOND = "tun-0123456789abcdef0", "tun-0999999999abcdef0"


def tunnel(tunnel_id: str) -> dict[str, Any]:
    return {
        "TunnelId": tunnel_id, "PrincipalArn": "arn:aws:iam::123456789012:user/alice", "AccessKeyId": "AKIA",
        "SourceIp": "192.0.2.1", "InstanceConnectEndpointId": "eice-1", "PrivateIpAddress": "10.0.1.1",
        "RemotePort": 22, "OpenedAt": 0, "ExpiresAt": 60, "BytesIn": 0, "BytesOut": 0, "GatewayId": "g",
    }  # fmt: skip


@pytest.fixture
def profile(
    control_plane: StubControlPlane, aws_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> Profile:
    def answer_list(_: object) -> tuple[int, bytes]:
        return 200, json.dumps({"Tunnels": [tunnel(FIRST), tunnel(SECOND)]}).encode()

    def answer_terminate(parameters: dict[str, list[str]]) -> tuple[int, bytes]:
        return 200, json.dumps({"Tunnel": tunnel(parameters["TunnelId"][0])}).encode()

    monkeypatch.setattr(control_plane, "answer_ListTunnels", answer_list, raising=False)
    monkeypatch.setattr(control_plane, "answer_TerminateTunnel", answer_terminate, raising=False)
    return Profile(
        ProfileOptions(region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle)
    )


def test_a_tunnel_is_ended_by_the_beginning_of_its_id(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    assert terminate_tunnel(profile, "tun-01").tunnel_id == FIRST
    assert control_plane.called() == ["ListTunnels", "TerminateTunnel"]


def test_by_its_whole_id_it_is_ended_without_a_question(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    assert terminate_tunnel(profile, FIRST).tunnel_id == FIRST
    assert control_plane.called() == ["TerminateTunnel"]


@pytest.mark.parametrize("beginning", ["tun-0", "tun-7", ""])
def test_what_may_be_several_or_is_none_ends_none(
    profile: Profile, control_plane: StubControlPlane, beginning: str
) -> None:
    with pytest.raises(NotFound):
        terminate_tunnel(profile, beginning)
    assert control_plane.called() == ["ListTunnels"]


def test_tunnels_of_an_endpoint_are_listed_by_the_beginning_of_its_id(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    control_plane.endpoints = [("eice-1234", "subnet-1")]
    assert len(list_tunnels(profile, endpoint_id="eice-12", principal_arn=None)) == 2
    assert control_plane.calls[-1]["InstanceConnectEndpointId"] == ["eice-1234"]
