"""Sealing under a key (AES-256-GCM, NIST SP 800-38D).

A sealed text is a version byte, a 12-byte nonce and the ciphertext with its tag. The context names what was
sealed and is authenticated with it, so that no sealed text can stand in another's place.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hatchway.access.key_files import KEY_BYTES, KeyProblem

_NONCE_BYTES = 12
_VERSION = b"\x01"
_SECRET_BYTES = 40
"""As many as a secret access key has."""


class Unsealable(Exception):
    """A sealed text was altered, sealed for another place, or sealed under another key."""


class Vault:
    """Seals and unseals under one key.

    `key_id` tells keys apart and says nothing else of them: 16 hexadecimal digits.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise KeyProblem(f"a key must be {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"hatchway key id\0" + key).hexdigest()[:16]
        self._nothing = self.seal(bytes(_SECRET_BYTES), "")

    def seal(self, plaintext: bytes, context: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, context.encode())

    def unseal_nothing(self) -> None:
        """Takes as long as to unseal a secret, so that nobody is told by the time that there is none."""
        self.unseal(self._nothing, "")

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
