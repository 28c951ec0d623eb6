"""What OpenSSH's own configuration is told of hosts: its words, and what a real ssh makes of them."""

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.programs import needs

from hatchway.client.discovery.hosts import Host
from hatchway.client.ssh.ssh_config import (
    NamedHost,
    Settings,
    alike,
    any_host_text,
    files_included,
    hosts_text,
    name_hosts,
    names_written,
    patterns_written,
    told_apart,
    with_include,
    without_include,
)

WEB, DATABASE = "i-0123456789abcdef1", "i-0123456789abcdef2"
SETTINGS = Settings(
    os_user="ec2-user",
    proxy_command="hatchway open-tunnel --remote-port %p '%h'",
    identity_file='"/a b/key"',
    known_hosts='"/a b/hosts/%h"',
)
INCLUDE = "Include hatchway/*.conf hatchway/*.any"


def called(*names: str) -> list[Host]:
    return [
        Host(instance_id=f"i-{number:017x}", state="running", tags={"Name": name} if name else {})
        for number, name in enumerate(names)
    ]


def settings_of(host: str, config: str, directory: Path) -> dict[str, str]:
    file = directory / "config"
    file.write_text(config)
    command = ["ssh", "-F", str(file), "-G", "--", host]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.partition(" ")[::2] for line in shown.splitlines())


@needs("ssh", "openssh-client")
def test_ssh_finds_by_a_name_what_it_finds_by_the_id(tmp_path: Path) -> None:
    hosts = [NamedHost(WEB, ("web-1", "web-1_lab")), NamedHost(DATABASE, ())]
    text = hosts_text(hosts, [WEB], SETTINGS, "x")
    for name in ("web-1", "web-1_lab", WEB):
        found = settings_of(name, text, tmp_path)
        assert found["hostname"] == WEB
        assert found["user"] == "ec2-user"
        assert found["proxycommand"] == SETTINGS.proxy_command
        assert found["identityfile"] == "/a b/key"
        assert found["userknownhostsfile"].replace("%h", WEB) == f"/a b/hosts/{WEB}"
        assert found["stricthostkeychecking"] == "true"
        assert (found["verifyhostkeydns"], found["globalknownhostsfile"]) == ("false", "/dev/null")
    assert settings_of(DATABASE, text, tmp_path)["stricthostkeychecking"] == "ask"
    assert settings_of("bob@web-1", text, tmp_path)["user"] == "bob"
    for other in ("i-9", "web-2"):
        assert "proxycommand" not in settings_of(other, text, tmp_path)
    assert (
        settings_of("i-9", any_host_text(SETTINGS, "x"), tmp_path)["proxycommand"] == SETTINGS.proxy_command
    )


@needs("ssh", "openssh-client")
@pytest.mark.parametrize("name", ["i-build.example", "i-a/../../../authorized_keys"])
def test_what_is_no_id_is_left_to_the_users_own_configuration(name: str, tmp_path: Path) -> None:
    found = settings_of(name, any_host_text(SETTINGS, "x"), tmp_path)
    assert "proxycommand" not in found
    assert "/a b/hosts" not in found["userknownhostsfile"]


@needs("ssh", "openssh-client")
def test_a_thousand_hosts_are_found_too(tmp_path: Path) -> None:
    hosts = [NamedHost(f"i-{number:017x}", (f"web-{number}",)) for number in range(1000)]
    found = settings_of(
        "web-999", hosts_text(hosts, [each.instance_id for each in hosts], SETTINGS, "x"), tmp_path
    )
    assert (found["hostname"], found["stricthostkeychecking"]) == (hosts[-1].instance_id, "true")


