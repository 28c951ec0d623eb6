"""Command lines of `ssh` and `open-tunnel` in their usual form, read without what reads every command line.

The tables name their options; a test holds them to the whole command's. Whatever else stands on a line, a
mistake or a plea for help, is for the whole command.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_Options = dict[str, tuple[str, type]]

TUNNEL: Final[_Options] = {
    "--instance-connect-endpoint-id": ("instance_connect_endpoint_id", str),
    "--instance-connect-endpoint-dns-name": ("instance_connect_endpoint_dns_name", str),
    "--max-tunnel-duration": ("max_tunnel_duration", int),
    "--gateway-port": ("gateway_port", int),
    "--gateway-address": ("gateway_address", str),
    "--source-address": ("source_address", str),
}
"""By the option: the field of `TunnelOptions`, and what its value is."""

CALLER: Final[_Options] = {
    "--profile": ("profile", str),
    "--region": ("region", str),
    "--endpoint-url": ("endpoint_url", str),
    "--ca-bundle": ("ca_bundle", str),
}
"""The same of `ProfileOptions`."""

SSH: Final[_Options] = {
    "--os-user": ("os_user", str),
    "--remote-port": ("remote_port", int),
    "--dry-run": ("dry_run", bool),
}
OPEN_TUNNEL: Final[_Options] = {
    "--instance-id": ("instance_id", str),
    "--private-ip-address": ("private_ip_address", str),
    "--remote-port": ("remote_port", int),
    "--local-port": ("local_port", int),
    "--bind-address": ("bind_address", str),
    "--push-key": ("push_key", Path),
    "--os-user": ("os_user", str),
    "--known-hosts": ("known_hosts", Path),
    "--other-endpoints": ("other_endpoints", str),
}
"""The same of the parameters of `connecting.ssh` and `connecting.open_tunnel`."""

_USUAL_NUMBER: Final = 65_535
"""Up to which a number is a port, and a duration. Whether any other may be meant the whole command says."""
_HELP: Final = frozenset({"--help", "-h"})


class Line(NamedTuple):
    """A command of `connecting` with its arguments: what stood before its options, then these by name."""

    command: str
    positional: Any
    own: Mapping[str, Any]
    tunnel: Mapping[str, Any]
    caller: Mapping[str, Any]

    def run(self) -> int:
        """The command's exit code.

        Raises:
            ClientError: whatever kept it from its work.
        """
        from hatchway.cli import connecting
        from hatchway.client.api.profile import ProfileOptions
        from hatchway.client.discovery.discovery import TunnelOptions

        command: Callable[..., int] = getattr(connecting, self.command)
        options = {"tunnel": TunnelOptions(**self.tunnel), "caller": ProfileOptions(**self.caller)}
        return command(self.positional, **self.own, **options)


def read(arguments: Sequence[str]) -> Line | None:
    """What a line means that begins with `ssh` or `open-tunnel`; None for the whole command to say."""
    command, *words = arguments
    positional: Any
    if command == "ssh":
        known = {**SSH, **TUNNEL, **CALLER}
        flags = {name for name, (_, kind) in known.items() if kind is bool}
        words, of_ssh = split_words(words, flags | _HELP, set(known) - flags)
        own: dict[str, Any] = {"os_user": None, "remote_port": None, "dry_run": False}
        found, positional = _values(words, known), tuple(of_ssh)
        if found is None or found[1] is not None or not of_ssh:
            return None
    else:
        own = {"instance_id": None, "private_ip_address": None, "remote_port": 22, "local_port": None}
        own |= {"bind_address": None, "push_key": None, "os_user": "ec2-user", "known_hosts": None}
        own |= {"other_endpoints": None}
        found = _values(words, {**OPEN_TUNNEL, **TUNNEL, **CALLER})
        if found is None:
            return None
        positional = found[1]
    given = found[0]
    return Line(
        command.replace("-", "_"),
        positional,
        {**own, **_of(SSH if command == "ssh" else OPEN_TUNNEL, given)},
        _of(TUNNEL, given),
        _of(CALLER, given),
    )


def _of(options: _Options, given: Mapping[str, Any]) -> dict[str, Any]:
    return {field: given[name] for name, (field, _) in options.items() if name in given}


def _values(words: Sequence[str], known: _Options) -> tuple[dict[str, Any], str | None] | None:
    """The options' values by their names, and the one word that is neither; where all is as usual."""
    given: dict[str, Any] = {}
    positional: str | None = None
    left = iter(words)
    for word in left:
        name, equals, value = word.partition("=")
        if not word.startswith("-") and positional is None:
            positional = word
            continue
        if name not in known:
            return None
        kind = known[name][1]
        if kind is bool:
            if equals:
                return None
            given[name] = True
            continue
        if not equals:
            value = next(left, "-")
        if value.startswith("-"):
            return None
        if kind is int and not _is_usual(value, least=0 if name == "--local-port" else 1):
            return None
        given[name] = kind(value)
    return given, positional


def _is_usual(number: str, least: int) -> bool:
    return (
        number.isascii() and number.isdigit() and len(number) <= 5 and least <= int(number) <= _USUAL_NUMBER
    )


def split_words(words: Sequence[str], flags: set[str], valued: set[str]) -> tuple[list[str], list[str]]:
    """Our words, and ssh's. ssh has no option with two dashes, so none can be meant for it."""
    from hatchway.client.ssh.ssh_line import lacks_value

    ours: list[str] = []
    of_ssh: list[str] = []
    named = options_of_ssh = False
    left = iter(words)
    for word in left:
        name = word.partition("=")[0]
        if name in flags | valued or (word.startswith("--") and word != "--" and not named):
            ours.append(word)
            if word in valued:
                ours += [value] if (value := next(left, None)) is not None else []
        elif word.startswith("-") and word not in ("-", "--"):
            options_of_ssh = named
            of_ssh.append(word)
            if lacks_value(word):
                of_ssh += [value] if (value := next(left, None)) is not None else []
        elif word == "--" and named and not options_of_ssh:
            # Right behind the instance it is ours: what follows is ssh's, options too.
            return ours, [*of_ssh, *left]
        elif word == "--" or named:
            return ours, [*of_ssh, word, *left]
        else:
            named = True
            of_ssh.append(word)
    return ours, of_ssh
