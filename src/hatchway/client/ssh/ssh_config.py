"""What OpenSSH's own configuration is told of hosts, so that plain `ssh web-1` goes through Hatchway. Pure.

Of a setting ssh takes the first value that it finds (ssh_config(5)), so what is written here is included
before everything of the user's. A host gets its instance's id for its HostName, by which all else is chosen:

    Host web-1 web-1_alice
        HostName i-0123456789abcdef1
    Match host i-0123456789abcdef1
        ProxyCommand hatchway open-tunnel … --remote-port %p '%h'

What the ProxyCommand runs pushes the key and writes known_hosts before the tunnel has its first byte: ssh
reads either only when it has the host's.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from hatchway.client.discovery.hosts import names_a_host
from hatchway.client.errors import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hatchway.client.discovery.hosts import Host

PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
"""What means nothing but itself to ssh, to a shell and in a path."""

_MARK: Final = "# Hatchway's hosts; 'hatchway ssh-config --remove' takes these two lines away."
_BY_REPORTED_KEYS: Final = (
    "    StrictHostKeyChecking yes",
    # Neither the system's known hosts nor the DNS may vouch for another key.
    "    GlobalKnownHostsFile /dev/null",
    "    VerifyHostKeyDNS no",
)
_LONGEST_LINE: Final = 900
"""Characters of patterns in a line, well within what any OpenSSH reads."""


@dataclass(frozen=True, slots=True)
class NamedHost:
    """A host with the names that are written for it, of which there may be none."""

    instance_id: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a profile's hosts have in common: values as ssh_config has them, paths in quotes.

    `known_hosts` has `%h` for the instance's id. `known_hosts_command` is None for an ssh that has none.
    """

    os_user: str
    proxy_command: str
    identity_file: str
    known_hosts: str
    known_hosts_command: str | None = None


_OF_SEVERAL: Final = "a name that several hosts have"


def told_apart(apart: Sequence[tuple[Host, str]]) -> list[str]:
    """A line for each of the hosts that are not called as they are; one for all of a name, which
    may be hundreds that one template has made."""
    of_name: dict[str, list[Host]] = {}
    for host, why in apart:
        if why == _OF_SEVERAL:
            of_name.setdefault(host.name.lower(), []).append(host)
    return [
        *(f"{host} has {why}" for host, why in apart if why != _OF_SEVERAL),
        *(
            f"{printable(first.name, 300)} is the name of {1 + len(others)} hosts: call each by its id, such"
            f" as {first.instance_id}"
            for first, *others in of_name.values()
        ),
    ]


def name_hosts(
    hosts: Sequence[Host], suffix: str, taken: Iterable[str], others: Iterable[str] = ()
) -> tuple[list[NamedHost], list[tuple[Host, str]]]:
    """Which names are written for each host; and the hosts that are not called as they are, with the reason.

    Whoever may tag an instance gives it any name: none may stand for a name of the DNS, which has a dot, nor
    for one that the user has given to something else. So each is called by its `full_name` as well.

    Args:
        suffix: the profile's.
        taken: names that mean something else to this user's ssh already.
        others: the suffixes of this user's other profiles.
    """
    elsewhere = {name.lower() for name in taken} | {"localhost"}
    tails = tuple(full_name("", each).lower() for each in (suffix, *others))
    times = Counter(host.name.lower() for host in hosts)
    named, apart = [], []
    for host in hosts:
        names: tuple[str, ...] = ()
        if host.name and not (PLAIN_NAME.fullmatch(host.name) and names_a_host(host.name)):
            apart.append((host, "a name that ssh_config cannot have"))
        elif host.name and times[host.name.lower()] > 1:
            apart.append((host, _OF_SEVERAL))
        elif host.name:
            full = full_name(host.name, suffix)
            names = tuple(name for name in (host.name, full) if name.lower() not in elsewhere)
            if "." in host.name or host.name.lower().endswith(tails):
                names = tuple(name for name in names if name == full)
            if names[:1] != (host.name,):
                called = f"it is called {full}" if names else "call it by its id"
                apart.append((host, f"a name that may be another host's: {called}"))
        named.append(NamedHost(host.instance_id, names))
    return named, apart


def full_name(name: str, suffix: str) -> str:
    """A host's name that tells of its profile too: `web-1_alice`.

    A profile may be called like a domain, as `example.com` or `dev`, or like one that is somebody's own, as
    `corp`. No host of the DNS ends so (RFC 1123 section 2.1).
    """
    return f"{name}_{suffix.replace('.', '-')}"


