"""Making host tokens, for the API and for the commands on the server."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from hatchway.domain.bearer_token import BearerToken
from hatchway.domain.host_token import HOST_TOKEN, HostToken
from hatchway.store import Transaction


@dataclass(frozen=True, slots=True)
class NewHostToken:
    """A token just made: the only moment at which it can be told.

    Attributes:
        in_force: whether it is good now; else it is when it is first used.
        replaced: whether a former token ended.
    """

    token: str = field(repr=False)
    in_force: bool
    replaced: bool


def new_host_token(
    tx: Transaction, instance_id: str, secret: bytes, *, now: datetime, at_once: bool
) -> NewHostToken:
    """Puts a host token for an instance that is there.

    Args:
        secret: `SECRET_SIZE` bytes from a cryptographic source of randomness.
        at_once: ends the former token now, not when the new one is first used.
    """
    token = HOST_TOKEN.write(BearerToken(instance_id, secret))
    hashed = HOST_TOKEN.hash(HOST_TOKEN.read(token))
    former = tx.host_tokens.get(instance_id)
    if former is None or at_once:
        tx.host_tokens.put(HostToken(instance_id=instance_id, token_hash=hashed, created_at=now))
        return NewHostToken(token, in_force=True, replaced=former is not None)
    # The host goes on with it until it has the new one.
    tx.host_tokens.put(replace(former, next_hash=hashed, created_at=now))
    return NewHostToken(token, in_force=False, replaced=False)
