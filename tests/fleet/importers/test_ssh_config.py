"""ssh_config files as people have them."""

import pytest
from tests.fleet.importers.sound import sound

from hatchway.fleet.importers import ssh_config
from hatchway.fleet.importers.hosts import NotImported, to_fleet
from hatchway.fleet.importers.ssh_config import read_ssh_config

CONFIG = b"""
# mine
Include conf.d/*
Host web-* !web-9
    User deploy
    Port=2222

Host web-1 "db 1"
    HostName 10.4.0.1   # the first
Host web-9
    HostName = "10.4.0.9"
Host named
    HostName %h.example.com
Host odd
    HostName %r.example.com
Match exec "true"
    HostName 10.4.0.66
Host *
    Port 22
    HostName 10.4.0.99
    Include late
Host last
    Include inner
"""


def include(pattern: str) -> list[bytes]:
    return {"conf.d/*": [b"Host lab\n  HostName 10.4.1.1\n", b"HostName 10.4.0.1\n"]}.get(pattern, [b""])


def test_each_named_host_has_the_first_value_that_is_for_it() -> None:
    found = read_ssh_config(
        CONFIG.replace(b"HostName 10.4.0.99\n", b""), lambda pattern: [*include(pattern)][:1]
    )
    assert {host.name: host.address for host in found.hosts} == {
        "lab": "10.4.1.1",
        "web-1": "10.4.0.1",
        "db 1": "10.4.0.1",
        "web-9": "10.4.0.9",
        "named": "named.example.com",
        "last": "last",
    }
    assert found.notes == [
        "line 16: what follows 'Match' is left out",
        "'Include' below 'Host last' is left out: put it first of all",
        "web-1: its sshd listens on port 2222: say so when you connect",
        "odd is left out: its HostName '%r.example.com' depends on more than the host",
    ]
    assert set(sound(to_fleet(found, vpc="v"))["instances"]) == {"lab", "web-1", "web-9"}


def test_what_stands_before_any_host_is_for_all() -> None:
    assert [host.address for host in read_ssh_config(b"HostName 10.0.0.7\nHost a\n").hosts] == ["10.0.0.7"]


def test_a_bracket_is_no_pattern() -> None:
    found = read_ssh_config(b"Host [ab]*\n HostName 10.0.0.7\nHost a\n HostName 10.0.0.8\n")
    assert [(host.name, host.address) for host in found.hosts] == [("a", "10.0.0.8")]


def test_files_that_include_themselves_end() -> None:
    with pytest.raises(NotImported, match="never ends"):
        read_ssh_config(b"Include me", lambda _: [b"Include me"])


def test_what_is_too_much_or_no_configuration_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotImported, match="line 1"):
        read_ssh_config(b'Host "a')
    monkeypatch.setattr(ssh_config, "MOST_HOSTS", 1)
    with pytest.raises(NotImported, match="too many hosts"):
        read_ssh_config(b"Host a b")
    monkeypatch.setattr(ssh_config, "MOST_BYTES", 9)
    with pytest.raises(NotImported, match="MiB"):
        read_ssh_config(b"Include a", lambda _: [b"Host b"])
    assert read_ssh_config(b"Include a").hosts == []


def test_long_lines_and_many_patterns_are_refused_before_they_cost_anything() -> None:
    with pytest.raises(NotImported, match="line 2 has more than"):
        read_ssh_config(b"Host a\nHostName " + b"a" * 70_000)
    patterns = b"".join(b"Host *%d b%d\n Port 22\n" % (number, number) for number in range(2500))
    with pytest.raises(NotImported, match="too many hosts and patterns"):
        read_ssh_config(patterns)
    found = read_ssh_config(b"Host \x1b[31m\n Include x\nHost b\n HostName 10.0.0.7\n")
    assert all(note.isprintable() for note in found.notes)
