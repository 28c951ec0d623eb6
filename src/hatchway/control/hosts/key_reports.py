"""The public keys by which a host is known, as the host itself reports them: `POST /host/v1/host-keys`.

    Authorization: Bearer hwh_i-0123456789abcdef0_…
    ssh-ed25519 AAAAC3Nza… root@web-1
    ecdsa-sha2-nistp256 AAAAE2Vj… root@web-1

    200, and the fingerprint of each key that is known from then on, a line each

The report takes the place of the host's former one. Clients take for the host what proves to have one of
these keys (`DescribeHostKeys`): so who has a host's token may change them, for that host alone, and the trail
has it; who has not cannot be taken for the host.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog

from hatchway.control.bearer_tokens import BearerRefused
from hatchway.control.hosts.authentication import host_record, known_host, put_in_force
from hatchway.control.plane import ControlPlane
from hatchway.domain.public_key import (
    HOST_KEY_TYPES,
    InvalidPublicKey,
    PublicKey,
    authorized_keys_line,
    parse_public_key,
)
from hatchway.domain.ssh_key import MOST_HOST_KEYS, HostPublicKeys

LARGEST_REPORT: Final = 64 * 1024
"""Bytes of the body that a host sends."""
PAUSE: Final = timedelta(seconds=2)
"""Between two changes of one host's keys: each is in the trail, which one host alone must not fill."""

log = structlog.get_logger("hatchway.control")


def report_host_keys(
    plane: ControlPlane, *, authorization: str, content: bytes, peer: str, user_agent: str
) -> list[str]:
    """Keeps the host's public keys; their fingerprints, in the order of the report.

    Keys that no client could check, of another type or too short, are passed over.

    Args:
        authorization: the header, `Bearer <host token>` (RFC 6750 section 2.1).
        content: the body, a public key a line as ssh-keygen writes it.
        peer: the address that it comes from.

    Raises:
        BearerRefused: 401 for a token that is not a host's, 400 where there is no key or there are too many,
            429 for one change soon after another.
    """
    with plane.store.read() as tx:
        host = known_host(tx, authorization)
        known = tx.host_public_keys.get(host.instance_id)
    keys = _keys(content)
    lines, fingerprints = tuple(map(authorized_keys_line, keys)), [key.fingerprint for key in keys]
    if host.fresh:
        put_in_force(plane, host.token)
    if known is not None and known.public_keys == lines:
        return fingerprints
    # Before the store's write lock too: whoever reports without end holds up nobody who writes.
    _require_pause(known, plane.clock())
    with plane.store.write() as tx:
        # It may have been taken out meanwhile.
        known_host(tx, authorization)
        known, now = tx.host_public_keys.get(host.instance_id), plane.clock()
        _require_pause(known, now)
        tx.host_public_keys.put(
            HostPublicKeys(instance_id=host.instance_id, public_keys=lines, reported_at=now)
        )
        former = () if known is None else map(parse_public_key, known.public_keys)
        tx.audit_records.add(
            host_record(
                plane,
                "ReportHostKeys",
                host.instance_id,
                now=now,
                parameters={"fingerprints": fingerprints},
                answer={"formerFingerprints": [key.fingerprint for key in former]},
                peer=peer,
                user_agent=user_agent,
            )
        )
    log.info("host reported its keys", instance_id=host.instance_id, fingerprints=fingerprints)
    return fingerprints


def _require_pause(known: HostPublicKeys | None, now: datetime) -> None:
    """
    Raises:
        BearerRefused: 429, as `report_host_keys`.
    """
    if known is not None and now - known.reported_at < PAUSE:
        raise BearerRefused(429, "this host's keys have just been changed: report again in a while")


def _keys(content: bytes) -> list[PublicKey]:
    """
    Raises:
        BearerRefused: 400, as `report_host_keys`.
    """
    try:
        lines = [line for line in content.decode("ascii").split("\n") if line]
    except UnicodeDecodeError:
        raise BearerRefused(400, "a report is a public key a line, as ssh-keygen writes it") from None
    if len(lines) > MOST_HOST_KEYS:
        raise BearerRefused(400, f"a host has at most {MOST_HOST_KEYS} keys")
    keys = dict[str, PublicKey]()
    for line in lines:
        try:
            key = parse_public_key(line)
        except InvalidPublicKey:
            continue
        if key.type in HOST_KEY_TYPES:
            keys.setdefault(key.fingerprint, key)
    if not keys:
        raise BearerRefused(400, f"there is no key of a type that clients check: {', '.join(HOST_KEY_TYPES)}")
    return list(keys.values())
