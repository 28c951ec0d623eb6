"""What stands behind `ssh` on a command line, read as OpenSSH's ssh(1) reads it. Pure.

ssh takes options before the destination and, unless `--` stood there, behind it too, up to the first word
that is none; all that follows is the remote command. What comes first counts: a user or a port is not changed
by a later option. rsync, scp, sftp and git write such lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway.client.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TAKING_A_VALUE: Final = frozenset("BbcDEeFIiJLlmOopPQRSWw")
"""The options that do, of all OpenSSH versions to 10 (`getopt` in ssh.c)."""

_ASKING_ONLY: Final = frozenset("GO")
"""ssh opens no connection for these: it prints its configuration, or speaks to a master process."""

_SEPARATOR: Final = re.compile(r"[ \t]*=[ \t]*|[ \t]+")
"""Between a keyword and what it is set to."""

_URI: Final = "ssh://"

_OF_SSH_ITSELF: Final = frozenset("VQ")
"""With these ssh tells its version, or what it is capable of, and there is no destination."""


class SshLine(NamedTuple):
    """`options` are all but user, port and jump, each with its value behind it; `command` is the remote one.

    `destination` is empty where ssh is asked of itself. `jump` is as in `-J`: hosts on the way, by commas.
    """

    destination: str
    user: str | None
    port: int | None
    options: tuple[str, ...]
    command: tuple[str, ...]
    connects: bool
    jump: str | None = None


class Hop(NamedTuple):
    """A host on the way, `[user@]host[:port]` or `ssh://…`."""

    host: str
    user: str | None
    port: int | None


def parse_ssh_line(words: Sequence[str]) -> SshLine:
    """
    Raises:
        InvalidOption: there is no destination, an option lacks its value, or a port is none.
    """
    before, rest, terminated = _options(words)
    if {option for option, _ in before} & _OF_SSH_ITSELF:
        return SshLine("", None, None, tuple(words), (), connects=False)
    if not rest or not rest[0]:
        raise InvalidOption("name the host, by its name, its address or its instance id: hatchway ssh web-1")
    named = _destination(rest[0])
    behind, command, _ = ([], rest[1:], True) if terminated else _options(rest[1:])
    user = jump = None
    port: int | None = None
    kept: list[str] = []
    said = [("l", named.user), *([] if named.port is None else [("p", str(named.port))])]
    for option, value in [*before, *said, *behind]:
        keyword, argument = _setting(option, value)
        if keyword == "user":
            user = user or argument
        elif keyword == "port":
            port = port or _port(argument)
        elif keyword == "proxyjump":
            jump = jump or argument
        else:
            kept += [f"-{option}"] if value is None else [f"-{option}", value]
    asked = {option for option, _ in [*before, *behind]}
    connects = not asked & _ASKING_ONLY
    by_way_of = None if jump is None or jump.lower() == "none" else jump
    return SshLine(named.host, user, port, tuple(kept), tuple(command), connects, by_way_of)


def parse_hop(text: str) -> Hop:
    """One of the hosts of `-J` (ssh_config(5), ProxyJump).

    Raises:
        InvalidOption: it is none.
    """
    if text.startswith(_URI):
        return _destination(text)
    user, host = _split_user(text)
    bare, port = _split_port(host)
    return Hop(bare, user, port)


def values_of(options: Sequence[str], option: str, keyword: str = "") -> list[str]:
    """The values that options give: of `-i`, say, or of `-o` for a keyword in lower case."""
    found, _, _ = _options(options)
    if not keyword:
        return [value for given, value in found if given == option and value is not None]
    settings = [_setting(given, value) for given, value in found if given == option]
    return [argument for said, argument in settings if said == keyword and argument is not None]


def lacks_value(word: str) -> bool:
    """Whether the value of an option in this word, `-l` or `-tl`, is the next word."""
    takes_one = [place for place, letter in enumerate(word) if place and letter in TAKING_A_VALUE]
    return bool(takes_one) and takes_one[0] == len(word) - 1


def _options(words: Sequence[str]) -> tuple[list[tuple[str, str | None]], list[str], bool]:
    """The options at the beginning, what follows them, and whether `--` stood between."""
    found: list[tuple[str, str | None]] = []
    left = iter(words)
    for word in left:
        if word == "--":
            return found, list(left), True
        if not word.startswith("-") or word == "-":
            return found, [word, *left], False
        if word.startswith("--"):
            raise InvalidOption(
                f"{word} is an option neither of ssh nor of hatchway ssh: a remote command that begins so"
                " stands behind -- --"
            )
        found += _cluster(word[1:], left)
    return found, [], False


def _cluster(letters: str, following: Iterator[str]) -> Iterator[tuple[str, str | None]]:
    """`-tp2222`: options without a value, up to one that takes the rest of the word or else the next."""
    for place, letter in enumerate(letters):
        if letter not in TAKING_A_VALUE:
            yield letter, None
            continue
        value = letters[place + 1 :] or next(following, None)
        if value is None:
            raise InvalidOption(f"ssh's option -{letter} lacks its value")
        yield letter, value
        return


def _destination(word: str) -> Hop:
    """`[user@]host`, in which a colon is the host's, or `ssh://[user@]host[:port]`."""
    if word.startswith(_URI):
        user, host = _split_user(word.removeprefix(_URI).removesuffix("/"))
        bare, port = _split_port(host)
        return Hop(bare, user, port)
    user, host = _split_user(word)
    return Hop(host, user, None)


def _split_user(text: str) -> tuple[str | None, str]:
    user, at, host = text.rpartition("@")
    return (user if at else None), host


def _split_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[address]` and `[address]:port`; an address with colons stands for itself."""
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        host, port = text, ""
    elif not colon or (":" in host and not host.startswith("[")):
        return text, None
    return host.removeprefix("[").removesuffix("]"), _port(port) if port else None


def _setting(option: str, value: str | None) -> tuple[str, str | None]:
    """What an option says of user, port or jump, in one of its two forms; else nothing of interest.

    `-o` takes a line of ssh_config(5): a keyword in any case, then white space, or one `=` amid it.
    """
    if option == "l":
        return "user", value
    if option == "p":
        return "port", value
    if option == "J":
        return "proxyjump", value
    if option == "o" and value is not None:
        keyword, argument = _SEPARATOR.split(f"{value.strip()} ", maxsplit=1)
        return keyword.lower(), argument.strip().strip('"')
    return "", None


def _port(text: str | None) -> int:
    if text is None or not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 65535:
        raise InvalidOption(f"{text!r} is not a port: give one from 1 to 65535")
    return int(text)
