"""Inventories of Ansible as people have them."""

import json

import pytest
from tests.fleet.importers.sound import sound

from hatchway.fleet.importers import ansible
from hatchway.fleet.importers.ansible import read_ansible
from hatchway.fleet.importers.hosts import NotImported, to_fleet

INI = b"""
# the office
bastion ansible_host=10.1.0.5 ansible_port=2222   ; its sshd is elsewhere

[web]
web[01:03].example.com ansible_user=deploy
10.1.1.9
old.example.com:2200 ansible_host=10.1.1.10

[db]
db-[a:b] ansible_host=10.1.2.7

[windows]
win ansible_host=10.1.3.1 ansible_connection=winrm

[prod:children]
web
db

[prod:vars]
ansible_user = "deploy"
region='eu'

[web:vars]
ansible_port=22
"""
YAML = b"""
all:
  vars: {ansible_port: 22}
  children:
    prod:
      vars: {vault: !vault "secret"}
      children:
        web:
          hosts:
            web-1: {ansible_host: 10.2.1.1, ansible_port: 2022}
            web-2: {ansible_host: "{{ lookup('dns', 'web-2') }}"}
        loop: {children: {prod: {}}}
    db: {hosts: {"db[1:2]": }}
ungrouped: {hosts: {alone: {ansible_host: "fd00::1"}}, vars: null}
strange: 7
"""
MANY_GROUPS = b"---\nall: {hosts: {a: }, children: {%s}}" % b", ".join(b"g%d: " % n for n in range(200))
LIST = {
    "_meta": {"hostvars": {"a": {"ansible_host": "10.3.0.1", "list": [1]}, "b": None}},
    "all": {"children": ["web", "ungrouped"]},
    "web": {"hosts": ["a", "b", 7], "vars": {"ansible_ssh_host": "10.3.0.2"}},
    "strange": ["a"],
}


def test_an_ini_inventory_gives_hosts_with_their_groups_and_says_what_is_left_out() -> None:
    addresses = {f"web0{number}.example.com": f"10.1.1.{number}" for number in (1, 2)}
    found = read_ansible(INI)
    imported = to_fleet(found, vpc="office", resolve=addresses.get)
    fleet = sound(imported)
    assert fleet["vpcs"]["office"]["cidr"] == ["10.1.0.0/23", "10.1.2.0/24"]
    assert set(fleet["instances"]) == {
        "bastion", "web01.example.com", "web02.example.com", "10.1.1.9", "old.example.com", "db-a",
    }  # fmt: skip
    assert fleet["instances"]["db-a"] == {
        "subnet": "office/10.1.2.0-24",
        "private_ip": "10.1.2.7",
        "tags": {"Name": "db-a", "group/db": "true", "group/prod": "true"},
    }
    assert fleet["instances"]["bastion"]["tags"] == {"Name": "bastion"}
    assert imported.notes == (
        "bastion: its sshd listens on port 2222: say so when you connect",
        "old.example.com: its sshd listens on port 2200: say so when you connect",
        "win is left out: it is reached by 'winrm', not by SSH",
        "web03.example.com is left out: 'web03.example.com' is no IP address: give one, or --resolve",
        "db-b is left out: db-a has its address 10.1.2.7",
    )


def test_a_yaml_inventory_is_read_past_what_only_ansible_understands() -> None:
    found = read_ansible(YAML)
    fleet = sound(to_fleet(found, vpc="v", resolve={"db1": "10.2.2.1"}.get))
    assert set(fleet["instances"]) == {"web-1", "db1", "alone"}
    assert fleet["instances"]["alone"]["subnet"] == "v/fd00::-64"
    assert [note.partition(":")[0] for note in found.notes] == [
        "web-1",
        "web-2 is left out",
        "db2 is left out",
    ]
    tags = fleet["instances"]["web-1"]["tags"]
    assert tags == {"Name": "web-1", "group/loop": "true", "group/prod": "true", "group/web": "true"}


def test_what_ansible_inventory_prints_is_read_with_the_variables_of_groups() -> None:
    found = read_ansible(json.dumps(LIST).encode())
    assert {host.name: host.address for host in found.hosts} == {"a": "10.3.0.1", "b": "10.3.0.2"}


def test_ranges_may_have_steps_and_several_stand_in_one_name() -> None:
    found = read_ansible(b"r[1:2]-[0:10:5]\n")
    assert [host.name for host in found.hosts] == ["r1-0", "r1-5", "r1-10", "r2-0", "r2-5", "r2-10"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a[1:b]", "no range of hosts"),
        (b"a 'unclosed", "line 1"),
        (b"---\n[1, 2]", "holds no groups"),
        (b"---\na: {b: {c: d}}", "no group of it"),
        (b"---\na: [", "line"),
        (b"\xff", "not UTF-8"),
        (b"a[1:200]", "more than 100 hosts"),
        (MANY_GROUPS, "more than 100 groups"),
        (b"a[0:999999999999][1:0]", "no range of hosts"),
        (b"a[0:999999999999][b:a]", "no range of hosts"),
        (b"a" + b"[1:2]" * 3000, "more than 16 ranges"),
        (b"---\na: {hosts: &a {b: {c: *a}}}", "no anchor"),
        (
            b"---\na: &a [x, x]\n" + b"".join(b"b%d: &b%d [%s]\n" % (n, n, b"*a, " * 9) for n in range(3)),
            "no group",
        ),
        (b"---\n" + b"- " * 5000 + b"x", "nested"),
        (b"---\na: " + b"x" * 1000, "no group of it"),
    ],
)
def test_what_is_no_inventory_or_too_much_of_one_is_refused(
    content: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ansible, "MOST_HOSTS", 100)
    with pytest.raises(NotImported, match=words):
        read_ansible(content)


def test_groups_that_are_each_other_s_children_end() -> None:
    text = b"[a:children]\nb\n[b:children]\na\nb\n[b]\nx ansible_host=10.0.0.7\n"
    (host,) = read_ansible(text).hosts
    assert host.tags == {"Name": "x", "group/a": "true", "group/b": "true"}
    tree = b"---\na: {children: {b: {children: {a: {hosts: {x: {ansible_host: 10.0.0.7}}}}}}}\n"
    assert read_ansible(tree).hosts[0].tags == host.tags


def test_groups_within_groups_are_counted_before_they_cost_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ansible, "_MOST_MEMBERSHIPS", 1000)
    deep = "".join(f"[g{number}:children]\ng{number + 1}\n" for number in range(60))
    with pytest.raises(NotImported, match="too many groups"):
        read_ansible(deep.encode())
    wide = "".join(f"[g{number}]\na\nb\n" for number in range(600))
    with pytest.raises(NotImported, match="too many groups"):
        read_ansible(wide.encode())


def test_an_inventory_of_comments_alone_has_no_hosts() -> None:
    assert read_ansible(b"# nothing\n").hosts == []
