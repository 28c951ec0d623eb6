"""EC2's encoded authorization failure message (AWS: "DecodeAuthorizationMessage").

The message is the refusal's reasons, sealed: whoever is denied may carry it to someone who may decode it, and
reads nothing in it. All messages are equally long and nothing is compressed: a refused caller chooses some of
the text in it, his User-Agent for one, and a length that moved with it would tell him of the rest.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any, Final

from hatchway.access.authorization import AccessDenied
from hatchway.keys.vault import Unsealable, Vault

SIZE: Final = 3072
"""Bytes of every message before it is sealed. STS takes 10,240 characters; terminals are glad of fewer."""
_CONTEXT: Final = "authorization failure message 2"


def encode_failure_message(vault: Vault, denied: AccessDenied) -> str:
    """The message; of reasons that it has no room for, the least telling are left out, and it says so."""
    text = next(
        text
        for body in _shorter_and_shorter(denied)
        if len(text := json.dumps(body, separators=(",", ":")).encode()) <= SIZE
    )
    # Padded with what JSON does not mind.
    sealed = vault.seal(text.ljust(SIZE), _CONTEXT)
    return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")


def decode_failure_message(vault: Vault, message: str) -> dict[str, Any]:
    """The reasons in a message.

    Raises:
        Unsealable: this installation did not encode it.
    """
    try:
        # More padding than is needed does no harm.
        sealed = base64.urlsafe_b64decode(message + "==")
    except (binascii.Error, ValueError):
        raise Unsealable("not an encoded authorization failure message") from None
    decoded: dict[str, Any] = json.loads(vault.unseal(sealed, _CONTEXT))
    return decoded


def _shorter_and_shorter(denied: AccessDenied) -> Iterator[dict[str, Any]]:
    """What a message may hold: all, then the check that refused alone, then less and less of that."""
    principal = {"principal": denied.principal.arn}
    whole = denied.authorization.to_json()
    yield {**principal, **whole}
    refusal = whole["checks"][-1]
    omitted = {"omitted": "for its size: the audit trail has all of it, under the request's id"}
    yield {**principal, **omitted, "checks": [refusal]}
    misses, deciding = refusal["nearMisses"], refusal["deciding"]
    told = ("outcome", "layer", "action", "ambiguousKeys")
    less = {name: refusal[name] for name in told if name in refusal}
    resources = [_short(resource) for resource in refusal["resources"][:1]]
    for most in (32, 16, 8, 4, 2, 1, 0):
        kept = {"deciding": deciding[:most], "nearMisses": misses[:most], "resources": resources}
        yield {**principal, **omitted, "checks": [{**less, **kept}]}
    # Even names may be long: a principal's ARN has up to 2,048 characters.
    yield {
        "principal": _short(denied.principal.arn),
        **omitted,
        "checks": [
            {"outcome": less["outcome"], "action": _short(less["action"]), "resources": resources}
            | {"layer": less["layer"], "deciding": [], "nearMisses": []}
        ],
    }


def _short(text: str) -> str:
    return text[:200]
