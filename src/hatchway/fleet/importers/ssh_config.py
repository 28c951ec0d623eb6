"""A client's configuration of OpenSSH (ssh_config(5)): the hosts that it names, and where they are.

`Host` blocks count, for each name that is no pattern, the first value of a keyword winning; `Include` is
followed, by whoever calls. What `Match` says depends on more than the file, and is left out.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from hatchway.fleet.importers.hosts import (
    MOST_BYTES,
    MOST_HOSTS,
    Found,
    ImportedHost,
    NotImported,
    content_text,
)
from hatchway.fleet.problems import quoted

MOST_DEPTH: Final = 16
"""How deep files may include each other, as in ssh."""
_MOST_PATTERNS: Final = 5_000_000
"""How often a name is held against a pattern."""
_LONGEST_LINE: Final = 65_536
"""Characters: of more, matching one pattern costs too much."""
_KEYWORDS: Final = ("hostname", "port")

Include = Callable[[str], Iterable[bytes]]
"""Gives the contents of the files that a pattern of `Include` names."""


def no_includes(_: str) -> Iterable[bytes]:
    """For a configuration that comes alone."""
    return ()


@dataclass(slots=True)
class _Block:
    """What stands below one `Host` line. Before the first, and below `Host *`, it is for all."""

    patterns: tuple[str, ...] = ("*",)
    values: dict[str, str] = field(default_factory=dict)

    def names(self) -> Iterator[str]:
        return (each for each in self.patterns if not re.search(r"[*?!]", each))

    def matches(self, name: str) -> bool:
        if any(each.startswith("!") and _matches(name, each[1:]) for each in self.patterns):
            return False
        return any(_matches(name, each) for each in self.patterns if not each.startswith("!"))


def _matches(name: str, pattern: str) -> bool:
    # In fnmatch a bracket would begin a class, which it does not for ssh.
    return fnmatchcase(name, pattern.replace("[", "[[]"))


class _Reader:
    def __init__(self, include: Include, found: Found) -> None:
        self._include = include
        self._found = found
        self._bytes = 0
        self.blocks = [_Block()]

    def read(self, content: bytes, depth: int = 0) -> None:
        """
        Raises:
            NotImported: files include each other without end, or are too large.
        """
        self._bytes += len(content)
        if self._bytes > MOST_BYTES:
            raise NotImported(f"with what it includes it has more than {MOST_BYTES // 1024**2} MiB")
        matching = False
        for number, line in enumerate(content_text(content).splitlines(), 1):
            if len(line) > _LONGEST_LINE:
                raise NotImported(f"line {number} has more than {_LONGEST_LINE} characters")
            words = _words(line, number)
            if not words:
                continue
            keyword, values = words[0].lower(), words[1:]
            if keyword == "host":
                matching = False
                self.blocks.append(_Block(tuple(values)))
            elif keyword == "match":
                matching = True
                self._found.notes.append(f"line {number}: what follows 'Match' is left out")
            elif matching:
                continue
            elif keyword == "include":
                self._follow(values, depth)
            elif keyword in _KEYWORDS and values:
                self.blocks[-1].values.setdefault(keyword, values[0])

    def _follow(self, patterns: Iterable[str], depth: int) -> None:
        if depth >= MOST_DEPTH:
            raise NotImported(f"files include each other more than {MOST_DEPTH} deep: it never ends")
        around = self.blocks[-1]
        if around.patterns != ("*",):
            host = quoted(f"Host {' '.join(around.patterns)}")
            self._found.notes.append(f"'Include' below {host} is left out: put it first of all")
            return
        for pattern in patterns:
            for content in self._include(pattern):
                self.read(content, depth + 1)
                self.blocks.append(_Block())


def read_ssh_config(content: bytes, include: Include = no_includes) -> Found:
    """The hosts of a configuration.

    Raises:
        NotImported: it cannot be read.
    """
    found = Found()
    reader = _Reader(include, found)
    reader.read(content)
    names = list(dict.fromkeys(name for block in reader.blocks for name in block.names()))
    patterns = sum(len(block.patterns) for block in reader.blocks if block.values)
    if len(names) > MOST_HOSTS or len(names) * patterns > _MOST_PATTERNS:
        raise NotImported(f"it has too many hosts and patterns ({len(names)}): import it in parts")
    for name in names:
        values: dict[str, str] = {}
        for block in reader.blocks:
            if block.values and block.matches(name):
                values = {**block.values, **values}
        address = values.get("hostname", name).replace("%h", name).replace("%%", "%")
        if re.search(r"%[a-zA-Z]", address):
            found.leave_out(name, f"its HostName {quoted(address)} depends on more than the host")
            continue
        if (port := values.get("port", "22")) != "22":
            found.say(name, f"its sshd listens on port {quoted(port)[1:-1]}: say so when you connect")
        found.hosts.append(ImportedHost(name=name, address=address, tags={"Name": name}))
    return found


def _words(line: str, number: int) -> list[str]:
    line = line.strip()
    if not line or line.startswith("#"):
        return []
    # The keyword may be set off by an equals sign.
    keyword, _, rest = re.sub(r"\s*=\s*|\s+", " ", line, count=1).partition(" ")
    try:
        return [keyword, *shlex.split(rest, comments=True)]
    except ValueError as problem:
        raise NotImported(f"line {number}: {problem}") from None
