"""Inventories of other programs: whatever they hold, what is imported is a fleet file that is sound."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from fuzz.draws import Draws
from hatchway.fleet.importers.ansible import read_ansible
from hatchway.fleet.importers.csv_table import read_csv
from hatchway.fleet.importers.ec2 import Ec2Account, import_ec2
from hatchway.fleet.importers.hosts import Found, ImportedFile, NotImported, to_fleet
from hatchway.fleet.importers.ssh_config import read_ssh_config
from hatchway.fleet.parsing import parse_fleet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_READERS: Mapping[str, Callable[[bytes], Found]] = {
    "ansible": read_ansible,
    "csv": read_csv,
    "ssh-config": lambda content: read_ssh_config(content, lambda pattern: [pattern.encode()] * 2),
}
_WORDS = (
    "i-0123456789abcdef0", "10.0.1.7", "10.0.0.0/16", "fd00::7", "a", "é\u2028", "", "running", "gone",
    "us-east-1a", "default", "10.0.1.7/33", "\x00", "aws:x", "127.0.0.1", "a/b", ":a",
)  # fmt: skip


def one_input(data: bytes) -> None:
    draws = Draws(data)
    kind = draws.one_of(("ec2", *_READERS))
    try:
        imported = _of_ec2(draws) if kind == "ec2" else to_fleet(_READERS[kind](draws.rest()), vpc="imported")
    except NotImported as problem:
        assert str(problem)
        return
    assert imported.instances
    fleet = parse_fleet(imported.text.encode())
    assert len(fleet.instances) == imported.instances
    assert all(note.isprintable() for note in imported.notes), imported.notes


def _of_ec2(draws: Draws) -> ImportedFile:
    """Of answers with the members that EC2's always have, and any values."""

    def word() -> str:
        return draws.one_of(_WORDS) if not draws.chance(6) else draws.text(12)

    instances = [
        {
            "InstanceId": f"i-{draws.below(5):017x}",
            "PrivateIpAddress": draws.one_of((word(), f"10.0.1.{draws.below(250)}")),
            "VpcId": f"vpc-{draws.below(3)}",
            "SubnetId": f"subnet-{draws.below(3)}",
            "State": {"Name": draws.one_of(("running", "stopped", word()))},
            "InstanceType": word(),
            "Tags": [{"Key": word(), "Value": word()} for _ in range(draws.below(4))],
        }
        for _ in range(draws.below(6))
    ]
    return import_ec2(Ec2Account(instances=instances, names={f"i-{draws.below(5):017x}": word()}))


def seeds() -> list[bytes]:
    texts = {
        1: (
            b"[web]\nweb[01:03].example.com\n10.1.1.9:2200\n[db:children]\nweb\n[web:vars]\nansible_port=22\n",
            b"all: {hosts: {a: {ansible_host: 10.0.1.7}}, children: {b: {children: {all: }}}}\n",
            json.dumps(
                {"_meta": {"hostvars": {"a": {"ansible_host": "10.0.1.7"}}}, "w": {"hosts": ["a"]}}
            ).encode(),
            b"a[0:999999999999][1:0]",
            b"a" + b"[1:2]" * 300,
            b"---\na: &a {hosts: {b: *a}}\n",
            b"- " * 60 + b"x",
        ),
        2: (
            b"name,ip,tag:env\na,10.0.1.7,dev\n",
            b'name;address\n"a\nb";10.0.1.8\n',
            b"name,address\n\0,10.0.1.9\n",
        ),
        3: (
            b"Host a b\n HostName %h.test\nHost *\n Port=22\n",
            b"Include Include\nHost a\n HostName 10.0.1.7\n Include x\nMatch all\n Port 1\n",
            b'Host "a b" !c [d\n HostName "10.0.1.7"\n',
        ),
    }
    return [bytes([kind]) + text for kind, some in texts.items() for text in some] + [
        b"\0" + bytes(at * 11 % 256 for at in range(start, start + 120)) for start in range(20)
    ]


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    texts = {
        "hosts": ("ansible", b"".join(b"h%d ansible_host=10.0.1.7\n" % number for number in range(size))),
        "groups": ("ansible", b"".join(b"[g%d]\nh%d\n" % (number, number) for number in range(size))),
        "variables": ("ansible", b"a " + b"x=1 " * size),
        "a tree": ("ansible", b"---\n" + b"".join(b"g%d: {hosts: {h%d: }}\n" % (n, n) for n in range(size))),
        "rows": ("csv", b"name,ip\n" + b"a,10.0.1.7\n" * size),
        "columns": ("csv", b"name,ip" + b",x" * size + b"\n"),
        "lines": ("ssh-config", b"Port 22\n" * size),
        "a long line": ("ssh-config", b"Host " + b"a" * size),
    }

    def work(kind: str, text: bytes) -> None:
        try:
            _READERS[kind](text)
        except NotImported as problem:
            str(problem)

    return {what: partial(work, kind, text) for what, (kind, text) in texts.items()}
