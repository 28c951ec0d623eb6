"""ssh with a key of its own and a tunnel to go through."""

import os
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.client.stubs import DNS_NAME, INSTANCE_ID, StubControlPlane
from tests.programs import needs

from hatchway.cli.ending import ended
from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.api.shared_files import Credentials
from hatchway.client.discovery.discovery import TunnelOptions
from hatchway.client.discovery.plan import Route, TunnelPlan
from hatchway.client.discovery.request import TunnelRequest
from hatchway.client.errors import ApiError, InvalidOption
from hatchway.client.ssh.openssh import make_key
from hatchway.client.ssh.proxy_command import tunnel_command
from hatchway.client.ssh.ssh import SshOptions, SshRoute, dry_run_ssh, run_ssh, ssh_command, ssh_options

PLAN = TunnelPlan(
    TunnelRequest(
        endpoint_id="eice-0123456789abcdef0",
        dns_name=DNS_NAME,
        private_ip_address="10.0.1.1",
        max_tunnel_duration=600,
    ),
    Route(dns_name=DNS_NAME, port=8444),
    "us-east-1",
    lambda: Credentials("AKIAEXAMPLE", "secret"),
    INSTANCE_ID,
)

BEGINNING = '#!/bin/sh\nif [ "$1" = -V ]; then exit; fi\n'
FAKE_SSH = f"""{BEGINNING}
printf '%s\\n' "$@" >"$0.arguments"
while [ "$1" != -i ]; do shift; done
ls -l "$2" >"$0.mode"
cp "$2" "$0.key"
echo "$2" >"$0.path"
exit 7
"""


@pytest.fixture
def profile(control_plane: StubControlPlane, aws_environment: Path) -> Profile:
    return Profile(
        ProfileOptions(region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle)
    )


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(FAKE_SSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


def test_the_ssh_command_has_every_question_answered() -> None:
    options = SshOptions(host=INSTANCE_ID, os_user="admin", options=("-v",), command=("uptime", "-p"))
    route = SshRoute(INSTANCE_ID, INSTANCE_ID, tunnel_command(PLAN, ProfileOptions(profile="lab")))
    command = ssh_command(route, options, "/tmp/key")
    proxy = (
        f"{shlex.quote(sys.executable)} -P -m hatchway open-tunnel --profile lab"
        " --private-ip-address 10.0.1.1 --remote-port 22"
        " --instance-connect-endpoint-id eice-0123456789abcdef0"
        f" --instance-connect-endpoint-dns-name {DNS_NAME} --max-tunnel-duration 600 --gateway-port 8444"
    )
    assert command == [
        "ssh",
        *("-o", f"ProxyCommand={proxy}"),
        *("-o", "ProxyUseFdpass=no"),
        *("-p", "22"),
        *("-i", "/tmp/key"),
        "-v",
        *("-o", "ServerAliveInterval=5"),
        *("-o", "IdentitiesOnly=yes"),
        *("-o", f"HostKeyAlias={INSTANCE_ID}"),
        "--",
        f"admin@{INSTANCE_ID}",
        "uptime",
        "-p",
    ]


@needs("ssh", "openssh-client")
def test_openssh_reads_the_proxy_command_back_as_it_was_meant() -> None:
    nasty = "it's 100% $HOME `id`;"
    profile = ProfileOptions(profile=nasty, ca_bundle="/a b/%h.pem")
    # ssh -G shows the configuration that it ends up with, and expands nothing; so expand %% as ssh does.
    line = tunnel_command(PLAN, profile)
    shown = subprocess.run(
        ["ssh", "-F", "none", "-G", "-o", f"ProxyCommand={line}", "host"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (got,) = [text for text in shown.splitlines() if text.startswith("proxycommand ")]
    expanded = got.removeprefix("proxycommand ").replace("%%", "%")
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {expanded}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[words.index("--profile") + 1] == nasty
    assert words[words.index("--ca-bundle") + 1] == "/a b/%h.pem"


@needs("ssh-keygen", "openssh-client")
def test_ssh_gets_a_fresh_key_that_was_pushed_and_is_gone_afterwards(
    profile: Profile, control_plane: StubControlPlane, fake_ssh: Path
) -> None:
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID), ended) == 7
    looked_up, at_once = control_plane.called()[:2], control_plane.called()[2:]
    assert looked_up == ["DescribeInstances", "DescribeInstanceConnectEndpoints"]
    assert sorted(at_once) == ["DescribeHostKeys", "SendSSHPublicKey"]
    (pushed,) = [call for call in control_plane.calls if call["Action"] == ["SendSSHPublicKey"]]
    assert pushed["InstanceOSUser"] == ["ec2-user"]
    key = Path(f"{fake_ssh}.key")
    key.chmod(stat.S_IRUSR)
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True
    ).stdout
    assert public.split()[:2] == pushed["SSHPublicKey"][0].split()[:2]
    assert Path(f"{fake_ssh}.mode").read_text().startswith("-rw-------")
    assert not Path(Path(f"{fake_ssh}.path").read_text().strip()).parent.exists()


