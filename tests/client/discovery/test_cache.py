"""What is remembered of the API's answers: for whom, for how long, and what becomes of what is old."""

import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.client.stubs import INSTANCE_ID, StubControlPlane, StubGateway, refusal

from hatchway.cli import connecting
from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.discovery.cache import AnswerCache
from hatchway.client.discovery.discovery import TunnelOptions, plan_tunnel
from hatchway.client.discovery.plan import TunnelPlan
from hatchway.client.errors import NotOpened
from hatchway.client.tunnel import stream_relay

OPTIONS = TunnelOptions(instance_id=INSTANCE_ID)


@pytest.fixture
def caller(
    control_plane: StubControlPlane, aws_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ProfileOptions:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    control_plane.document = b'{"gateway_port": 8444, "remember_seconds": 60}'
    return ProfileOptions(
        region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle
    )


def find(caller: ProfileOptions) -> str:
    """As a command does that is run once; the address that it found."""
    profile = Profile(caller)
    return plan_tunnel(profile, OPTIONS, cache=AnswerCache(profile, OPTIONS)).request.private_ip_address


def test_what_was_found_is_not_asked_again(caller: ProfileOptions, control_plane: StubControlPlane) -> None:
    assert find(caller) == find(caller) == "10.0.1.1"
    assert len(control_plane.calls) == 2


@pytest.mark.parametrize(
    "document", [b'{"gateway_port": 8444}', b'{"gateway_port": 1, "remember_seconds": -1}']
)
def test_a_server_that_says_nothing_of_it_is_asked_each_time(
    caller: ProfileOptions, control_plane: StubControlPlane, document: bytes
) -> None:
    control_plane.document = document
    find(caller)
    find(caller)
    assert len(control_plane.calls) == 4


def test_another_key_is_told_nothing_of_what_the_first_found(
    caller: ProfileOptions, control_plane: StubControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(caller)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAANOTHER")
    find(caller)
    assert len(control_plane.calls) == 4


def test_only_its_owner_can_read_it_and_what_others_could_have_written_is_not_believed(
    caller: ProfileOptions, control_plane: StubControlPlane, tmp_path: Path
) -> None:
    find(caller)
    directory = tmp_path / "cache" / "hatchway" / "answers"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o600}
    directory.chmod(0o770)
    find(caller)
    assert len(control_plane.calls) == 4


def test_nothing_is_removed_in_a_directory_that_is_not_its_own(
    caller: ProfileOptions, control_plane: StubControlPlane, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "old").touch()
    os.utime(elsewhere / "old", (0, 0))
    (tmp_path / "cache" / "hatchway").mkdir(parents=True)
    (tmp_path / "cache" / "hatchway" / "answers").symlink_to(elsewhere)
    find(caller)
    assert [path.name for path in elsewhere.iterdir()] == ["old"]


def test_without_a_home_nothing_is_remembered(
    caller: ProfileOptions, control_plane: StubControlPlane, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    find(caller)
    assert not (tmp_path / "here").exists()


def test_what_was_good_the_last_time_is_told_before_anything_is_asked(
    caller: ProfileOptions, control_plane: StubControlPlane, tmp_path: Path
) -> None:
    find(caller)
    for file in (tmp_path / "cache" / "hatchway" / "answers").iterdir():
        file.write_text(json.dumps({**json.loads(file.read_text()), "until": 0}))
    profile, asked_before = Profile(caller), list[int]()
    plan = plan_tunnel(
        profile,
        OPTIONS,
        cache=AnswerCache(profile, OPTIONS),
        expected=lambda plan: asked_before.append(len(control_plane.calls) * plan.route.port),
    )
    assert asked_before == [2 * plan.route.port]
    assert len(control_plane.calls) == 4


def expected_of(caller: ProfileOptions, options: TunnelOptions) -> tuple[list[str], TunnelPlan]:
    """Which gateways are expected before it is asked, and what comes of asking."""
    profile, expected = Profile(caller), list[str]()
    plan = plan_tunnel(
        profile,
        options,
        cache=AnswerCache(profile, options),
        expected=lambda plan: expected.append(plan.route.dns_name),
    )
    return expected, plan


def test_the_gateway_of_the_last_time_is_expected_to_lead_to_a_host_that_was_never_asked_for(
    caller: ProfileOptions, control_plane: StubControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(caller)
    another = OPTIONS._replace(remote_port=3389)
    expected, plan = expected_of(caller, another)
    assert expected == [plan.route.dns_name]
    assert len(control_plane.calls) == 4
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAANOTHER")
    assert expected_of(caller, another)[0] == []


@pytest.mark.parametrize("until", [0, 1e18, "x", None])
def test_what_is_not_good_now_is_asked_anew(
    caller: ProfileOptions, control_plane: StubControlPlane, tmp_path: Path, until: object
) -> None:
    find(caller)
    for file in (tmp_path / "cache" / "hatchway" / "answers").iterdir():
        file.write_text(json.dumps({**json.loads(file.read_text()), "until": until}))
    find(caller)
    assert len(control_plane.calls) == 4


def attempt(caller: ProfileOptions) -> None:
    """A tunnel to a gateway on this machine, which is not opened."""
    tunnel: dict[str, Any] = {"tunnel": TunnelOptions(gateway_address="127.0.0.1"), "caller": caller}
    own: dict[str, Any] = {"push_key": None, "os_user": "ec2-user", "known_hosts": None, "local_port": None}
    with open(os.devnull, "rb") as nothing, pytest.raises(NotOpened):  # noqa: PTH123
        kept = os.dup(0)
        os.dup2(nothing.fileno(), 0)
        try:
            connecting.open_tunnel(
                None, instance_id=INSTANCE_ID, private_ip_address=None, remote_port=22, **own, **tunnel
            )
        finally:
            os.dup2(kept, 0)
            os.close(kept)


def test_what_a_gateway_refuses_that_was_remembered_is_asked_anew(
    caller: ProfileOptions, control_plane: StubControlPlane, gateway: StubGateway
) -> None:
    control_plane.document = json.dumps({"gateway_port": gateway.port, "remember_seconds": 60}).encode()
    gateway.answer = lambda: refusal(404, b'{"ErrorCode": "ResourceNotFoundException", "Message": "gone"}')
    profile, asked = Profile(caller), OPTIONS._replace(gateway_address="127.0.0.1")
    plan_tunnel(profile, asked, cache=AnswerCache(profile, asked))
    attempt(caller)
    assert (len(control_plane.calls), len(gateway.requests)) == (4, 4)
    # What was found just now and is refused is refused: once more would be the same.
    attempt(caller)
    assert (len(control_plane.calls), len(gateway.requests)) == (6, 6)


def test_a_gateway_that_says_nothing_where_it_was_and_still_is_is_not_waited_for_again(
    caller: ProfileOptions, control_plane: StubControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.client.tunnel.opening.CONNECT_TIMEOUT", 0.2)
    asked_of: list[object] = []
    carry = stream_relay.relay_standard_streams

    def counted(plan: TunnelPlan, *arguments: Any, **others: Any) -> None:
        asked_of.append(plan.route)
        carry(plan, *arguments, **others)

    monkeypatch.setattr(stream_relay, "relay_standard_streams", counted)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        control_plane.document = json.dumps({"gateway_port": port, "remember_seconds": 60}).encode()
        profile, asked = Profile(caller), OPTIONS._replace(gateway_address="127.0.0.1")
        plan_tunnel(profile, asked, cache=AnswerCache(profile, asked))
        attempt(caller)
    assert (len(control_plane.calls), len(asked_of)) == (4, 1)
