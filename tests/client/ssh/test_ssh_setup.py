"""`~/.ssh` given what plain ssh needs, and freed of it again."""

import getpass
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.client.stubs import INSTANCE_ID, StubControlPlane
from tests.programs import needs

from hatchway.client.api.profile import Profile, ProfileOptions
from hatchway.client.discovery.discovery import TunnelOptions
from hatchway.client.errors import ClientError, InvalidOption
from hatchway.client.ssh.ssh_setup import Written, profile_slug, remove_ssh_config, write_ssh_config

pytestmark = needs("ssh", "openssh-client")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM4Ed4P/17SmHgZZCH0wHubC0DF8EPEfLCBT5snNZPb1"
SETTINGS = "region = us-east-1\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = secret\n"
OWN = "# mine\r\nHost nas\n    HostName 192.0.2.1\n\nHost *\n    Compression yes\n"


@pytest.fixture
def options(control_plane: StubControlPlane, aws_environment: Path) -> ProfileOptions:
    control_plane.tags = {"Name": "web-1"}
    control_plane.host_keys = (KEY,)
    return ProfileOptions(
        region="us-east-1", endpoint_url=control_plane.url, ca_bundle=control_plane.ca_bundle
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home 100%" / ".ssh"


def write(options: ProfileOptions, home: Path, os_user: str = "ec2-user") -> Written:
    return write_ssh_config(Profile(options), os_user, TunnelOptions(max_tunnel_duration=600), home)


def settings_of(host: str, home: Path) -> dict[str, str]:
    command = ["ssh", "-F", str(home / "config"), "-G", "--", host]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.partition(" ")[::2] for line in shown.splitlines())


