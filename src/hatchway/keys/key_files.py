"""The two keys that no database holds, and the files that do: the master key and the gateway key.

The **master key** seals secret access keys; the control plane alone has it. The **gateway key** seals the
signing keys that are derived from those for gateways, and each gateway has it too. Both are 32 random bytes,
in base64, in a file that only its owner may read, or in an environment variable.
"""

import base64
import binascii
import errno
import os
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

KEY_BYTES: Final = 32
_LONGEST_FILE: Final = 256
"""Bytes that are read: base64 of a key takes 45."""


class KeyProblem(Exception):
    """A key is missing, malformed or open to others. The message says what to do, and nothing of the key."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """Its name, its environment variable, if any, and what to do when it is nowhere or is damaged."""

    name: str
    variable: str
    remedy: str
    remedy_of_damage: str

    @property
    def instead(self) -> str:
        return f", or set {self.variable}" if self.variable else ""


_FROM_A_BACKUP: Final = "restore {path} from a backup"
MASTER_KEY: Final = KeyKind("master key", "HATCHWAY_MASTER_KEY", _FROM_A_BACKUP, _FROM_A_BACKUP)
GATEWAY_KEY: Final = KeyKind(
    "gateway key",
    "HATCHWAY_GATEWAY_KEY",
    "start the control plane, which creates an installation's first one or says what to do. On a gateway's"
    " own machine, run 'hatchway join', which puts it into {path} (mode 0600)",
    "restore {path} from a backup. On a machine that joined, remove the file and restart its server, which"
    " gets it again. On the first machine, if no backup and no other machine has it, remove the file and run"
    " 'hatchway gateway-key create'",
)

CA_KEY: Final = KeyKind(
    "CA's key",
    "",
    "restore {path} from a backup. If no backup has it, 'hatchway ca rotate --step add' creates another CA,"
    " which clients then have to trust (docs/rotation.md)",
    "restore {path} from a backup. If no backup has it, remove it: 'hatchway ca rotate --step add' creates"
    " another CA, which clients then have to trust (docs/rotation.md)",
)
_JOIN_AGAIN: Final = "restore {path} from a backup, or let this machine join again"
STORE_LOCATION: Final = KeyKind("store's URL", "HATCHWAY_STORE_URL", _JOIN_AGAIN, _JOIN_AGAIN)
MACHINE: Final = KeyKind("machine's token", "", _JOIN_AGAIN, _JOIN_AGAIN)
"""No keys of ours to read, but to guard alike."""


def new_key(path: Path) -> bytes:
    """Makes a key in a new file that only its owner may read.

    Raises:
        FileExistsError: there is a file already.
    """
    key = os.urandom(KEY_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key_text(key))
        file.flush()
        os.fsync(file.fileno())
    return key


def key_text(key: bytes) -> bytes:
    """A key as a file has it that holds no other."""
    return base64.b64encode(key) + b"\n"


@dataclass(frozen=True, slots=True)
class Keys:
    """The key that seals; and while one takes the place of another, that other, which unseals too: the
    `next` one or the `former` one, as the file calls it."""

    seals: bytes = field(repr=False)
    other: bytes | None = field(default=None, repr=False)
    called: str = ""

    @property
    def all(self) -> tuple[bytes, ...]:
        return (self.seals,) if self.other is None else (self.seals, self.other)

    @property
    def text(self) -> bytes:
        """What their file holds: a line for each."""
        other = (
            b"" if self.other is None else f"{self.called}:".encode() + base64.b64encode(self.other) + b"\n"
        )
        return base64.b64encode(self.seals) + b"\n" + other


NEXT: Final = "next"
FORMER: Final = "former"


def read_keys(kind: KeyKind, path: Path, environment: Mapping[str, str]) -> Keys:
    """The key: base64 in its environment variable, else in the file; both keys while it is being rotated.

    Raises:
        KeyProblem: there is none, it is no 32 bytes of base64, or others may read the file.
    """
    text = environment.get(kind.variable)
    if text is None:
        text = read_private_file(kind, path).decode("latin-1")
    return parse_keys(text) or _refuse_damaged(kind, path, environment)


def parse_keys(text: str) -> Keys | None:
    """What `Keys.text` has made; None of anything else."""
    words = text.split()
    seals = _decoded(words[0]) if words else None
    if seals is None or len(words) > 2:
        return None
    if len(words) == 1:
        return Keys(seals)
    called, _, second = words[1].partition(":")
    other = _decoded(second) if called in (NEXT, FORMER) else None
    return None if other is None else Keys(seals, other, called)


def read_master_keys(path: Path, environment: Mapping[str, str]) -> Keys:
    """See `read_keys`."""
    return read_keys(MASTER_KEY, path, environment)


def _decoded(word: str) -> bytes | None:
    """A key of base64; None of anything else."""
    try:
        key = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        # The second of a text that is not ASCII.
        return None
    return key if len(key) == KEY_BYTES else None


def _refuse_damaged(kind: KeyKind, path: Path, environment: Mapping[str, str]) -> NoReturn:
    raise KeyProblem(
        f"the {kind.name} in {_source(kind, path, environment)} is damaged (not {KEY_BYTES} bytes of"
        f" base64): {_remedy_of_damage(kind, path, environment)}"
    )


class FollowedKeyFile:
    """A key's file, looked at again and again: it is rotated beside servers that run.

    `held` are the keys in it, or in the environment, which does not change.

    Raises:
        KeyProblem: as `read_keys`.
    """

    def __init__(self, kind: KeyKind, path: Path, environment: Mapping[str, str]) -> None:
        self._kind = kind
        self._path = path
        self._in_file = kind.variable not in environment
        self._seen = self._state() if self._in_file else None
        self.held = read_keys(kind, path, environment)

    def changed(self) -> tuple[bytes, ...] | None:
        """The keys when they are others than before; None while they are not, or cannot be read."""
        state = self._state() if self._in_file else None
        if state == self._seen:
            return None
        try:
            held = read_keys(self._kind, self._path, {})
        except KeyProblem:
            # Taken away, or closed to this process: with what it knows it goes on.
            return None
        self._seen = state
        if held == self.held:
            return None
        self.held = held
        return held.all

    def _state(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def wrong_master_key(path: Path, environment: Mapping[str, str]) -> KeyProblem:
    """What to say when the master key opens no secret of the store."""
    return KeyProblem(
        f"the master key in {_source(MASTER_KEY, path, environment)} does not belong to this store, because"
        " it opens none of its secrets: check that --store-url or HATCHWAY_STORE_URL leads to the right"
        f" store; if it does, {_remedy_of_damage(MASTER_KEY, path, environment)}"
    )


def former_master_key(path: Path, environment: Mapping[str, str]) -> KeyProblem:
    """What to say when a master key that was dropped would seal: nobody else could open that."""
    return KeyProblem(
        f"the master key in {_source(MASTER_KEY, path, environment)} is no longer used in this store: it was"
        " replaced while this machine was away. On a machine that joined, run hatchway join --again, with a"
        " new token (hatchway join-token create). On the first machine, put the key of the other control"
        " planes there"
    )


def former_gateway_key(path: Path, environment: Mapping[str, str]) -> KeyProblem:
    """What to say when gateways with the store's gateway key could not open what this one seals, or the other
    way round."""
    return KeyProblem(
        f"the gateway key in {_source(GATEWAY_KEY, path, environment)} is not the one of this store: check"
        " that --store-url, HATCHWAY_STORE_URL or store.url leads to the right store. If it does, the key"
        " was replaced since, or the store was restored to before this key was introduced. On a machine that"
        " joined, run hatchway join --again, with a new token (hatchway join-token create). On the first"
        " machine, put gateway.key there from a machine that has the right one; or, to use this key, run"
        " 'hatchway gateway-key rotate --step drop'"
    )


def lost_gateway_key(path: Path) -> KeyProblem:
    """What to say where the store knows of a gateway key, and there is none: gateways elsewhere have it yet,
    and could not open what another seals."""
    return KeyProblem(
        f"the gateway key {path} is missing: restore it from a backup, or copy gateway.key from a machine"
        f" that joined (mode 0600){GATEWAY_KEY.instead}. If no copy is left, 'hatchway gateway-key create'"
        " creates a new one: machines that joined get it within a minute, and gateways whose key was copied"
        " by hand refuse every tunnel until the new one is copied to them"
    )


def former_authority(path: Path) -> KeyProblem:
    """What to say when the private CA of this machine is none that clients are to trust by the store."""
    return KeyProblem(
        f"the private CA in {path} is not the one of this store: it was replaced since, or the store was"
        " restored to before this CA was introduced. On a machine that joined, run hatchway join --again,"
        " with a new token (hatchway join-token create). On the first machine, put ca.pem and ca.key there"
        " from a later backup; or, to use this CA, run 'hatchway ca rotate --step drop'"
    )


def altered_check(path: Path, environment: Mapping[str, str], opened: int, number: int) -> KeyProblem:
    """What to say when the master key opens secrets of the store, and not the check of it there."""
    return KeyProblem(
        f"the master key in {_source(MASTER_KEY, path, environment)} opens {opened} of the store's {number}"
        " secrets, but does not match the store's check of it. If it is the right one, that row was altered:"
        f" run 'hatchway master-key mend-check'. Otherwise {_remedy_of_damage(MASTER_KEY, path, environment)}"
    )


def _source(kind: KeyKind, path: Path, environment: Mapping[str, str]) -> str:
    return f"environment variable {kind.variable}" if kind.variable in environment else str(path)


def _remedy_of_damage(kind: KeyKind, path: Path, environment: Mapping[str, str]) -> str:
    if kind.variable in environment:
        return f"set {kind.variable} to the right one, or unset it if {path} contains the key"
    return kind.remedy_of_damage.format(path=path)


def read_gateway_keys(path: Path, environment: Mapping[str, str]) -> Keys:
    """See `read_keys`."""
    return read_keys(GATEWAY_KEY, path, environment)


def _as_whom(path: Path) -> str:
    try:
        is_roots = path.lstat().st_uid == 0 and path.parent.stat().st_uid != 0
    except OSError:
        is_roots = False
    if is_roots:
        # Whoever is the server's user would not find himself to be the wrong one.
        return (
            "it belongs to root, because of 'serve --user', so run this as root. If root does not start the"
            " server, give it to the directory's owner (chown)"
        )
    return "run this as root or as the server's user"


def read_private_file(kind: KeyKind, path: Path, longest: int = _LONGEST_FILE) -> bytes:
    """What is in the file, up to `longest` bytes, when it is one that nobody but its owner may read or write.

    Raises:
        KeyProblem: it is not there, or anything else.
    """
    try:
        # A link could be anybody's, and a pipe would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        remedy = kind.remedy.format(path=path)
        raise KeyProblem(f"there is no {kind.name}: {remedy}{kind.instead}") from None
    except PermissionError:
        raise KeyProblem(f"the {kind.name} {path} cannot be read: {_as_whom(path)}") from None
    except OSError as problem:
        if problem.errno in {errno.ELOOP, errno.EMLINK}:
            raise KeyProblem(
                f"the {kind.name} {path} is a symbolic link: put the file itself there{kind.instead}"
            ) from None
        raise KeyProblem(f"the {kind.name} {path} cannot be read: {problem.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyProblem(
                f"the {kind.name} {path} is not a regular file: {kind.remedy_of_damage.format(path=path)}"
            )
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyProblem(f"others can read the {kind.name}: run chmod 600 {shlex.quote(str(path))}")
        return os.read(descriptor, longest)
    finally:
        os.close(descriptor)