@needs("ssh", "openssh-client")
@needs("ssh-keygen", "openssh-client")
@pytest.mark.parametrize("name", ["plain", "100% %h %d", "%", "%%i", "a %u ~ $HOME"])
def test_ssh_finds_the_key_in_a_directory_of_any_name(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    make_key(directory / "key")
    options = SshOptions(host=INSTANCE_ID, options=("-v", "-F", "none"))
    command = ssh_command(SshRoute(INSTANCE_ID, INSTANCE_ID, "false"), options, str(directory / "key"))
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert f"debug1: identity file {directory}/key type 3" in said.splitlines()


@needs("ssh-keygen", "openssh-client")
def test_a_temporary_directory_whose_name_ssh_would_change_is_not_used(
    profile: Profile, fake_ssh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "${HOME}"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID), ended) == 7
    assert "${" not in Path(f"{fake_ssh}.path").read_text()


@needs("ssh-keygen", "openssh-client")
def test_ssh_trusts_the_keys_that_the_host_reported_and_no_others(
    profile: Profile, control_plane: StubControlPlane, fake_ssh: Path
) -> None:
    control_plane.host_keys = ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM4Ed4P",)
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID), ended) == 7
    words = Path(f"{fake_ssh}.arguments").read_text().splitlines()
    (file,) = [word for word in words if word.startswith("UserKnownHostsFile=")]
    assert "StrictHostKeyChecking=yes" in words
    assert "VerifyHostKeyDNS=no" in words
    assert f"GlobalKnownHostsFile={file.partition('=')[2]}" in words
    assert not Path(file.partition("=")[2].strip('"')).exists()

    own = ("-o", "UserKnownHostsFile mine")
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID, options=own), ended) == 7
    words = Path(f"{fake_ssh}.arguments").read_text().splitlines()
    assert "StrictHostKeyChecking=yes" not in words


@needs("ssh-keygen", "openssh-client")
def test_to_be_asked_nothing_is_not_to_take_any_host(
    profile: Profile, control_plane: StubControlPlane, fake_ssh: Path
) -> None:
    control_plane.host_keys = ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM4Ed4P",)
    careless = ("-o", "StrictHostKeyChecking=no")
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID, options=careless), ended) == 7
    words = Path(f"{fake_ssh}.arguments").read_text().splitlines()
    assert words.index("StrictHostKeyChecking=yes") < words.index("StrictHostKeyChecking=no")


