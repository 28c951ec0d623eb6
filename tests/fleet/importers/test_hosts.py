"""What hosts come to as a fleet file, whatever they are called."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fleet.importers.sound import sound

from hatchway.domain.network import InstanceState
from hatchway.fleet.importers import hosts
from hatchway.fleet.importers.hosts import (
    Found,
    ImportedHost,
    NotImported,
    content_text,
    fleet_name,
    good_tags,
    to_fleet,
)

TAGS = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3)


def named(*pairs: tuple[str, str]) -> Found:
    return Found([ImportedHost(name=name, address=address) for name, address in pairs])


def test_addresses_that_no_host_of_a_likely_network_has_are_left_out() -> None:
    found = named(
        ("a", "10.0.0.0"), ("b", "10.0.0.255"), ("c", "127.0.0.1"), ("d", "224.0.0.1"), ("e", "::"),
        ("f/g", "10.0.0.1"), ("f?g", "10.0.0.2"), ("h", "10.0.0.3"), ("v6", "::5"),
    )  # fmt: skip
    fleet = sound(to_fleet(found, vpc="v"))
    assert set(fleet["instances"]) == {"f-g", "h", "v6"}
    assert fleet["instances"]["v6"]["subnet"] == "v/0::-64"
    assert [note.partition(" is")[0] for note in found.notes] == ["a", "b", "c", "d", "e", "f?g"]
    wide = sound(to_fleet(named(("a", "10.0.1.0"), ("b", "10.0.0.255")), vpc="v", prefix=16))
    assert wide["vpcs"]["v"]["subnets"] == {"10.0.0.0-16": {"cidr": "10.0.0.0/16"}}


def test_nothing_to_import_is_said_with_what_was_left_out() -> None:
    with pytest.raises(NotImported, match=r"x is left out.*\n.*no host that could be imported"):
        to_fleet(named(("x", "y")), vpc="v")


def test_hosts_beyond_what_is_imported_at_once_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "MOST_HOSTS", 1)
    imported = to_fleet(named(("a", "10.0.0.1"), ("b", "10.0.0.2")), vpc="v")
    assert imported.notes == ("only the first 1 of 2 hosts were looked at",)


def test_tags_that_nothing_can_have_are_left_out_and_reserved_ones_in_silence() -> None:
    found = Found()
    many = {f"k{number}": "v" for number in range(60)}
    assert good_tags(found, "x", {"aws:a": "b", "": "a", "A": "1", "a": "2", "n\n": "", "l": "x" * 300}) == {
        "A": "1"
    }
    assert len(good_tags(found, "y", many)) == 50
    assert [note.partition(":")[0] for note in found.notes] == ["x", "y"]


def test_all_that_is_known_of_a_host_is_kept_but_for_a_type_that_is_none() -> None:
    known = ImportedHost(
        name="a",
        address="10.0.0.1",
        id="i-0123456789abcdef0",
        state=InstanceState.STOPPED,
        instance_type="rack.r640",
        tags={"env": "dev"},
    )
    found = Found([known, replace(known, name="b", address="10.0.0.2", id=None, instance_type="Rack!")])
    fleet = sound(to_fleet(found, vpc="v"))
    assert fleet["instances"]["a"] == {
        "id": "i-0123456789abcdef0",
        "subnet": "v/10.0.0.0-24",
        "private_ip": "10.0.0.1",
        "state": "stopped",
        "instance_type": "rack.r640",
        "tags": {"env": "dev"},
    }
    assert found.notes == ["b: 'Rack!' is no instance type, and left out"]


def test_content_is_text_of_a_size_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotImported, match="byte 1"):
        content_text(b"a\xff")
    assert content_text(b"\xef\xbb\xbfa") == "a"
    monkeypatch.setattr(hosts, "MOST_BYTES", 2)
    with pytest.raises(NotImported, match="more than"):
        content_text(b"abc")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=140), st.ip_addresses().map(str), TAGS), min_size=1, max_size=4))
def test_whatever_hosts_are_called_the_file_is_sound(drawn: list[tuple[str, str, dict[str, str]]]) -> None:
    found = Found([ImportedHost(name=name, address=address, tags=tags) for name, address, tags in drawn])
    try:
        imported = to_fleet(found, vpc="v")
    except NotImported:
        return
    sound(imported)


@given(st.text(max_size=200))
def test_a_name_of_a_fleet_file_is_made_of_any_text(text: str) -> None:
    assert 1 <= len(fleet_name(text)) <= 128
