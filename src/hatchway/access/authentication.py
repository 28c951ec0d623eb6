"""A signed request's caller."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from hatchway.access.principal import Caller
from hatchway.sigv4 import HttpRequest, Scope, Signature, UnknownAccessKey, verify


class Directory(Protocol):
    """Where callers and their signing keys are looked up."""

    def caller(self, access_key_id: str) -> Caller | None: ...
    def signing_key(self, access_key_id: str, scope: Scope) -> bytes | None: ...


def authenticate(
    request: HttpRequest,
    signature: Signature,
    *,
    directory: Directory,
    now: datetime,
    region: str,
    services: Collection[str],
) -> Caller:
    """The caller whose key made the signature.

    An unknown key, an inactive one and one whose user is gone are verified against nothing, which takes the
    same path and time as a wrong signature does.

    Raises:
        SignatureError: what is wrong with the signature.
    """
    caller = directory.caller(signature.access_key_id)
    # Long-term keys have no session token: one that comes with it is not the key that we know.
    known = caller is not None and signature.session_token is None
    key = directory.signing_key(signature.access_key_id, signature.scope) if known else None
    verify(request, signature, key, now=now, region=region, services=services)
    if caller is None or key is None:
        raise UnknownAccessKey(signature.access_key_id)
    return caller
