"""A FIDO security key in software: an ssh-agent that signs as an authenticator that is touched each time.

The agent's protocol is draft-miller-ssh-agent; the keys and signatures are OpenSSH's PROTOCOL.u2f.
"""

import base64
import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ED25519: Final = "sk-ssh-ed25519@openssh.com"
ECDSA: Final = "sk-ecdsa-sha2-nistp256@openssh.com"
_APPLICATION: Final = b"ssh:"
_TOUCHED: Final = 1
_FAILURE, _IDENTITIES, _IDENTITIES_ANSWER, _SIGN, _SIGN_RESPONSE = 5, 11, 12, 13, 14


class SecurityKey:
    """`public_key` is the line that is pushed; `sign` gives what sshd verifies."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._counter = 0
        if kind == ED25519:
            self._edwards = ed25519.Ed25519PrivateKey.generate()
            raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
            body = _string(self._edwards.public_key().public_bytes(*raw))
        else:
            self._nist = ec.generate_private_key(ec.SECP256R1())
            point = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            body = _string(b"nistp256") + _string(self._nist.public_key().public_bytes(*point))
        self.blob = _string(kind.encode()) + body + _string(_APPLICATION)
        self.public_key = f"{kind} {base64.b64encode(self.blob).decode()}"

    def sign(self, data: bytes) -> bytes:
        self._counter += 1
        tail = bytes([_TOUCHED]) + self._counter.to_bytes(4, "big")
        signed = hashlib.sha256(_APPLICATION).digest() + tail + hashlib.sha256(data).digest()
        if self._kind == ED25519:
            signature = self._edwards.sign(signed)
        else:
            pair = decode_dss_signature(self._nist.sign(signed, ec.ECDSA(hashes.SHA256())))
            signature = b"".join(map(_mpint, pair))
        return _string(self._kind.encode()) + _string(signature) + tail


@contextlib.contextmanager
def agent_of(key: SecurityKey, path: Path) -> Iterator[None]:
    """An ssh-agent at `path` that has the key, for as long as the context lasts."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_serve, args=(listener, key), daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def _serve(listener: socket.socket, key: SecurityKey) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as reader:
                while header := reader.read(4):
                    answer = _answer(key, reader.read(int.from_bytes(header, "big")))
                    connection.sendall(_string(answer))


def _answer(key: SecurityKey, request: bytes) -> bytes:
    if request[0] == _IDENTITIES:
        return bytes([_IDENTITIES_ANSWER, 0, 0, 0, 1]) + _string(key.blob) + _string(b"")
    if request[0] == _SIGN:
        skipped = 5 + int.from_bytes(request[1:5], "big")
        size = int.from_bytes(request[skipped : skipped + 4], "big")
        data = request[skipped + 4 : skipped + 4 + size]
        return bytes([_SIGN_RESPONSE]) + _string(key.sign(data))
    return bytes([_FAILURE])


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _mpint(number: int) -> bytes:
    return _string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
