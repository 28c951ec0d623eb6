"""SSH public keys as `SendSSHPublicKey` gets them and as sshd wants them.

The formats are RFC 4253 section 6.6 (the blob, ssh-rsa), RFC 5656 section 3.1 (ecdsa-sha2-*), RFC 8709
section 4 (ssh-ed25519), OpenSSH's PROTOCOL.u2f, "SSH U2F Key formats" (sk-…), and sshd(8), "AUTHORIZED_KEYS
FILE FORMAT".
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MIN_LENGTH: Final = 80
MAX_LENGTH: Final = 4096
"""Characters of a key (AWS: EC2 Instance Connect API Reference, SendSSHPublicKey, "SSHPublicKey")."""

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16384
"""What sshd itself reads at most (OpenSSH's SSHBUF_MAX_BIGNUM)."""


MAX_APPLICATION_BYTES: Final = 255
"""Of a security key's application, which is a name such as `ssh:` or `ssh:work`."""


class InvalidPublicKey(ValueError):
    """The text is not one public key that sshd would take; the message says why."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key without its comment: `blob` is the key as SSH's protocol writes it."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and 43 characters, as OpenSSH prints it and sshd has it in `%f`."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).rstrip(b"=").decode("ascii")


def parse_public_key(text: str) -> PublicKey:
    """Read one line as ssh-keygen writes it: `type base64 [comment]`.

    Taken are ed25519, RSA of 2048 bits and more, ECDSA on NIST's curves, and ed25519 and ECDSA keys that live
    on a FIDO security key. (AWS documents the first two.) Certificates are refused: what they allow is for
    their CA to say. Options in front of the type are refused, as is anything but one line; one line end after
    it is allowed, since `file://key.pub` brings one along.

    Raises:
        InvalidPublicKey: it is anything else.
    """
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
        raise InvalidPublicKey(f"a public key has {MIN_LENGTH} to {MAX_LENGTH} characters, not {len(text)}")
    line = text.removesuffix("\n").removesuffix("\r")
    if any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in line):
        raise InvalidPublicKey("a public key is one line without control characters")
    key_type, _, rest = line.partition(" ")
    encoded = rest.partition(" ")[0]
    read_body = _BODIES.get(key_type)
    if read_body is None:
        raise InvalidPublicKey(f"the line must begin with one of {', '.join(KEY_TYPES)}")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPublicKey("what follows the key's type is not base64") from None
    if base64.b64encode(blob).decode("ascii") != encoded:
        raise InvalidPublicKey("what follows the key's type is not base64 as ssh-keygen writes it")
    reader = _Reader(blob)
    if reader.string() != key_type.encode("ascii"):
        raise InvalidPublicKey(f"the key itself is not of type {key_type}")
    read_body(reader)
    if reader.rest:
        raise InvalidPublicKey("something follows the key's last field")
    return PublicKey(key_type, blob)


def authorized_keys_line(key: PublicKey) -> str:
    """The line, without its end, by which sshd lets the holder of `key` in. It has no options, no comment."""
    return f"{key.type} {base64.b64encode(key.blob).decode('ascii')}"


class _Reader:
    """Takes length-prefixed strings (RFC 4251 section 5) off the front of a blob."""

    def __init__(self, blob: bytes) -> None:
        self.rest = blob

    def string(self) -> bytes:
        length = int.from_bytes(self.rest[:4], "big")
        value = self.rest[4 : 4 + length]
        if len(self.rest) < 4 or len(value) < length:
            raise InvalidPublicKey("the key is cut short")
        self.rest = self.rest[4 + length :]
        return value

    def positive_integer(self) -> int:
        value = self.string()
        if not value or value[0] & 0x80 or (value[0] == 0 and not (len(value) > 1 and value[1] & 0x80)):
            raise InvalidPublicKey("a number in the key is not positive or not in its shortest form")
        return int.from_bytes(value, "big")


def _ed25519(reader: _Reader) -> None:
    if len(reader.string()) != 32:
        raise InvalidPublicKey("an ed25519 key has 32 bytes")


def _rsa(reader: _Reader) -> None:
    exponent, modulus = reader.positive_integer(), reader.positive_integer()
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise InvalidPublicKey(
            f"an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, not {modulus.bit_length()}"
        )
    if exponent < 3 or exponent % 2 == 0 or modulus % 2 == 0:
        raise InvalidPublicKey("the RSA key's exponent or modulus cannot be right")


def _ecdsa(curve: bytes, coordinate_size: int) -> Callable[[_Reader], None]:
    def read(reader: _Reader) -> None:
        if reader.string() != curve:
            raise InvalidPublicKey("the ECDSA key names another curve than its type")
        point = reader.string()
        if len(point) != 1 + 2 * coordinate_size or point[0] != 4:
            raise InvalidPublicKey("the ECDSA key is not an uncompressed point of its curve")

    return read


def _on_security_key(read_body: Callable[[_Reader], None]) -> Callable[[_Reader], None]:
    def read(reader: _Reader) -> None:
        read_body(reader)
        # The relying party: `ssh:` unless its owner named another. sshd takes any C string.
        application = reader.string()
        if not 1 <= len(application) <= MAX_APPLICATION_BYTES or b"\0" in application:
            raise InvalidPublicKey(
                f"a security key's application has 1 to {MAX_APPLICATION_BYTES} bytes, none of them 0"
            )

    return read


_BODIES: Final[dict[str, Callable[[_Reader], None]]] = {
    "ssh-ed25519": _ed25519,
    "ssh-rsa": _rsa,
    "ecdsa-sha2-nistp256": _ecdsa(b"nistp256", 32),
    "ecdsa-sha2-nistp384": _ecdsa(b"nistp384", 48),
    "ecdsa-sha2-nistp521": _ecdsa(b"nistp521", 66),
    "sk-ssh-ed25519@openssh.com": _on_security_key(_ed25519),
    "sk-ecdsa-sha2-nistp256@openssh.com": _on_security_key(_ecdsa(b"nistp256", 32)),
}

KEY_TYPES: Final = tuple(_BODIES)
"""The key types that may be pushed, and the only words with which a line for sshd begins."""

HOST_KEY_TYPES: Final = tuple(kind for kind in KEY_TYPES if not kind.startswith("sk-"))
"""The key types by which a host may be known: sshd keeps none of its own on a security key."""