def tree(directory: Path) -> Mapping[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_ssh_goes_through_hatchway_to_a_host_by_its_name(options: ProfileOptions, home: Path) -> None:
    written = write(options, home)
    assert (written.changed, written.verified) == (True, 1)
    found = settings_of("web-1", home)
    assert found["hostname"] == INSTANCE_ID
    assert found["stricthostkeychecking"] == "true"
    assert found["proxyusefdpass"] == "no"
    assert "--max-tunnel-duration 600" in found["proxycommand"]
    # As ssh hands it to a shell.
    line = found["proxycommand"].replace("%h", INSTANCE_ID).replace("%r", "bob").replace("%p", "22")
    words = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {line.replace('%%', '%')}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    state = home / "hatchway" / "profiles" / "default"
    assert words[words.index("--push-key") + 1] == str(state / "key.pub")
    assert words[words.index("--known-hosts") + 1] == str(state / "hosts" / INSTANCE_ID)
    # By no name, which whoever may tag an instance could give it.
    assert words[-6:] == ["--os-user", "bob", "--remote-port", "22", "--instance-id", INSTANCE_ID]
    assert found["identityfile"].replace("%%", "%") == str(state / "key")


def test_an_ssh_that_would_keep_all_hosts_in_one_file_is_told_of_none(
    options: ProfileOptions, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho OpenSSH_8.3p1 >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ClientError, match=r"takes OpenSSH 8\.4, and this is 8\.3; 'hatchway ssh' works"):
        write(options, home)
    assert not home.exists()


def test_a_place_whose_name_ssh_would_change_is_refused(options: ProfileOptions, home: Path) -> None:
    with pytest.raises(InvalidOption, match="ssh would put"):
        write(options, home.parent / "${HOME}" / ".ssh")
    assert not home.parent.exists()


def test_what_is_written_is_its_owners_alone(options: ProfileOptions, home: Path) -> None:
    write(options, home)
    for path in (home, *home.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0 or path.name == "key.pub", path


def test_to_write_twice_is_to_write_once(options: ProfileOptions, home: Path) -> None:
    write(options, home)
    before = tree(home)
    assert not write(options, home).changed
    assert tree(home) == before


def test_the_users_own_configuration_holds_and_comes_back(options: ProfileOptions, home: Path) -> None:
    home.mkdir(parents=True)
    elsewhere = home.parent / "dotfiles"
    elsewhere.write_bytes(OWN.encode())
    elsewhere.chmod(0o640)
    (home / "config").symlink_to(elsewhere)
    write(options, home)
    assert (home / "config").is_symlink()
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o640
    assert settings_of("nas", home)["hostname"] == "192.0.2.1"
    assert settings_of("web-1", home)["compression"] == "yes"
    remove_ssh_config(options, home)
    assert elsewhere.read_bytes() == OWN.encode()
    assert [path.name for path in home.iterdir()] == ["config"]


def test_nothing_is_left_where_there_was_nothing(options: ProfileOptions, home: Path) -> None:
    write(options, home)
    assert remove_ssh_config(options, home)
    assert list(home.iterdir()) == []
    assert remove_ssh_config(options, home) == []


def test_a_name_that_leads_elsewhere_already_stays_the_users(
    options: ProfileOptions, control_plane: StubControlPlane, home: Path
) -> None:
    control_plane.tags = {"Name": "nas"}
    home.mkdir(parents=True)
    (home / "config").write_bytes(OWN.encode())
    ((host, why),) = write(options, home).apart
    assert host.name == "nas"
    assert "it is called nas_default" in why
    assert settings_of("nas", home)["hostname"] == "192.0.2.1"
    assert settings_of("nas_default", home)["hostname"] == INSTANCE_ID


def test_a_full_name_that_leads_elsewhere_already_stays_the_users_too(
    options: ProfileOptions, home: Path
) -> None:
    home.mkdir(parents=True)
    (home / "config").write_text("Host *_default\n    ProxyJump bastion\n")
    (host,) = write(options, home).hosts
    assert host.names == ("web-1",)
    assert settings_of("web-1_default", home)["proxyjump"] == "bastion"


@pytest.mark.parametrize(
    "own",
    [
        "Host na?\n    ProxyJump bastion\n",
        'Match originalhost "x*,n*" user root,ec2-user,%u\n    HostName 192.0.2.1\n',
        "Host x\n    Compression yes\nHost *\n    Include {included}\n",
    ],
)
def test_a_name_leads_elsewhere_by_a_pattern_and_by_what_is_included_too(
    own: str, options: ProfileOptions, control_plane: StubControlPlane, home: Path, tmp_path: Path
) -> None:
    control_plane.tags = {"Name": "nas"}
    home.mkdir(parents=True)
    # Not in a directory that has a percent sign in its name, which OpenSSH 10 has doubled in an Include.
    (tmp_path / "more.d").mkdir()
    included = tmp_path / "more.d" / "nas"
    included.write_text("Host nas\n    HostName 192.0.2.1\n")
    own = own.replace("{included}", f'"{included.parent}/n*"').replace("%u", getpass.getuser())
    (home / "config").write_text(own)
    ((_, why),) = write(options, home).apart
    assert "it is called nas_default" in why


def test_a_name_of_which_the_user_has_said_something_else_is_written(
    options: ProfileOptions, home: Path
) -> None:
    home.mkdir(parents=True)
    (home / "config").write_text("Host web-1\n    ForwardAgent yes\n")
    assert write(options, home).apart == ()
    found = settings_of("web-1", home)
    assert (found["hostname"], found["forwardagent"]) == (INSTANCE_ID, "yes")


def test_a_configuration_that_ssh_does_not_accept_is_left_alone(options: ProfileOptions, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "config").write_text("Host a\n  Nonsense yes\n")
    with pytest.raises(ClientError, match="fix it first") as refused:
        write(options, home)
    # And no file of which the user knows nothing.
    assert "(line 2: Bad configuration option: nonsense)" in str(refused.value)
    assert (home / "config").read_text() == "Host a\n  Nonsense yes\n"


def test_where_home_is_not_that_of_the_user_database_the_files_are_included_all_the_same(
    options: ProfileOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ssh reads the configuration of the one, and what it includes by relative names of the other.
    home = tmp_path / ".ssh"
    monkeypatch.setattr("hatchway.client.ssh.ssh_setup.ssh_directory", lambda: home)
    own = "Host nas\n    HostName 192.0.2.1\n"
    home.mkdir()
    (home / "config").write_text(own)
    monkeypatch.setenv("HOME", str(tmp_path))
    write_ssh_config(Profile(options), "ec2-user", TunnelOptions())
    assert "Include hatchway/*.conf hatchway/*.any\n" in (home / "config").read_text()
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    for _ in range(2):
        write_ssh_config(Profile(options), "ec2-user", TunnelOptions())
        assert settings_of("web-1", home)["hostname"] == INSTANCE_ID
    remove_ssh_config(options)
    assert (home / "config").read_text() == own


@pytest.fixture
def profiles(
    options: ProfileOptions, aws_environment: Path
) -> Iterator[tuple[ProfileOptions, ProfileOptions]]:
    names = ("alice", "a lab")
    aws_environment.write_text("".join(f'[profile "{name}"]\n{SETTINGS}' for name in names))
    alice, lab = (
        ProfileOptions(profile=name, endpoint_url=options.endpoint_url, ca_bundle=options.ca_bundle)
        for name in names
    )
    yield alice, lab


def test_profiles_stand_side_by_side(profiles: tuple[ProfileOptions, ProfileOptions], home: Path) -> None:
    alice, lab = profiles
    write(alice, home)
    ((_, why),) = write(lab, home, "admin").apart
    suffix = profile_slug("a lab")
    assert f"web-1_{suffix}" in why
    assert "--profile alice " in settings_of("web-1", home)["proxycommand"]
    assert write(alice, home).apart == ()

    remove_ssh_config(alice, home)
    assert "--profile 'a lab' " in settings_of(INSTANCE_ID, home)["proxycommand"]
    assert settings_of(f"web-1_{suffix}", home)["user"] == "admin"
    remove_ssh_config(lab, home)
    assert list(home.iterdir()) == []


def test_the_profile_of_the_environment_is_kept(
    profiles: tuple[ProfileOptions, ProfileOptions], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_PROFILE", "alice")
    # The former wins, as with the AWS CLI.
    monkeypatch.setenv("AWS_PROFILE", "a lab")
    options = ProfileOptions(endpoint_url=profiles[0].endpoint_url, ca_bundle=profiles[0].ca_bundle)
    assert write(options, home).file.name == "alice.conf"
    assert "--profile alice " in settings_of("web-1", home)["proxycommand"]


def test_what_is_known_of_hosts_goes_with_them(options: ProfileOptions, home: Path) -> None:
    known = write(options, home).file.parent / "profiles" / "default" / "hosts"
    for name in (INSTANCE_ID, "i-0000000000000dead"):
        (known / name).write_text("x")
    write(options, home)
    assert [path.name for path in known.iterdir()] == [INSTANCE_ID]


def test_a_path_that_ssh_config_cannot_have_is_refused(options: ProfileOptions, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption):
        write(options, tmp_path / "a\nb")
    assert not (tmp_path / "a\nb" / "config").exists()


def test_a_home_that_cannot_be_written_is_told_of(options: ProfileOptions, home: Path) -> None:
    home.parent.mkdir(parents=True)
    home.write_text("no directory")
    with pytest.raises(OSError, match=r"exists|directory"):
        write(options, home)
    assert list(home.parent.iterdir()) == [home]