def hosts_text(hosts: Sequence[NamedHost], verified: Iterable[str], settings: Settings, heading: str) -> str:
    """The file that names hosts.

    Args:
        verified: ids of instances that have reported their keys: ssh asks nobody about these.
        heading: what the file is, in a line.
    """
    lines = [f"# {heading}", ""]
    for host in hosts:
        if host.names:
            lines += [f"Host {' '.join(host.names)}", f"    HostName {host.instance_id}"]
    lines.append("")
    for ids in _patterns(sorted(set(verified))):
        lines += [f"Match host {ids}", *_BY_REPORTED_KEYS]
    for ids in _patterns([host.instance_id for host in hosts]):
        lines += [f"Match host {ids}", *_common(settings)]
    return "\n".join(lines) + "\n"


def any_host_text(settings: Settings, heading: str) -> str:
    """The file for instances that no file names: of several profiles the first has them. What has a dot is a
    name of the DNS, and a slash would lead out of the directory of known hosts."""
    return "\n".join([f"# {heading}", "", "Host i-* !*.* !*/*", *_common(settings)]) + "\n"


def _common(settings: Settings) -> list[str]:
    command = settings.known_hosts_command
    return [
        f"    User {settings.os_user}",
        f"    ProxyCommand {settings.proxy_command}",
        "    ProxyUseFdpass no",
        f"    IdentityFile {settings.identity_file}",
        "    IdentitiesOnly yes",
        f"    UserKnownHostsFile {settings.known_hosts}",
        *([] if command is None else [f"    KnownHostsCommand {command}"]),
        "    UpdateHostKeys no",
        "    ServerAliveInterval 5",
    ]


def _patterns(ids: Sequence[str]) -> Iterator[str]:
    line = ""
    for each in ids:
        if line and len(line) + len(each) >= _LONGEST_LINE:
            yield line
            line = ""
        line = f"{line},{each}" if line else each
    if line:
        yield line


def with_include(config: str, include: str) -> str:
    """A user's configuration that includes ours, before everything of its own.

    Where it does already it may have been moved, and stays; but relative names give way to absolute ones.
    """
    if _MARK not in config.splitlines():
        return f"{_MARK}\n{include}\n\n{config}"
    if '"' not in include:
        return config
    ours = rf"(?<=^{re.escape(_MARK)}\n)Include [^\n]*$"
    return re.sub(ours, lambda _: include, config, count=1, flags=re.MULTILINE)


def without_include(config: str) -> str:
    """The same as it was before."""
    ours = rf"^{re.escape(_MARK)}\n(?:Include [^\n]*\n\n?)?"
    return re.sub(ours, "", config, count=1, flags=re.MULTILINE)


def names_written(config: str) -> set[str]:
    """The words of its Host lines that mean one host each."""
    return {word for word in _words(config, "host") if not re.search(r"[*?!]", word)}


def patterns_written(config: str) -> set[str]:
    """What its Host lines, and its Match lines about hosts, are about; but for what matches everything."""
    said = [part for word in _words(config, "match") for part in word.split("=")]
    of_match = [
        pattern
        for criterion, value in pairwise(said)
        if criterion.lower().lstrip("!") in ("host", "originalhost")
        for pattern in value.split(",")
    ]
    patterns = {pattern.removeprefix("!") for pattern in {*_words(config, "host"), *of_match}}
    return {pattern for pattern in patterns if pattern.strip("*?")}


def files_included(config: str) -> list[str]:
    """The words of its Include lines, as they stand there."""
    return _words(config, "include")


def alike(names: Iterable[str], patterns: Iterable[str]) -> list[list[str]]:
    """The names that any pattern matches: those together between which the patterns do not tell."""
    compiled = [re.compile(_as_expression(pattern), re.IGNORECASE) for pattern in sorted(patterns)]
    exact = [re.compile(each.pattern) for each in compiled]
    groups: dict[tuple[bool, ...], list[str]] = {}
    for name in names:
        matched = tuple(each.fullmatch(name) is not None for each in compiled + exact)
        if any(matched):
            groups.setdefault(matched, []).append(name)
    return list(groups.values())


def _as_expression(pattern: str) -> str:
    """ssh_config(5), PATTERNS: only `*` and `?` mean something."""
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")


def _words(config: str, keyword: str) -> list[str]:
    """The words behind a keyword, of all its lines."""
    lines = re.finditer(
        rf"^[ \t]*{keyword}(?:[ \t]+|[ \t]*=[ \t]*)(.*)$", config, re.IGNORECASE | re.MULTILINE
    )
    return [word.strip('"') for found in lines for word in re.findall(r'"[^"]*"|[^\s"]+', found[1])]
