"""SSH public keys: what is taken is one line that sshd reads as that key; what ssh-keygen writes is."""

from __future__ import annotations

import base64
import struct
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from fuzz.draws import Draws
from hatchway.domain.public_key import (
    KEY_TYPES,
    MAX_LENGTH,
    MIN_LENGTH,
    MIN_RSA_BITS,
    InvalidPublicKey,
    authorized_keys_line,
    parse_public_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def one_input(data: bytes) -> None:
    draws = Draws(data)
    if draws.chance(2):
        _check(draws.rest().decode("utf-8", "surrogateescape"))
    else:
        _check(_drawn_line(draws))


def _check(text: str) -> None:
    try:
        key = parse_public_key(text)
    except InvalidPublicKey as refusal:
        assert len(str(refusal)) < 300
        assert not _is_plain(text)
        return
    line = authorized_keys_line(key)
    assert line.isascii()
    assert line.isprintable()
    assert line.split(" ") == [key.type, base64.b64encode(key.blob).decode()]
    assert key.type in KEY_TYPES
    assert parse_public_key(line) == key
    assert len(key.fingerprint) == len("SHA256:") + 43
    fields = _fields(key.blob)
    assert fields[0] == key.type.encode()
    assert b"".join(struct.pack(">I", len(field)) + field for field in fields) == key.blob


def _fields(blob: bytes) -> list[bytes]:
    fields = []
    while blob:
        (size,) = struct.unpack_from(">I", blob)
        fields.append(blob[4 : 4 + size])
        assert len(fields[-1]) == size
        blob = blob[4 + size :]
    return fields


def _is_plain(text: str) -> bool:
    """Whether the text is a key as cryptography writes it, of those that AWS takes."""
    words = text.split(" ")
    if len(words) != 2 or not MIN_LENGTH <= len(text) <= MAX_LENGTH or not text.isascii():
        return False
    try:
        key: Any = load_ssh_public_key(text.encode())
        written = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except Exception:  # whatever it is, it is no key
        return False
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        fits = key.key_size >= MIN_RSA_BITS and numbers.n % 2 == 1 and numbers.e % 2 == 1 and numbers.e >= 3
    else:
        fits = isinstance(key, ed25519.Ed25519PublicKey)
    return fits and written == text


def _drawn_line(draws: Draws) -> str:
    """A line whose blob has fields of some lengths, right or not."""
    name = draws.one_of(KEY_TYPES).encode()
    fields = [
        draws.one_of((name, b"ssh-ed25519", b"nistp256", draws.octets(20))) if at else name for at in range(2)
    ]
    sizes = (32, 65, 97, 133, 257, 3, 0, 64)
    for _ in range(draws.below(3)):
        size = draws.one_of(sizes)
        first = draws.one_of((b"\4", b"\0\x80", b"\1", b"\xff", b""))
        fields.append((first + draws.octets(8)).ljust(size, b"\x11")[:size])
    blob = b"".join(struct.pack(">I", len(field)) + field for field in fields) + (
        draws.octets(3) if draws.chance(6) else b""
    )
    return f"{name.decode()} {base64.b64encode(blob).decode()}{draws.text(8)}"


@cache
def seeds() -> list[bytes]:
    keys: list[Any] = [
        ed25519.Ed25519PrivateKey.from_private_bytes(b"\7" * 32).public_key(),
        rsa.RSAPublicNumbers(65537, (1 << 2047) + 12345).public_key(),
        rsa.RSAPublicNumbers(65537, (1 << 1023) + 12345).public_key(),
        *(
            ec.derive_private_key(7, curve()).public_key()
            for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
        ),
    ]
    lines = [key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) for key in keys]
    odd = [
        lines[0] + b" alice@laptop\n",
        lines[0] + b"\r\n",
        lines[0] + b"\n" + lines[0],
        b'command="id" ' + lines[0],
        lines[0].replace(b" ", b"  "),
        lines[0] + "\u2028ssh-rsa".encode(),
        lines[0] + b"=",
        b"sk-ssh-ed25519@openssh.com " + lines[0][12:],
    ]
    return [b"\1" + line for line in lines + odd] + [
        b"\0" + bytes(range(at, at + 40)) for at in range(0, 200, 20)
    ]


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    lines = {
        "a long comment": f"ssh-ed25519 AAAA {'x' * 20 * size}",
        "a long blob": f"ssh-rsa {'A' * 20 * size}",
        "spaces": " " * 20 * size,
    }
    return {what: partial(_check, line) for what, line in lines.items()}
