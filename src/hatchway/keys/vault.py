"""Sealing under a key (AES-256-GCM, NIST SP 800-38D).

A sealed text is a version byte, a 12-byte nonce and the ciphertext with its tag. The context names what was
sealed and is authenticated with it, so that no sealed text can stand in another's place.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hatchway.keys.key_files import KEY_BYTES, KeyProblem

_NONCE_BYTES = 12
_VERSION = b"\x01"
_SECRET_BYTES = 40
"""As many as a secret access key has."""


class Unsealable(Exception):
    """A sealed text was altered, sealed for another place, or sealed under another key."""


class Vault:
    """Seals under one key, and unseals under that and others, while one takes another's place.

    Thread-safe. `key_id` tells keys apart and says nothing else of them: 16 hexadecimal digits of the one
    that seals.

    Args:
        keys: the one that seals first; all of them unseal.
        changed: the keys when they are others than when it last said so, else None. It is asked before
            anything is sealed, and when nothing that is known unseals a text.
    """

    def __init__(self, *keys: bytes, changed: Callable[[], Sequence[bytes] | None] = lambda: None) -> None:
        self._changed = changed
        self._following = threading.Lock()
        self._use(keys)

    @property
    def key_id(self) -> str:
        return self._keys[0].id

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Of all that unseal, the one that seals first."""
        return tuple(key.id for key in self._keys)

    def seal(self, plaintext: bytes, context: str) -> bytes:
        self.follow()
        return self._keys[0].seal(plaintext, context)

    def is_current(self, sealed: bytes, context: str) -> bool:
        """Whether it was sealed for this context under the key that seals."""
        try:
            self._keys[0].unseal(sealed, context)
        except Unsealable:
            return False
        return True

    def unseal_nothing(self) -> None:
        """Takes as long as to unseal a secret."""
        self.unseal(self._nothing, "")

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """What was sealed for this context.

        Raises:
            Unsealable: it was not, or not under this key.
        """
        tried = self._keys
        try:
            return _unseal(tried, sealed, context)
        except Unsealable:
            self.follow()
            # Another thread may have taken them first.
            if self._keys is tried:
                raise
        return _unseal(self._keys, sealed, context)

    def follow(self) -> None:
        """Takes other keys where there are. Whoever comes while another thread does so waits for them."""
        with self._following:
            keys = self._changed()
            if keys is not None:
                self._use(keys)

    def _use(self, keys: Sequence[bytes]) -> None:
        self._keys = tuple(map(_Key, keys))
        self._nothing = self._keys[0].seal(bytes(_SECRET_BYTES), "")


def _unseal(keys: "Sequence[_Key]", sealed: bytes, context: str) -> bytes:
    for key in keys[:-1]:
        with suppress(Unsealable):
            return key.unseal(sealed, context)
    return keys[-1].unseal(sealed, context)


class _Key:
    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise KeyProblem(f"a key must be {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        self.id = hashlib.sha256(b"hatchway key id\0" + key).hexdigest()[:16]

    def seal(self, plaintext: bytes, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, context.encode())

    def unseal(self, sealed: bytes, context: str) -> bytes:
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise Unsealable("not a sealed text")
        try:
            return self._cipher.decrypt(nonce, ciphertext, context.encode())
        except InvalidTag:
            raise Unsealable("the sealed text does not open with this key") from None
