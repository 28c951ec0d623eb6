"""A signed request's caller.

What a server needs of Signature Version 4 to ask for it is here too: planes import `access`, not `sigv4`.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from hatchway.access.callers import Callers, Known
from hatchway.access.principal import Caller
from hatchway.access.sessions import token_fits
from hatchway.domain.arns import Arns
from hatchway.domain.session import Session
from hatchway.keys.access_keys import unsealed
from hatchway.keys.vault import Unsealable, Vault
from hatchway.sigv4.errors import (
    ExpiredToken,
    MissingAuthenticationToken,
    SignatureDoesNotMatch,
    SignatureError,
    UnknownAccessKey,
    WrongScope,
)
from hatchway.sigv4.keys import Scope, derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import Signature, read_header_signature, read_query_signature
from hatchway.sigv4.verification import KeyedDigest, verify
from hatchway.store import Transaction

__all__ = [
    "Directory",
    "ExpiredToken",
    "HttpRequest",
    "KeyedDigest",
    "MissingAuthenticationToken",
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
    def session(self, access_key_id: str) -> Session | None: ...
    def signing_key(self, access_key_id: str, scope: Scope) -> bytes | None: ...


class StoredDirectory:
    """The control plane's directory in one view of the store: it unseals the secret, and derives the key of
    any scope from it."""

    def __init__(self, tx: Transaction, vault: Vault, arns: Arns, callers: Callers) -> None:
        self._tx = tx
        self._vault = vault
        self._arns = arns
        self._callers = callers
        self._found: tuple[str, Known] | None = None

    def caller(self, access_key_id: str) -> Caller | None:
        return self._callers.caller(self._tx, self._arns, access_key_id, self._known(access_key_id))

    def session(self, access_key_id: str) -> Session | None:
        return self._known(access_key_id).session

    def signing_key(self, access_key_id: str, scope: Scope) -> bytes | None:
        secret = self._secret(access_key_id)
        # Derived for an unknown key too: that costs no less than a wrong signature.
        key = derive_signing_key(secret or "", scope.date, scope.region, scope.service)
        return None if secret is None else key

    def _secret(self, access_key_id: str) -> str | None:
        try:
            return unsealed(self._vault, access_key_id, self._known(access_key_id).sealed)
        except Unsealable:
            # It may have been sealed anew since, under another master key, and the former one be no more.
            known = self._callers.look_up_anew(self._tx, access_key_id)
            self._found = access_key_id, known
            return unsealed(self._vault, access_key_id, known.sealed)

    def _known(self, access_key_id: str) -> Known:
        if self._found is None or self._found[0] != access_key_id:
            self._found = access_key_id, self._callers.look_up(self._tx, access_key_id)
        return self._found[1]


def authenticate(
    request: HttpRequest,
    signature: Signature,
    *,
    directory: Directory,
    now: datetime,
    region: str,
    services: Collection[str],
    keyed_digest: KeyedDigest | None = None,
) -> Caller:
    """The caller whose key made the signature. `keyed_digest` computes that, where it can and there is one.

    An unknown key costs what a wrong signature does, and the error tells the two apart. An inactive key, and
    one whose user is gone, are as good as unknown to whoever signs with it, and so are temporary credentials
    with another session token than theirs, and long-term ones with any. Whoever signs with temporary ones
    that have expired is told so.

    Raises:
        SignatureError: what is wrong with the signature.
    """
    session, key = _session_and_key(signature, directory)
    verify(
        request,
        signature,
        key,
        now=now,
        region=region,
        services=services,
        keyed_digest=keyed_digest,
    )
    _check_expiry(session, now)
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
    session, key = _session_and_key(signature, directory)
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
    _check_expiry(session, now)
    if directory.caller(signature.access_key_id) is None:
        raise UnknownAccessKey(signature.access_key_id)
    return bool(stated)


def _session_and_key(signature: Signature, directory: Directory) -> tuple[Session | None, bytes | None]:
    """The session that a key is of, if any; and its signing key, unless the token is not that session's."""
    session = directory.session(signature.access_key_id)
    # Looked up whether or not the token is right, so that it takes as long.
    key = directory.signing_key(signature.access_key_id, signature.scope)
    return session, key if token_fits(session, signature.session_token) else None


def _check_expiry(session: Session | None, now: datetime) -> None:
    """
    Raises:
        ExpiredToken: the credentials are temporary, and have expired.
    """
    if session is not None and not session.good_at(now):
        raise ExpiredToken
