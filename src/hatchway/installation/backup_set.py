"""A backup: the files of a data directory that a restore needs, and a list that says what they are.

The list, `backup.json`, comes into its place last, so that a directory without it is no backup. It has the
size and the SHA-256 of each file, and says what made them; whatever else is in the directory is nobody's.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from hatchway.domain.ids import ACCOUNT_ID
from hatchway.errors import BadUsage, CommandFailed
from hatchway.keys.access_keys import opens_secrets
from hatchway.keys.key_files import (
    CA_KEY,
    MASTER_KEY,
    read_gateway_keys,
    read_master_keys,
    read_private_file,
)
from hatchway.keys.vault import Vault
from hatchway.pki.certificate_authority import check_ca
from hatchway.pki.certificates import KeyPair
from hatchway.settings import DataDirectory
from hatchway.store import DamagedCopy, check_copy, open_copy
from hatchway.store.tables import accounts

LIST: Final = "backup.json"
FORMAT: Final = 1
SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
LARGEST_OF_SMALL: Final = 131_072
"""Bytes of each file but the store."""
STORE: Final = "hatchway.db"
MODES: Final[Mapping[str, int]] = MappingProxyType(
    {
        STORE: 0o600,
        "master.key": 0o600,
        "gateway.key": 0o600,
        "ca.key": 0o600,
        "ca.next.key": 0o600,
        "ca.pem": 0o644,
        "server.pem": 0o600,
        "api.json": 0o644,
    }
)
"""The files that there may be in one, and their modes in a data directory."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{16}")
_LONGEST_WORD: Final = 255
_VERSION: Final = re.compile(r"[0-9A-Za-z.+-]{1,100}")


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: its size in bytes, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What `backup.json` says.

    Attributes:
        version, schema: the program's that made it, and its store's.
        store: `sqlite`, which is among the files, or `postgresql`, of which there is nothing.
        owner: the operating system's user to whom the data directory belonged.
        master_key, gateway_key: which keys they were (`Vault.key_id`), whether in the files or not.
    """

    made_at: datetime
    version: str
    schema: str
    account: str
    region: str
    gateway_dns_name: str
    store: str
    owner: str
    master_key: str
    gateway_key: str | None
    files: Mapping[str, Content]

    def to_json(self) -> dict[str, Any]:
        """The list, as it is written."""
        own = {name: value for name, value in asdict(self).items() if name != "files"}
        return {
            "format": FORMAT,
            **own,
            "made_at": self.made_at.isoformat(timespec="seconds"),
            "files": {name: asdict(content) for name, content in self.files.items()},
        }

    @classmethod
    def read(cls, directory: Path) -> "Backup":
        """
        Raises:
            BadUsage: the directory holds no backup.
            CommandFailed: its list is damaged, or of a form that only a newer program knows.
        """
        path = directory / LIST
        try:
            said = json.loads(read_small(path))
        except (FileNotFoundError, NotADirectoryError):
            raise BadUsage(
                f"{directory} contains no backup, or an unfinished one: it has no {LIST}"
            ) from None
        except (ValueError, RecursionError):
            raise _damaged(path, "not JSON") from None
        except OSError as problem:
            raise CommandFailed(f"cannot read {path}: {problem.strerror}") from problem
        if not isinstance(said, dict) or not isinstance(said.get("format"), int):
            raise _damaged(path, "not the list of a backup")
        if said["format"] > FORMAT:
            raise CommandFailed(
                f"{directory} was made by a newer version of Hatchway: restore it with that version or later"
            )
        try:
            return _backup(said)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise _damaged(path, "incomplete") from None


def read_small(path: Path) -> bytes:
    """The content of any file but the store.

    Raises:
        OSError: it cannot be read.
        CommandFailed: it is something else than a file, or too large.
    """
    with os.fdopen(open_file(path), "rb") as file:
        content = file.read(LARGEST_OF_SMALL + 1)
    if len(content) > LARGEST_OF_SMALL:
        raise CommandFailed(f"{path} is too large for such a file")
    return content


def open_file(path: Path) -> int:
    """A descriptor for reading a file that is no link.

    Raises:
        OSError: it cannot be read.
        CommandFailed: it is no file.
    """
    # A pipe would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CommandFailed(f"{path} is not a regular file")
    return descriptor


def content_of(path: Path) -> Content:
    """
    Raises:
        OSError: it cannot be read.
        CommandFailed: it is no file.
    """
    with os.fdopen(open_file(path), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Content(os.fstat(file.fileno()).st_size, digest)


def check_files(directory: Path, backup: Backup) -> None:
    """Looks whether all files of a backup are there, and as they were.

    Raises:
        CommandFailed: one is not.
    """
    if backup.store == SQLITE and STORE not in backup.files:
        raise _damaged(directory / LIST, f"{STORE} is not in it")
    for name, content in backup.files.items():
        path = directory / name
        try:
            found = content_of(path)
        except FileNotFoundError:
            raise CommandFailed(
                f"{directory} is incomplete, {name} is missing: restore another backup"
            ) from None
        except OSError as problem:
            raise CommandFailed(f"cannot read {path}: {problem.strerror}") from problem
        if found != content:
            raise _damaged(path, "its content is not what was backed up")


def check_keys(directory: Path, backup: Backup, environment: Mapping[str, str]) -> Vault:
    """Looks whether the keys are those that the list names; the master key's vault.

    A key that is not among the files is looked for in the environment.

    Raises:
        KeyProblem, PkiProblem: one is not fit.
        CommandFailed: one is another.
    """
    files = DataDirectory(directory)
    held = backup.files.keys()
    within = files.master_key.name in held
    if not within and MASTER_KEY.variable not in environment:
        raise CommandFailed(
            f"the backup does not include the master key: set {MASTER_KEY.variable} to the server's"
        )
    master = Vault(*read_master_keys(files.master_key, {} if within else environment).all)
    if master.key_id != backup.master_key:
        if within:
            raise _damaged(files.master_key, "not the key that was backed up")
        raise CommandFailed(
            f"{MASTER_KEY.variable} is not the master key of the backup: set it to the right one"
        )
    if files.gateway_key.name in held:
        gateway = Vault(*read_gateway_keys(files.gateway_key, {}).all)
        if gateway.key_id != backup.gateway_key:
            raise _damaged(files.gateway_key, "not the key that was backed up")
    if {files.ca_certificate.name, files.ca_key.name} <= held:
        ca_key = read_private_file(CA_KEY, files.ca_key, LARGEST_OF_SMALL)
        check_ca(KeyPair(read_small(files.ca_certificate), ca_key))
    return master


def check_store(path: Path, backup: Backup, master: Vault) -> None:
    """Looks through the store of a backup, which the master key must open.

    Raises:
        CommandFailed: it is damaged, or another's.
        SchemaMismatch: it is a newer program's.
        sqlite3.Error, SQLAlchemyError: it cannot be read.
    """
    try:
        check_copy(path)
    except DamagedCopy as problem:
        raise _damaged(path, str(problem)) from problem
    with closing(open_copy(path)) as store:
        store.check_schema(older=True)
        with store.read() as tx:
            held = [each for (each,) in tx.accounts.values(accounts.c.id)]
            opens = opens_secrets(tx, master)
    if held != [backup.account]:
        raise _damaged(path, "it contains another account")
    if not opens:
        raise CommandFailed(f"the master key cannot open the secrets in {path}")


def _backup(said: Mapping[str, Any]) -> Backup:
    """
    Raises:
        AttributeError, KeyError, TypeError, ValueError: something is missing or wrong.
    """
    files = {
        str(name): Content(int(each["size"]), _match(_SHA256, each["sha256"]))
        for name, each in said["files"].items()
    }
    if not files.keys() <= MODES.keys():
        raise ValueError("files that are in no data directory")
    if said["store"] not in {SQLITE, POSTGRESQL}:
        raise ValueError("a store of another kind")
    gateway_key = said["gateway_key"]
    return Backup(
        made_at=datetime.fromisoformat(said["made_at"]).astimezone(UTC),
        version=_match(_VERSION, said["version"]),
        schema=_word(said["schema"]),
        account=_match(ACCOUNT_ID, said["account"]),
        region=_word(said["region"]),
        gateway_dns_name=_word(said["gateway_dns_name"]),
        store=said["store"],
        owner=_word(said["owner"]),
        master_key=_match(_KEY_ID, said["master_key"]),
        gateway_key=None if gateway_key is None else _match(_KEY_ID, gateway_key),
        files=files,
    )


def _match(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError("of another form")
    return text


def _word(text: str) -> str:
    """What is told of a backup: nothing that a terminal takes for more, and no name that no system has."""
    if not text.isprintable() or not 0 < len(text) <= _LONGEST_WORD:
        raise ValueError("of another form")
    return text


def _damaged(path: Path, what: str) -> CommandFailed:
    return CommandFailed(f"{path} is damaged ({what}): restore another backup")
