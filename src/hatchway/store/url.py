"""The store's URL, which may hold a password: read strictly, and shown without one.

What does not read as a URL of the forms below is told of without a word of it: a password with an `@` that is
not written `%40`, or a slash too few, would otherwise stand in the complaint, as a host or as a database.

    sqlite:////var/lib/hatchway/hatchway.db
    postgresql+psycopg://user:password@host:5432/name?sslmode=verify-full
    postgresql+psycopg://user:password@db1,db2:5433/name

Of several servers (libpq: "Specifying Multiple Hosts") it is the one that may be written: a standby that is
put in the place of its primary is found by itself.
"""

import re
import sqlite3
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from hatchway.store.problems import explain

_SQLITE: Final = frozenset({"sqlite", "sqlite+pysqlite"})
_POSTGRESQL: Final = frozenset({"postgresql", "postgresql+psycopg"})
_HOST: Final = re.compile(r"[A-Za-z0-9._-]*|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")
_NAME: Final = re.compile(r"[^:/@?#\s]+")
_OPTION: Final = re.compile(r"[a-z_]+")
_SERVERS: Final = re.compile(
    r"(?P<before>postgresql(?:\+psycopg)?://(?:[^/@?#]*@)?)(?P<servers>[^/@?#]*,[^/@?#]*)(?P<after>/.*)"
)
"""A URL that names several servers."""
_SERVER: Final = re.compile(r"(?:\[(?P<address>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[0-9]{1,5}))?")
_DEFAULT_PORT: Final = "5432"
_OPEN_OPTIONS: Final = frozenset(
    {"sslmode", "sslrootcert", "host", "port", "user", "dbname", "connect_timeout", "target_session_attrs"}
)
"""Whose values may be shown: those of all others may be secret (libpq: "Parameter Key Words")."""

_WORDLESS: Final = frozenset({None, "25006", "42501", "42P01", "53100", "XX000"})
"""PostgreSQL's codes of a database that may only be read, a right that lacks, a table that is not there, a
full disk and what it calls internal (appendix A: "PostgreSQL Error Codes"); none of a connection that was not
made."""

_FORMS: Final = (
    "write it as postgresql+psycopg://user:password@host:port/name, with each of : / @ ? # % and space in the"
    " password as %3A %2F %40 %3F %23 %25 %20, or as sqlite:////path/of/the/file (it is not shown here, as it"
    " may hold a password)"
)


class BadStoreUrl(ValueError):
    """It is no URL of a store. The message says what one looks like, and repeats nothing of this one."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the store's URL {problem}: {_FORMS}")


def parse_store_url(text: str) -> URL:
    """The URL, with the driver that we use.

    Raises:
        BadStoreUrl: it is none.
    """
    if not text.isprintable():
        raise BadStoreUrl("has a character that cannot be printed")
    several = _SERVERS.fullmatch(text)
    try:
        url = make_url(text if several is None else several["before"] + several["after"])
    except (ArgumentError, ValueError):
        raise BadStoreUrl("cannot be read") from None
    if several is not None:
        url = _with_servers(url, several["servers"].split(","))
    if url.drivername in _SQLITE:
        return _check_sqlite(url)
    if url.drivername in _POSTGRESQL:
        return _check_postgresql(url).set(drivername="postgresql+psycopg")
    raise BadStoreUrl("is of no database that can be the store")


def show_store(text: str) -> str:
    """Which store it is, for people: never a password, whatever the text."""
    try:
        url = parse_store_url(text)
    except BadStoreUrl:
        return "with an unreadable URL"
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    if "," in str(url.query.get("host", "")):
        return f"{url.database} at {url.query['host']}"
    host = url.host or "the local socket"
    return f"{url.database} at {f'{host}:{url.port}' if url.port else host}"


def show_problem(text: str, problem: BaseException) -> str:
    """What is wrong with the store, in one line: its driver's words, unless secret, and what to do."""
    original = getattr(problem, "orig", None) or problem
    lines = str(original).strip().splitlines()
    told = lines[0] if lines else ""
    cause = explain(problem)
    if not told or any(secret in told for secret in _secrets(text)):
        told = cause or type(original).__name__
    elif cause is not None and (
        isinstance(original, sqlite3.Error) or getattr(original, "sqlstate", None) in _WORDLESS
    ):
        # The database's own words ("disk I/O error" of a full disk too) do not say what to do.
        told = f"{told} ({cause})"
    return f"cannot use the store {show_store(text)}: {told}"


def _check_sqlite(url: URL) -> URL:
    if url.host or url.port or url.username or url.password or not url.database:
        raise BadStoreUrl("has no path of a file after three slashes")
    try:
        if float(str(url.query.get("timeout", 1))) < 0:
            raise ValueError
    except ValueError:
        raise BadStoreUrl("has a timeout that is no number of seconds") from None
    return url


def _check_postgresql(url: URL) -> URL:
    if not _HOST.fullmatch(url.host or ""):
        raise BadStoreUrl("has a host that is none")
    if url.port is not None and not 0 < url.port < 65_536:
        raise BadStoreUrl("has a port that is none")
    if not url.database or not _NAME.fullmatch(url.database):
        raise BadStoreUrl("has no name of a database, or one that is none")
    if url.username is not None and not _NAME.fullmatch(url.username):
        raise BadStoreUrl("has a user that is none")
    if not all(map(_OPTION.fullmatch, url.query)):
        raise BadStoreUrl("has an option that is none")
    return url


def _with_servers(url: URL, servers: list[str]) -> URL:
    """
    Raises:
        BadStoreUrl: one of them is none, or the URL has more elsewhere.
    """
    found = [_SERVER.fullmatch(server) for server in servers]
    hosts = [each and (each["host"] or each["address"]) for each in found]
    if not all(host and _HOST.fullmatch(host) for host in hosts):
        raise BadStoreUrl("has a host that is none")
    ports = [(each and each["port"]) or _DEFAULT_PORT for each in found]
    if not all(0 < int(port) < 65_536 for port in ports):
        raise BadStoreUrl("has a port that is none")
    if {"host", "hostaddr", "port"} & url.query.keys():
        raise BadStoreUrl("names servers in two places")
    return url.update_query_dict({"host": ",".join(map(str, hosts)), "port": ",".join(ports)})


def _secrets(text: str) -> set[str]:
    """Whatever of a URL must not be shown, as written and percent-decoded."""
    try:
        url = parse_store_url(text)
    except BadStoreUrl:
        return {""}
    secrets = {str(url.password or "")}
    for name, value in url.query.items():
        if name not in _OPEN_OPTIONS:
            secrets |= {value} if isinstance(value, str) else set(value)
    return secrets - {""}
