"""Temporary credentials: made here, and their tokens told from wrong ones (AWS: "Temporary security
credentials in IAM").

A session's secret is sealed as an access key's is, under its key id. Of its token there is a hash alone.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select

from hatchway.domain.ids import Kind, new_id
from hatchway.domain.session import Session, SessionKind
from hatchway.keys.access_keys import put_secret
from hatchway.keys.vault import Vault
from hatchway.store import Transaction
from hatchway.store.tables import sealed_secrets, sealed_signing_keys, sessions

_TOKEN_BYTES: Final = 96
_OF_NO_TOKEN: Final = hashlib.sha256().digest()
_NO_HASH: Final = bytes(hashlib.sha256().digest_size)


@dataclass(frozen=True, slots=True)
class TemporaryKey:
    """The parts of temporary credentials that are told once, when they are made."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)

    @property
    def token_hash(self) -> bytes:
        return token_hash(self.token)


def new_temporary_key(random_bytes: Callable[[int], bytes], *, token_size: int = 0) -> TemporaryKey:
    """A key id, a secret and a token of at least `token_size` characters, all fresh."""
    count = max(_TOKEN_BYTES, -(-token_size // 4) * 3)
    return TemporaryKey(
        new_id(Kind.TEMPORARY_ACCESS_KEY, random_bytes(16)),
        base64.b64encode(random_bytes(30)).decode(),
        base64.b64encode(random_bytes(count)).decode(),
    )


def put_session(tx: Transaction, vault: Vault, session: Session, secret: str) -> None:
    """Stores a session and its sealed secret.

    Gateways know it at once; they verify with what `hatchway.access.signing_keys` derives.
    """
    tx.sessions.put(session)
    put_secret(tx, vault, session.access_key_id, secret)


def delete_session(tx: Transaction, access_key_id: str) -> bool:
    """Takes a session away with all that was derived from it; whether there was one."""
    tx.sealed_secrets.delete(access_key_id)
    tx.sealed_signing_keys.delete_where(access_key_id=access_key_id)
    return tx.sessions.delete(access_key_id)


def end_sessions(tx: Transaction, kind: SessionKind, owners: Iterable[str]) -> None:
    """Takes away all sessions of the roles or users of these names, which are being deleted.

    That they are gone would do while they are. But one whom the fleet file makes anew has the former's id,
    and those who had its sessions would have it again.
    """
    for owner in owners:
        if not tx.sessions.count(kind=kind, owner_name=owner):
            continue
        own = sessions.c.kind == kind, sessions.c.owner_name == owner
        keys = select(sessions.c.access_key_id).where(*own)
        tx.sealed_secrets.delete_where(sealed_secrets.c.access_key_id.in_(keys))
        tx.sealed_signing_keys.delete_where(sealed_signing_keys.c.access_key_id.in_(keys))
        tx.sessions.delete_where(*own)


def token_hash(token: str) -> bytes:
    """What is kept of a session token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def token_fits(session: Session | None, token: str | None) -> bool:
    """Whether a request brings the token of the session that its key is of, or rightly none.

    It takes as long whatever the answer: from the time it takes nobody learns whether a session exists.
    """
    kept = _NO_HASH if session is None else session.token_hash
    same = hmac.compare_digest(token_hash(token) if token else _OF_NO_TOKEN, kept)
    return same if session is not None else token is None