@pytest.mark.parametrize(
    ("names", "taken", "written"),
    [
        (["web-1"], [], [("web-1", "web-1_lab")]),
        ([""], [], [()]),
        (["twin", "Twin"], [], [(), ()]),
        # A name of the DNS, of this machine, and of what the user's ssh knows already.
        (["github.com"], [], [("github.com_lab",)]),
        (["localhost"], [], [("localhost_lab",)]),
        (["NAS"], ["nas"], [("NAS_lab",)]),
        (["NAS"], ["nas_lab"], [("NAS",)]),
        (["NAS"], ["nas", "nas_lab"], [()]),
        (["x.y"], ["x.y_lab"], [()]),
        # Of another host, with its profile: of this one or another.
        (["web", "web_LAB"], [], [("web", "web_lab"), ("web_LAB_lab",)]),
        (["web_bob"], [], [("web_bob_lab",)]),
        (["10.0.1.1"], [], [()]),
        (["i-0"], [], [()]),
    ],
)
def test_a_host_is_called_what_is_no_other_hosts_name(
    names: list[str], taken: list[str], written: list[tuple[str, ...]]
) -> None:
    named, apart = name_hosts(called(*names), "lab", taken, ["bob"])
    assert [each.names for each in named] == written
    plain = [host for host, each in zip(called(*names), named, strict=True) if host.name in each.names]
    assert {host.instance_id for host, _ in apart} == {
        host.instance_id for host in called(*names) if host.name and host not in plain
    }


def test_hosts_of_one_name_are_told_of_in_one_line() -> None:
    hosts = called("twin", *["worker"] * 150, "a b", "Twin")
    told = told_apart(name_hosts(hosts, "lab", [])[1])
    assert told == [
        f"a b ({hosts[-2].instance_id}) has a name that ssh_config cannot have",
        f"twin is the name of 2 hosts: call each by its id, such as {hosts[0].instance_id}",
        f"worker is the name of 150 hosts: call each by its id, such as {hosts[1].instance_id}",
    ]


@pytest.mark.parametrize(
    ("name", "profile", "written"),
    [
        ("www", "example.com", ("www", "www_example-com")),
        ("git.example", "dev", ("git.example_dev",)),
        ("github", "com", ("github", "github_com")),
        ("git.example", "example.com", ("git.example_example-com",)),
    ],
)
def test_no_host_is_called_like_one_of_the_dns_however_a_profile_is_called(
    name: str, profile: str, written: tuple[str, ...]
) -> None:
    (host,), _ = name_hosts(called(name), profile, ())
    assert host.names == written


@given(st.lists(st.text(max_size=20), max_size=4))
def test_no_name_says_more_than_itself(names: list[str]) -> None:
    hosts = called(*names)
    named, _ = name_hosts(hosts, "lab", ())
    text = hosts_text(named, (), SETTINGS, "x")
    lines = [line for line in text.splitlines() if line.startswith("Host ")]
    words = [word for line in lines for word in shlex.split(line)[1:]]
    assert words == [name for each in named for name in each.names]
    assert all(word.removesuffix("_lab") in names for word in words)


@given(st.text(alphabet="ab \t\n\r#é", max_size=30))
def test_what_was_added_to_a_configuration_can_be_taken_away_again(config: str) -> None:
    with_ours = with_include(config, INCLUDE)
    assert with_ours.splitlines()[1] == INCLUDE
    assert with_include(with_ours, INCLUDE) == with_ours
    assert without_include(with_ours) == config
    assert without_include(config) == config


def test_lines_that_were_put_behind_our_mark_stay() -> None:
    changed = with_include("", INCLUDE).replace(INCLUDE, "Host mine")
    assert without_include(changed) == "Host mine\n\n"


def test_the_names_in_a_configuration_are_those_of_single_hosts() -> None:
    config = 'Host a "b" *.c !d\n  host=e\nHostName f\nMatch host g\n\tHOST\th\n#Host i\n'
    assert names_written(config) == {"a", "b", "e", "h"}


def test_what_a_configuration_says_of_hosts_is_read_from_all_its_lines() -> None:
    config = (
        'Host a *.c "?d" !e\nHost *\n match user x host f,g*,!h\nMatch all\nMatch !originalhost=x i\n'
        'Include config.d/* "~/x"\n'
    )
    assert patterns_written(config) == {"a", "*.c", "?d", "e", "f", "g*", "h", "x"}
    assert files_included(config) == ["config.d/*", "~/x"]


def test_names_between_which_no_pattern_tells_are_together() -> None:
    names = ["web-1", "web-2", "Web-3", "db", "x[1]", "other"]
    assert alike(names, {"web-*", "db", "x[1]", "x?1]"}) == [["web-1", "web-2"], ["Web-3"], ["db"], ["x[1]"]]
    assert alike(names, ()) == []
