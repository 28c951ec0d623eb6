"""A key by which a host sees for itself that its sshd asks here: `POST /host/v1/proof?user=ec2-user`.

    Authorization: Bearer hwh_i-0123456789abcdef0_…
    ssh-ed25519 AAAAC3Nza…

From then on, for some seconds, the look-up for that user of this host finds the key, with options (sshd(8),
"AUTHORIZED_KEYS FILE FORMAT") by which it runs `true`, from the host itself, and does nothing else: so a host
token gives nobody a shell or a way through. It is not good for one look-up alone: sshd makes two for a login.
"""

from datetime import datetime, timedelta
from typing import Final

from hatchway.control.bearer_tokens import BearerRefused
from hatchway.control.hosts.authentication import host_record, known_host, put_in_force
from hatchway.control.hosts.authorized_keys import is_os_user
from hatchway.control.plane import ControlPlane
from hatchway.domain.public_key import InvalidPublicKey, authorized_keys_line, parse_public_key
from hatchway.domain.ssh_key import PushedKey
from hatchway.store import Transaction

LARGEST_KEY: Final = 8 * 1024
"""Bytes of the body that a host sends."""
LIFETIME: Final = timedelta(seconds=30)
PAUSE: Final = timedelta(seconds=2)
"""Between two proofs of one host: each is in the trail, which one host alone must not fill."""
_LOOPBACK: Final = ("127.0.0.1", "::1")


def make_proof_key(
    plane: ControlPlane, *, authorization: str, content: bytes, os_user: str, peer: str, user_agent: str
) -> str:
    """Has the look-up find the host's own key for a while, in place of its former one; its fingerprint.

    Args:
        authorization: the header, `Bearer <host token>` (RFC 6750 section 2.1).
        content: the body, one public key as ssh-keygen writes it.
        peer: the address that it comes from.

    Raises:
        BearerRefused: 401 for a token that is not a host's, 400 for a user or key that cannot be, 409 for a
            key that somebody has pushed, 429 for a proof soon after another.
    """
    with plane.store.read() as tx:
        host = known_host(tx, authorization)
        # Before the store's write lock too: whoever proves himself without end holds up nobody who writes.
        _require_pause(_former(plane, tx, host.instance_id), plane.clock())
    try:
        key = parse_public_key(content.decode("ascii"))
    except (UnicodeDecodeError, InvalidPublicKey) as problem:
        raise BearerRefused(400, f"the body is no public key: {problem}") from None
    if not is_os_user(os_user):
        raise BearerRefused(400, "user must be as sshd has it in %u")
    if host.fresh:
        put_in_force(plane, host.token)
    by = plane.arns.instance(host.instance_id)
    with plane.store.write() as tx:
        # It may have been taken out meanwhile.
        known_host(tx, authorization)
        now = plane.clock()
        _require_pause(_former(plane, tx, host.instance_id), now)
        tx.pushed_keys.delete_where(instance_id=host.instance_id, pushed_by=by)
        if tx.pushed_keys.find(instance_id=host.instance_id, os_user=os_user, fingerprint=key.fingerprint):
            raise BearerRefused(409, "a key for a proof is one that nobody has pushed")
        instance = tx.instances.get(host.instance_id)
        own = () if instance is None else instance.addresses
        sources = ",".join([*_LOOPBACK, *own])
        tx.pushed_keys.put(
            PushedKey(
                instance_id=host.instance_id,
                os_user=os_user,
                fingerprint=key.fingerprint,
                public_key=f'restrict,from="{sources}",command="true" {authorized_keys_line(key)}',
                expires_at=now + LIFETIME,
                pushed_by=by,
            )
        )
        told = {"osUser": os_user, "fingerprint": key.fingerprint}
        tx.audit_records.add(
            host_record(
                plane,
                "ProveHost",
                host.instance_id,
                now=now,
                parameters=told,
                peer=peer,
                user_agent=user_agent,
            )
        )
    return key.fingerprint


def _former(plane: ControlPlane, tx: Transaction, instance_id: str) -> list[PushedKey]:
    """The keys of this host's own that are known for proofs."""
    return tx.pushed_keys.find(instance_id=instance_id, pushed_by=plane.arns.instance(instance_id))


def _require_pause(former: list[PushedKey], now: datetime) -> None:
    """
    Raises:
        BearerRefused: 429, as `make_proof_key`.
    """
    if any(now - (each.expires_at - LIFETIME) < PAUSE for each in former):
        raise BearerRefused(429, "this host has just proved itself: try again in a while")