@needs("ssh-keygen", "openssh-client")
def test_where_host_keys_cannot_be_asked_for_there_is_no_ssh(
    profile: Profile,
    control_plane: StubControlPlane,
    fake_ssh: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(control_plane, "answer_DescribeHostKeys", lambda _: (500, b"{}"), raising=False)
    with pytest.raises(ApiError, match="DescribeHostKeys"):
        run_ssh(profile, SshOptions(host=INSTANCE_ID), ended)
    assert not Path(f"{fake_ssh}.arguments").exists()


def test_what_ssh_is_asked_of_itself_it_is_asked_without_a_host(
    profile: Profile, control_plane: StubControlPlane, fake_ssh: Path
) -> None:
    fake_ssh.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$0.arguments"\nexit 3\n')
    options = ssh_options(["-Q", "key"], None, None, TunnelOptions())
    assert run_ssh(profile, options, ended) == 3
    assert Path(f"{fake_ssh}.arguments").read_text().splitlines() == ["-Q", "key"]
    assert dry_run_ssh(profile, options).command == "ssh -Q key"
    assert control_plane.calls == []


@needs("ssh-keygen", "openssh-client")
def test_a_host_behind_another_has_a_key_pushed_and_is_reached_by_way_of_that(
    profile: Profile, control_plane: StubControlPlane, fake_ssh: Path
) -> None:
    options = SshOptions(host=INSTANCE_ID, jump="a@b:2222,c", options=("-F", "none"))
    assert run_ssh(profile, options, ended) == 7
    words = Path(f"{fake_ssh}.arguments").read_text().splitlines()
    proxy = shlex.split(words[1].partition("=")[2])
    assert proxy[:5] == [sys.executable, "-P", "-m", "hatchway", "ssh"]
    assert proxy[-7:] == ["-J", "a@b:2222", "-F", "none", "-W", "[10.0.1.1]:22", "--", "c"][-7:]
    assert words[-1] == f"ec2-user@{INSTANCE_ID}"
    # The way from the last host needs no endpoint.
    assert sorted(control_plane.called()) == ["DescribeHostKeys", "DescribeInstances", "SendSSHPublicKey"]


def test_a_host_that_only_the_jump_host_knows_is_left_to_ssh(
    profile: Profile, control_plane: StubControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = (200, b"<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>")
    monkeypatch.setattr(control_plane, "answer_DescribeInstances", lambda _: nothing, raising=False)
    shown = dry_run_ssh(profile, SshOptions(host="printer", jump="web-1"))
    assert "-W '\"'\"'[printer]:22'\"'\"' -- web-1" in shown.command
    assert shown.command.endswith("-- ec2-user@printer")
    assert "IdentitiesOnly" not in shown.command
    assert not any("SendSSHPublicKey" in step for step in shown.steps)


@needs("ssh-keygen", "openssh-client")
def test_a_refused_key_means_no_ssh(profile: Profile, fake_ssh: Path) -> None:
    with pytest.raises(ApiError, match="AuthException"):
        run_ssh(profile, SshOptions(host=INSTANCE_ID, os_user="root"), ended)
    assert not Path(f"{fake_ssh}.arguments").exists()


@needs("ssh-keygen", "openssh-client")
def test_a_host_that_is_not_any_more_where_it_was_remembered_is_looked_for_anew(
    profile: Profile, control_plane: StubControlPlane, fake_ssh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control_plane.document = b'{"gateway_port": 8444, "remember_seconds": 60}'
    assert run_ssh(profile, SshOptions(host="10.0.1.1"), ended) == 7
    accepts, pushes = control_plane.answer_SendSSHPublicKey, []

    def refuses_once(parameters: dict[str, list[str]]) -> tuple[int, bytes]:
        pushes.append(parameters["InstanceOSUser"])
        return accepts(parameters if len(pushes) > 1 else {**parameters, "InstanceOSUser": ["root"]})

    monkeypatch.setattr(control_plane, "answer_SendSSHPublicKey", refuses_once)
    control_plane.calls.clear()
    assert run_ssh(profile, SshOptions(host="10.0.1.1"), ended) == 7
    assert len(pushes) == 2
    assert "DescribeInstances" in control_plane.called()


@needs("ssh-keygen", "openssh-client")
def test_an_ssh_that_a_signal_ended_counts_as_128_and_the_signal(profile: Profile, fake_ssh: Path) -> None:
    fake_ssh.write_text(f"{BEGINNING}kill -TERM $$\n")
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID), ended) == 143


@needs("ssh-keygen", "openssh-client")
@pytest.mark.parametrize("name", ["USR1", "QUIT", "HUP"])
def test_no_key_is_left_by_a_signal_that_ends_ssh(
    profile: Profile, fake_ssh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    keys = tmp_path / "keys"
    # That of one that could do nothing about it.
    killed = keys / "hatchway-killed" / "held-while-needed"
    killed.parent.mkdir(parents=True, mode=0o700)
    killed.touch()
    os.utime(killed, (0, 0))
    monkeypatch.setattr("tempfile.tempdir", str(keys))
    fake_ssh.write_text(f"{BEGINNING}kill -{name} $PPID\nexec sleep 9\n")
    number = getattr(signal, f"SIG{name}")
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID), ended) == 128 + number
    assert list(keys.iterdir()) == []


