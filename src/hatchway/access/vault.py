"""The master key, and what it seals (AES-256-GCM, NIST SP 800-38D).

A sealed text is a version byte, a 12-byte nonce and the ciphertext with its tag. The context names what was
sealed and is authenticated with it, so that no sealed text can stand in another's place.
"""

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENVIRONMENT_VARIABLE = "HATCHWAY_MASTER_KEY"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


class MasterKeyProblem(Exception):
    """The master key is missing, malformed or open to others; the message says what to do."""


class Unsealable(Exception):
    """A sealed text was altered, sealed for another place, or sealed under another key."""


class Vault:
    """Seals and unseals under one master key."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != _KEY_BYTES:
            raise MasterKeyProblem(f"the master key must be {_KEY_BYTES} bytes, not {len(master_key)}")
        self._cipher = AESGCM(master_key)

    def seal(self, plaintext: bytes, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """What was sealed for this context.

        Raises:
            Unsealable: it was not, or not under this key.
        """
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise Unsealable("not a sealed text")
        try:
            return self._cipher.decrypt(nonce, ciphertext, context.encode())
        except InvalidTag:
            raise Unsealable("the sealed text does not open with this key") from None


def new_master_key(path: Path) -> bytes:
    """Makes a master key in a new file that only its owner may read.

    Raises:
        FileExistsError: there is a file already.
    """
    key = os.urandom(_KEY_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(key) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def read_master_key(path: Path, environment: Mapping[str, str]) -> bytes:
    """The master key: base64 in the environment variable `HATCHWAY_MASTER_KEY`, else in the file.

    Raises:
        MasterKeyProblem: there is none, it is no 32 bytes of base64, or others may read the file.
    """
    text = environment.get(ENVIRONMENT_VARIABLE)
    source = f"environment variable {ENVIRONMENT_VARIABLE}"
    if text is None:
        source = str(path)
        try:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise MasterKeyProblem(f"others may read the master key: run chmod 600 {path}")
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            raise MasterKeyProblem(
                f"there is no master key: restore {path} from a backup or set {ENVIRONMENT_VARIABLE}"
            ) from None
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise MasterKeyProblem(f"the master key in {source} is not {_KEY_BYTES} bytes of base64")
    return key
