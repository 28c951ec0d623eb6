"""EC2's encoded authorization failure message (AWS: "DecodeAuthorizationMessage").

The message is the refusal's reasons, sealed: whoever is denied may carry it to someone who may decode it, and
reads nothing in it.
"""

import base64
import binascii
import json
import zlib
from typing import Any

from hatchway.access.authorization import AccessDenied
from hatchway.access.vault import Unsealable, Vault

_CONTEXT = "authorization failure message"
_LONGEST = 64 * 1024
"""Bytes of a decoded message: far more than any decision takes, and a bound on what a forged one could."""


def encode_failure_message(vault: Vault, denied: AccessDenied) -> str:
    body = {"principal": denied.principal.arn, **denied.authorization.to_json()}
    text = json.dumps(body, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(vault.seal(zlib.compress(text), _CONTEXT)).decode("ascii").rstrip("=")


def decode_failure_message(vault: Vault, message: str) -> dict[str, Any]:
    """The reasons in a message.

    Raises:
        Unsealable: this installation did not encode it.
    """
    try:
        sealed = base64.urlsafe_b64decode(message + "=" * (-len(message) % 4))
    except (binascii.Error, ValueError):
        raise Unsealable("not an encoded authorization failure message") from None
    decompressor = zlib.decompressobj()
    text = decompressor.decompress(vault.unseal(sealed, _CONTEXT), _LONGEST)
    if not decompressor.eof:
        raise Unsealable("the message is longer than any decision")
    decoded: dict[str, Any] = json.loads(text)
    return decoded
