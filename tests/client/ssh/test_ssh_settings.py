"""User and port as ssh's own files have them, against the ssh of this machine."""

from pathlib import Path

import pytest
from tests.programs import needs

from hatchway.client.discovery.discovery import TunnelOptions
from hatchway.client.ssh.ssh import ssh_options
from hatchway.client.ssh.ssh_config import with_include
from hatchway.client.ssh.ssh_line import parse_ssh_line
from hatchway.client.ssh.ssh_settings import Configured, configured

pytestmark = needs("ssh", "openssh-client")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / ".ssh"
    home.mkdir()
    return home


def told(line: str, home: Path, system: Path | None = None) -> Configured:
    return configured(parse_ssh_line(line.split()), home, system or home / "nowhere")


def test_user_and_port_of_a_host_are_those_of_the_users_own_file(home: Path) -> None:
    (home / "config").write_text("Host web-1 web-2\n  User admin\n  Port=2222\nHost *\n  user everybody\n")
    assert told("web-1", home) == Configured("admin", 2222)
    assert told("db-1 uptime", home) == Configured("everybody", 22)


def test_the_users_file_goes_before_the_one_for_all_and_what_stands_in_neither_is_not_told(
    home: Path,
) -> None:
    system = home.parent / "ssh_config"
    (home / "config").write_text("Host web-1\n  User admin\n")
    assert told("web-1", home, system) == Configured("admin", 22)
    assert told("db-1", home, system) == Configured(None, 22)
    system.write_text("Match host web-1,db-1\n  Port 2222\n  User system\n")
    assert told("web-1", home, system) == Configured("admin", 2222)
    assert told("db-1", home, system) == Configured("system", 2222)


def test_a_file_that_the_line_names_stands_for_both(home: Path) -> None:
    (home / "config").write_text("User admin\n")
    other = home.parent / "other"
    other.write_text("User other\n")
    assert told(f"-F {other} web-1", home) == Configured("other", 22)
    assert told("-F none web-1", home) == Configured()


def test_what_files_include_counts(home: Path) -> None:
    work = home.parent / "work" / "a.conf"
    work.parent.mkdir()
    (home / "config").write_text(f'Include "{work.parent}/*.conf"\n')
    work.write_text("Host web-*\n  User worker\n")
    assert told("web-1", home) == Configured("worker", 22)
    assert told("db-1", home) == Configured(None, 22)
    # One that includes itself is read once, and nothing is made of it, by ssh either.
    work.write_text(f"Include {work}\n")
    assert told("web-1", home) == Configured()


def test_settings_of_the_line_choose_as_they_do_for_ssh(home: Path) -> None:
    (home / "config").write_text("Match user deploy\n  Port 2222\nHost *\n  Port 2022\n")
    assert told("deploy@web-1", home).port == 2222
    assert told("web-1", home).port == 2022


def test_what_is_said_for_the_end_counts_where_nothing_was_said_before(home: Path) -> None:
    (home / "late").write_text("Match final host=web-*\n  User late\n  Port 2222\n")
    (home / "config").write_text(f"Include {home}/late\nHost web-1\n  User admin\n")
    assert told("web-1", home) == Configured("admin", 2222)
    assert told("web-2", home) == Configured("late", 2222)
    assert told("db-1", home) == Configured(None, 22)


def test_names_that_others_give_to_instances_say_nothing(home: Path) -> None:
    ours = home / "hatchway"
    ours.mkdir()
    (ours / "a.conf").write_text("Host web-1\n  HostName i-1\nMatch host i-1\n  User root\n  Port 23\n")
    include = f"Include {ours}/*.conf {ours}/*.any"
    (home / "config").write_text(with_include("Host db-1\n  User admin\n", include))
    assert told("web-1", home) == Configured(None, 22)
    assert told("db-1", home) == Configured("admin", 22)


@pytest.mark.parametrize(
    "text", ["", "# User admin\n", "  #Port 22\nUserKnownHostsFile none\nIdentityFile ~/.ssh/port\n"]
)
def test_ssh_is_not_even_asked_where_no_file_speaks_of_user_or_port(
    home: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config").write_text(text)
    monkeypatch.setenv("PATH", str(home))
    asked = home / "asked"
    (home / "ssh").write_text(f"#!/bin/sh\n: >{asked}\nexit 1\n")
    (home / "ssh").chmod(0o755)
    assert told("web-1", home) == Configured()
    assert not asked.exists()
    (home / "config").write_text(f"{text}Port 2222\n")
    told("web-1", home)
    assert asked.exists()


def test_a_configuration_that_ssh_does_not_accept_is_left_to_ssh(home: Path) -> None:
    (home / "config").write_text("User admin\nNonsense yes\n")
    assert told("web-1", home) == Configured()


def test_what_the_command_line_says_goes_before_the_files() -> None:
    def files(_line: object) -> Configured:
        return Configured("admin", 2222)

    options = ssh_options(["alice@web-1"], None, None, TunnelOptions(), files)
    assert (options.os_user, options.tunnel.remote_port) == ("alice", 2222)
    options = ssh_options(["web-1"], None, 22, TunnelOptions(), files)
    assert (options.os_user, options.tunnel.remote_port) == ("admin", 22)
    options = ssh_options(["web-1"], None, None, TunnelOptions(), lambda _line: Configured())
    assert (options.os_user, options.tunnel.remote_port) == ("ec2-user", 22)