@needs("ssh-keygen", "openssh-client")
def test_a_signal_while_ssh_is_being_started_reaches_it(
    profile: Profile, fake_ssh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ssh.write_text(f"{BEGINNING}exec sleep 9\n")
    start = subprocess.Popen

    def slow(command: list[str], **more: Any) -> Any:
        if command[0] == str(fake_ssh) and "-V" not in command:
            signal.raise_signal(signal.SIGTERM)
        return start(command, **more)

    monkeypatch.setattr("subprocess.Popen", slow)
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID), ended) == 143


@needs("ssh-keygen", "openssh-client")
def test_beside_ssh_two_small_programs_are_started_and_neither_before_what_can_be_done_meanwhile(
    profile: Profile, control_plane: StubControlPlane, fake_ssh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[list[str], int]] = []
    start = subprocess.Popen

    def noted(command: list[str], **more: Any) -> Any:
        started.append(([Path(command[0]).name, *command[1:2]], len(control_plane.calls)))
        return start(command, **more)

    monkeypatch.setattr("subprocess.Popen", noted)
    control_plane.host_keys = ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM4Ed4P",)
    assert run_ssh(profile, SshOptions(host=INSTANCE_ID), ended) == 7
    # The key and ssh's version are there when the questions have been answered.
    assert started == [(["ssh-keygen", "-q"], 0), (["ssh", "-V"], 0), (["ssh", "-o"], 4)]


def test_a_dry_run_pushes_no_key_and_shows_the_command(
    profile: Profile, control_plane: StubControlPlane
) -> None:
    options = SshOptions(host=INSTANCE_ID, tunnel=TunnelOptions(max_tunnel_duration=60))
    shown = dry_run_ssh(profile, options)
    assert control_plane.called() == ["DescribeInstances", "DescribeInstanceConnectEndpoints"]
    assert shown.command.startswith("ssh -o 'ProxyCommand=")
    assert "-i KEY" in shown.command
    assert shown.command.endswith(f"-- ec2-user@{INSTANCE_ID}")
    assert any("eice-1" in step and DNS_NAME in step and "8444" in step for step in shown.steps)
    assert any(
        "SendSSHPublicKey" in step and INSTANCE_ID in step and "ec2-user" in step for step in shown.steps
    )


@needs("ssh", "openssh-client")
@pytest.mark.parametrize("os_user", ["", "-oProxyCommand=id", "a b", "1", "12", "x" * 40, "a\n"])
def test_what_is_no_os_user_never_reaches_ssh(
    profile: Profile, control_plane: StubControlPlane, os_user: str
) -> None:
    with pytest.raises(InvalidOption):
        run_ssh(profile, SshOptions(host=INSTANCE_ID, os_user=os_user), ended)
    assert control_plane.calls == []
