"""A signed request's caller.

What a server needs of Signature Version 4 to ask for it is here too: planes import `access`, not `sigv4`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from hatchway.access.access_keys import secret_of
from hatchway.access.callers import Callers
from hatchway.access.principal import Caller
from hatchway.access.vault import Vault
from hatchway.domain.arns import Arns
from hatchway.sigv4 import (
    HttpRequest,
    Scope,
    Signature,
    SignatureDoesNotMatch,
    SignatureError,
    UnknownAccessKey,
    WrongScope,
    derive_signing_key,
    read_header_signature,
    read_query_signature,
    verify,
)
from hatchway.store import Transaction

__all__ = [
    "Directory",
    "HttpRequest",
    "Scope",
    "Signature",
    "SignatureError",
    "StoredDirectory",
    "UnknownAccessKey",
    "authenticate",
    "examine",
    "read_header_signature",
    "read_query_signature",
]


class Directory(Protocol):
    """Where callers and their signing keys are looked up."""

    def caller(self, access_key_id: str) -> Caller | None: ...
    def signing_key(self, access_key_id: str, scope: Scope) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class StoredDirectory:
    """The control plane's directory: it unseals the secret, and derives the key of any scope from it."""

    tx: Transaction
    vault: Vault
    arns: Arns
    callers: Callers

    def caller(self, access_key_id: str) -> Caller | None:
        return self.callers.resolve(self.tx, self.arns, access_key_id)

    def signing_key(self, access_key_id: str, scope: Scope) -> bytes | None:
        secret = secret_of(self.tx, self.vault, access_key_id)
        # Derived for an unknown key too, so that it takes as long.
        key = derive_signing_key(secret or "", scope.date, scope.region, scope.service)
        return None if secret is None else key


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

    An unknown key takes the same path and time as a wrong signature does. An inactive key, and one whose user
    is gone, are as good as unknown to whoever signs with it.

    Raises:
        SignatureError: what is wrong with the signature.
    """
    # Long-term keys have no session token: one that comes with it is not the key that we know.
    known = signature.session_token is None
    key = directory.signing_key(signature.access_key_id, signature.scope) if known else None
    verify(request, signature, key, now=now, region=region, services=services)
    caller = directory.caller(signature.access_key_id)
    if caller is None:
        raise UnknownAccessKey(signature.access_key_id)
    return caller


def examine(
    request: HttpRequest,
    signature: Signature,
    *,
    directory: Directory,
    now: datetime,
    region: str,
    services: Collection[str],
) -> bool:
    """Whether a request's head alone shows whose it is, its body not having been read.

    It does when it states the body's hash, in `X-Amz-Content-Sha256`. With another hash than the stated one
    the body will be refused. AWS CLI and boto3 state none: then all that can be known before the body is
    whether the key is active and its scope and time are right.

    Raises:
        SignatureError: what is wrong, whatever the body.
    """
    stated = request.header_values("x-amz-content-sha256")
    known = signature.session_token is None
    key = directory.signing_key(signature.access_key_id, signature.scope) if known else None
    try:
        verify(
            request,
            signature,
            key,
            now=now,
            region=region,
            services=services,
            payload_hash=",".join(stated).strip(),
        )
    except WrongScope:
        raise
    except SignatureDoesNotMatch:
        if stated:
            raise
    if directory.caller(signature.access_key_id) is None:
        raise UnknownAccessKey(signature.access_key_id)
    return bool(stated)
