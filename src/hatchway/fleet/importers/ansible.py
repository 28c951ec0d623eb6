"""Ansible's inventories (Ansible documentation: "How to build your inventory").

Hosts, groups and their variables are read in INI, in YAML, and as `ansible-inventory --list` prints them,
which is what is best for inventories that plugins and scripts make. Of the variables those count that say how
a host is reached.
"""

import re
import shlex
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hatchway.fleet.importers.hosts import MOST_HOSTS, Found, ImportedHost, NotImported, content_text
from hatchway.fleet.problems import BadFleet, quoted
from hatchway.fleet.text import read_text

_RANGE: Final = re.compile(r"\[(\w{1,12}):(\w{1,12})(?::(\d{1,6}))?\]", re.ASCII)
_SECTION: Final = re.compile(r"\[([^\[\]:]+)(?::(vars|children))?\]\s*(?:[#;].*)?")
_PORT: Final = re.compile(r"([^:\[\]]+):(\d{1,5})")
_MOST_RANGES: Final = 16
"""In one name of hosts."""
_MOST_MEMBERSHIPS: Final = 2_000_000
"""Groups of all groups and hosts, those above them counted."""
_VARIABLES: Final = (
    "ansible_connection", "ansible_host", "ansible_ssh_host", "ansible_port", "ansible_ssh_port",
)  # fmt: skip
"""All that counts here."""
_BY_SSH: Final = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "")


@dataclass(slots=True)
class _Group:
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Inventory:
    hosts: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, _Group] = field(default_factory=dict)

    def group(self, name: str) -> _Group:
        return self.groups.setdefault(name, _Group())

    def host(self, pattern: str, group: str, variables: Mapping[str, Any]) -> None:
        """
        Raises:
            NotImported: there are too many.
        """
        for name in _expanded(pattern):
            self.hosts.setdefault(name, {}).update(_texts(variables))
            self.group(group).hosts[name] = None
            if len(self.hosts) > MOST_HOSTS:
                raise NotImported(f"it has more than {MOST_HOSTS} hosts: import it in parts")


def read_ansible(content: bytes) -> Found:
    """The hosts of an inventory, each with a tag for every group that it is in.

    Raises:
        NotImported: it is no inventory.
    """
    text = content_text(content)
    inventory = _Inventory()
    if _is_ini(text):
        _read_ini(text, inventory)
    else:
        try:
            document = read_text(content, any_tag=True)
        except BadFleet as problem:
            raise NotImported(str(problem)) from None
        if not isinstance(document, dict):
            raise NotImported("it is no inventory: it holds no groups")
        (_read_list if "_meta" in document else _read_tree)(document, inventory)
    return _found(inventory)


def _is_ini(text: str) -> bool:
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith(("#", ";")):
            continue
        return not (line.startswith(("{", "---", "%")) or line.endswith(":") or ": " in line)
    return True


# --- the three forms --------------------------------------------------------------------------------------


def _read_ini(text: str, inventory: _Inventory) -> None:
    group, kind = "ungrouped", None
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith(("#", ";")):
            continue
        if line.startswith("[") and (section := _SECTION.fullmatch(line)):
            group, kind = section[1].strip(), section[2]
            inventory.group(group)
        elif kind == "vars":
            key, _, value = line.partition("=")
            inventory.group(group).variables.update(_texts({key.strip(): value.strip().strip("\"'")}))
        else:
            try:
                words = shlex.split(line, comments=True)
            except ValueError as problem:
                raise NotImported(f"line {number}: {problem}") from None
            if kind == "children":
                inventory.group(group).children[words[0]] = None
                inventory.group(words[0])
                continue
            variables = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            pattern = words[0]
            if (with_port := _PORT.fullmatch(pattern)) is not None:
                pattern = with_port[1]
                variables.setdefault("ansible_port", with_port[2])
            inventory.host(pattern, group, variables)


def _read_tree(document: Mapping[str, Any], inventory: _Inventory) -> None:
    waiting = deque((name, group) for name, group in document.items() if isinstance(group, dict | None))
    if not any(group and {"hosts", "children", "vars"} & set(group) for _, group in waiting):
        raise NotImported("it is no inventory: no group of it has hosts, children or vars")
    while waiting:
        name, group = waiting.popleft()
        known = inventory.group(name)
        for host, variables in _mapping(group, "hosts").items():
            inventory.host(host, name, variables if isinstance(variables, dict) else {})
        known.variables.update(_texts(_mapping(group, "vars")))
        for child, inner in _mapping(group, "children").items():
            known.children[child] = None
            waiting.append((child, inner))
            if len(inventory.groups) + len(waiting) > MOST_HOSTS:
                raise NotImported(f"it has more than {MOST_HOSTS} groups: import it in parts")


