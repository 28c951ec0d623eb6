"""Options that several commands share."""

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hatchway.errors import BadUsage
from hatchway.settings import ANYWHERE, STORE_URL_VARIABLE, Address, DataDirectory

if TYPE_CHECKING:
    from hatchway.cli.client_options import CallerArguments

DATA_DIR_VARIABLE = "HATCHWAY_DATA_DIR"
_SHORTEST_PREFIX: Final = {4: 8, 6: 7}
"""Of load balancers' addresses, by IP version: what is private has none that is shorter (10.0.0.0/8 of RFC
1918, fc00::/7 of RFC 4193)."""


def given_path(text: str) -> Path:
    if not text:
        # It would be the current directory.
        raise typer.BadParameter("is empty: give a directory")
    return Path(text)


DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        envvar=DATA_DIR_VARIABLE,
        help="The server's data directory.",
        parser=given_path,
    ),
]
StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store-url",
        metavar="URL",
        envvar=STORE_URL_VARIABLE,
        help="A PostgreSQL store, such as postgresql+psycopg://user:password@host/name, instead of the"
        " embedded SQLite store.",
        show_default="hatchway.db in the data directory",
    ),
]
User = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="NAME",
        help="The user to switch to permanently once the ports are bound. The data directory must"
        " belong to this user.",
        show_default="the user who starts it",
    ),
]


class OutputFormat(StrEnum):
    """How a command tells its answer."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[
    OutputFormat, typer.Option(metavar="text|json", help="Text for people, or one JSON object.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreArguments:
    """Where a server's data are."""

    data_dir: DataDir = None
    store_url: StoreUrl = None


def on_server(store: StoreArguments, caller: "CallerArguments") -> bool:
    """Whether a command is to work on the store itself rather than to ask the API."""
    return (store.data_dir is not None or store.store_url is not None) and not caller.given


def known_user(name: str | None) -> str | None:
    """
    Raises:
        BadUsage: there is no such user, or only root could become him.
    """
    if name is None:
        return None
    # Only where there are servers.
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError as unknown:
        raise BadUsage(f"--user {name!r}: there is no such user") from unknown
    if os.geteuid() not in (0, entry.pw_uid):
        raise BadUsage(f"--user {name!r}: only root can become another user")
    return name


def data_directory(path: Path | None) -> DataDirectory:
    """
    Raises:
        BadUsage: none was given, or it cannot be one.
    """
    if path is None:
        raise BadUsage(
            f"no data directory: run this on the server and give --data-dir DIR, or set {DATA_DIR_VARIABLE}"
        )
    try:
        return DataDirectory(path.expanduser().absolute())
    except RuntimeError:
        raise BadUsage(f"--data-dir {str(path)!r}: there is no such user, or no home of his") from None
    except FileNotFoundError:
        raise BadUsage(f"--data-dir {str(path)!r}: the directory that this runs in is gone") from None


def read_address(option: str, text: str | None) -> Address | None:
    """
    Raises:
        BadUsage: it is none.
    """
    try:
        return None if text is None else Address.parse(text)
    except ValueError as problem:
        raise BadUsage(f"{option}: {problem}") from problem


def read_range(option: str, text: str) -> str:
    """
    Raises:
        BadUsage: it is neither an address nor a CIDR range.
    """
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as problem:
        raise BadUsage(f"{option} {text!r} is not an address or a CIDR range: {problem}") from problem


def read_proxies(option: str, texts: Iterable[str] | None) -> tuple[str, ...]:
    """Where load balancers connect from: CIDR ranges, or the word for anywhere.

    Raises:
        BadUsage: one is neither an address nor a CIDR range, or so wide that it must be a mistake.
    """
    return tuple(text if text == ANYWHERE else _proxies(option, text) for text in texts or ())


def _proxies(option: str, text: str) -> str:
    network = ipaddress.ip_network(read_range(option, text))
    if network.prefixlen < _SHORTEST_PREFIX[network.version]:
        raise BadUsage(
            f"{option} {text!r}: whoever connects from there may claim any address as his, in policies"
            " (aws:SourceIp) and the audit trail, and is bound by no limit of connections. Give the load"
            f" balancers' own addresses; or {ANYWHERE!r}, where nobody but them can connect"
        )
    return str(network)