def _read_list(document: Mapping[str, Any], inventory: _Inventory) -> None:
    for name, group in document.items():
        if name == "_meta" or not isinstance(group, dict):
            continue
        known = inventory.group(name)
        known.variables.update(_texts(_mapping(group, "vars")))
        for host in _list(group, "hosts"):
            inventory.hosts.setdefault(host, {})
            known.hosts[host] = None
        known.children.update(dict.fromkeys(_list(group, "children")))
    for host, variables in _mapping(document["_meta"], "hostvars").items():
        inventory.hosts.setdefault(host, {}).update(_texts(variables if isinstance(variables, dict) else {}))


def _mapping(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _list(value: Mapping[str, Any], key: str) -> list[str]:
    found = value.get(key)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def _texts(variables: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(variables[key]) for key in _VARIABLES if isinstance(variables.get(key), str | int)}


def _expanded(pattern: str) -> Iterator[str]:
    """The hosts that a pattern such as `web[01:20]` stands for.

    Raises:
        NotImported: it stands for none, or nobody could mean it.
    """
    if len(_RANGE.findall(pattern)) > _MOST_RANGES:
        raise NotImported(f"{quoted(pattern)} has more than {_MOST_RANGES} ranges")
    match = _RANGE.search(pattern)
    if match is None:
        yield pattern
        return
    first, last, step = match[1], match[2], int(match[3] or 1) or 1
    names: Iterator[str] | None
    if first.isdecimal() and last.isdecimal():
        width = len(first) if first.startswith("0") else 0
        numbers = range(int(first), int(last) + 1, step)
        names = (str(number).zfill(width) for number in numbers) if numbers else None
    elif len(first) == len(last) == 1 and first.isalpha() and last.isalpha():
        codes = range(ord(first), ord(last) + 1, step)
        names = (chr(code) for code in codes) if codes else None
    else:
        names = None
    if names is None:
        # An empty one would be gone through for each host of those before it.
        raise NotImported(f"{quoted(pattern)} is no range of hosts")
    for name in names:
        yield from _expanded(f"{pattern[: match.start()]}{name}{pattern[match.end() :]}")


# --- what they come to ------------------------------------------------------------------------------------


def _found(inventory: _Inventory) -> Found:
    found = Found()
    groups_of = _memberships(inventory)
    for name, own in inventory.hosts.items():
        variables: dict[str, str] = dict(inventory.groups.get("all", _Group()).variables)
        for group in groups_of.get(name, ()):
            variables |= inventory.groups[group].variables
        variables |= own
        connection = variables.get("ansible_connection", "ssh")
        address = variables.get("ansible_host") or variables.get("ansible_ssh_host") or name
        if connection not in _BY_SSH:
            found.leave_out(name, f"it is reached by {quoted(connection)}, not by SSH")
            continue
        if "{{" in address or "{%" in address:
            found.leave_out(
                name,
                "its address is a template: import what 'ansible-inventory --list' prints with its values",
            )
            continue
        port = variables.get("ansible_port") or variables.get("ansible_ssh_port") or "22"
        if port != "22":
            found.say(name, f"its sshd listens on port {quoted(port)[1:-1]}: say so when you connect")
        groups = {f"group/{group}": "true" for group in sorted(groups_of.get(name, ()))}
        found.hosts.append(ImportedHost(name=name, address=address, tags={"Name": name, **groups}))
    return found


def _memberships(inventory: _Inventory) -> dict[str, list[str]]:
    """The groups of each host, parents before children, as their variables override each other."""
    parents: dict[str, list[str]] = {}
    for name, group in inventory.groups.items():
        for child in group.children:
            parents.setdefault(child, []).append(name)
    above: dict[str, list[str]] = {}
    counted = 0

    def count(groups: int) -> None:
        nonlocal counted
        counted += groups
        if counted > _MOST_MEMBERSHIPS:
            raise NotImported("its hosts are in too many groups: import it in parts")

    for name in inventory.groups:
        line, waiting = dict.fromkeys([name]), [name]
        while waiting:
            for parent in parents.get(waiting.pop(), ()):
                if parent not in line:
                    line[parent] = None
                    waiting.append(parent)
            count(1)
        above[name] = [each for each in reversed(line) if each not in ("all", "ungrouped")]
    memberships: dict[str, dict[str, None]] = {}
    for name, group in inventory.groups.items():
        for host in group.hosts:
            count(len(above[name]))
            memberships.setdefault(host, {}).update(dict.fromkeys(above[name]))
    return {host: list(groups) for host, groups in memberships.items()}
