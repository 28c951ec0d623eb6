"""A machine that joins by a join token, or goes on where its joining was interrupted."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import structlog

from hatchway.control.bearer_tokens import BearerRefused, refusals_counted, shown_token
from hatchway.control.machines.certificates import with_certificate
from hatchway.control.machines.grants import answer_of, names_of, sealed_keys
from hatchway.control.machines.requests import (
    MachineRequest,
    known_machine,
    own_keys,
    read_request,
)
from hatchway.control.machines.trail import machine_record
from hatchway.control.plane import ControlPlane
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken, InvalidToken
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.machine import JOIN_TOKEN, MACHINE_TOKEN, JoinToken, Machine, Role
from hatchway.keys.machines import Grant, delete_grant, grant_of, put_grant, told_authorities, told_ids
from hatchway.store import Transaction

MOST_MACHINES: Final = 1000
PAUSE: Final = timedelta(seconds=2)
"""Between two times that one machine joins: each is in the trail, which one machine alone must not fill."""
_NOT_GOOD: Final = (
    "the join token is not valid, or has expired: ask for a new one (hatchway join-token create)"
)
_FINISHED: Final = (
    "this machine has joined already: start its server. To let it join again, take a new token (hatchway"
    " join-token create)"
)

log = structlog.get_logger("hatchway.control")


def join_machine(
    plane: ControlPlane, *, authorization: str, content: bytes, peer: str, user_agent: str
) -> Mapping[str, Any]:
    """Takes in the machine that asks: what it needs for its role, this once with its own token.

    Raises:
        BearerRefused: 401 for a token that is not good, 400 for what cannot be, 409 where nobody can join,
            429 for a machine that has joined a moment ago.
    """
    with refusals_counted(plane, "JoinMachine", peer=peer, user_agent=user_agent):
        return _join(plane, authorization, content, peer, user_agent)


def _join(
    plane: ControlPlane, authorization: str, content: bytes, peer: str, user_agent: str
) -> Mapping[str, Any]:
    token = shown_token(JOIN_TOKEN, authorization, _NOT_GOOD)
    # Only whoever has a good token gets to hold the write lock.
    with plane.store.read() as tx:
        _granted(tx, plane, token)
        asked = read_request(content, joins=True)
        _admitted(tx, plane, token, asked)
    own = own_keys(plane)
    with plane.store.write() as tx:
        kept, grant, begun = _admitted(tx, plane, token, asked)
        if not own.is_current(tx, kept.role):
            raise BearerRefused(409, "this control plane's keys are being replaced: try again in a minute")
        if kept.role is Role.GATEWAY and asked.required:
            raise BearerRefused(
                400,
                "a gateway's certificate is for the gateways' names: others are said when its token is made"
                " (hatchway join-token create --name)",
            )
        own_token = BearerToken(_machine_id(token, asked.public_key), plane.random_bytes(SECRET_SIZE))
        granted = replace(
            grant, token_hash=MACHINE_TOKEN.hash(own_token), public_key=asked.public_key, store_url=""
        )
        now = plane.clock()
        names = names_of(tx, granted, asked, own)
        if beyond := [name for name in asked.required if name in names.beyond]:
            raise BearerRefused(
                400,
                f"the private CA may not issue for {beyond[0]}: join without it, or have the next CA issue"
                " for it (hatchway ca rotate --step add --name)",
            )
        held = own.held(kept.role)
        machine = Machine(
            id=own_token.id,
            name=asked.name,
            role=kept.role,
            names=names.possible,
            key_ids=(*told_ids(held), *told_authorities(own.authority.fingerprints())),
            request=asked.request,
            joined_at=now,
            seen_at=now,
            seen_from=peer,
        )
        keys = sealed_keys(granted, machine.id, held, {"store_url": grant.store_url})
        uses = kept.uses + (begun is None)
        tx.join_tokens.put(replace(kept, uses=uses))
        put_grant(tx, plane.vault, machine.id, granted)
        former = _take_out_former(tx, plane, asked)
        tx.audit_records.add(
            machine_record(
                plane,
                "JoinMachine",
                machine,
                parameters={
                    "joinTokenId": kept.id,
                    "createdBy": kept.created_by,
                    "name": machine.name,
                    "role": machine.role.value,
                    "vpcs": list(granted.vpcs),
                    "endpoints": list(granted.endpoints),
                    "names": list(machine.names),
                },
                answer={
                    "machineId": machine.id,
                    "use": uses,
                    "keyIds": list(told_ids(held)),
                    **({} if begun is None else {"resumed": True}),
                    **({} if former is None else {"replaces": former}),
                },
                peer=peer,
                user_agent=user_agent,
            )
        )
        machine = with_certificate(plane, tx, machine)
        tx.machines.put(machine)
    log.info(
        "machine joined" if begun is None else "machine goes on joining",
        machine_id=machine.id,
        role=machine.role.value,
        join_token=kept.id,
        peer=peer,
    )
    return {
        **answer_of(own, machine, granted, names),
        "token": MACHINE_TOKEN.write(own_token),
        "keys": keys,
    }


def _granted(tx: Transaction, plane: ControlPlane, token: BearerToken) -> tuple[JoinToken, Grant]:
    """What a token gives that has not ended, however often it was used.

    Raises:
        BearerRefused: 401.
    """
    grant = grant_of(tx, plane.vault, JOIN_TOKEN, token)
    kept = tx.join_tokens.get(token.id)
    if grant is None or kept is None or kept.role is not grant.role or not plane.clock() < kept.expires_at:
        raise BearerRefused(401, _NOT_GOOD)
    return kept, grant


def _admitted(
    tx: Transaction, plane: ControlPlane, token: BearerToken, asked: MachineRequest
) -> tuple[JoinToken, Grant, Machine | None]:
    """The same for one machine more, or for the one that began to join by this token and this key.

    Raises:
        BearerRefused: 401, 409, 429.
    """
    kept, grant = _granted(tx, plane, token)
    begun = tx.machines.get(_machine_id(token, asked.public_key))
    if begun is not None:
        if begun.finished:
            raise BearerRefused(401, _FINISHED)
        if begun.joined_at > plane.clock() - PAUSE:
            raise BearerRefused(429, "this machine has joined a moment ago: try again in a while")
        return kept, grant, begun
    if kept.uses >= kept.max_uses:
        raise BearerRefused(401, _NOT_GOOD)
    if tx.machines.count() >= MOST_MACHINES:
        raise BearerRefused(
            409, f"{MOST_MACHINES} machines have joined: remove one (hatchway machine remove)"
        )
    return kept, grant, None


def _machine_id(token: BearerToken, public_key: bytes) -> str:
    """The same for the same two: nobody else can know both."""
    return new_id(Kind.MACHINE, hashlib.sha256(JOIN_TOKEN.hash(token) + public_key).digest())


def _take_out_former(tx: Transaction, plane: ControlPlane, asked: MachineRequest) -> str | None:
    """Ends what the machine was known as before, by the token that it had as such; its id.

    Where it was taken out already, or its token is not good, there is nothing to end.
    """
    with suppress(InvalidToken, BearerRefused):
        machine, _ = known_machine(tx, plane, MACHINE_TOKEN.read(asked.replaces))
        tx.machines.delete(machine.id)
        delete_grant(tx, machine.id)
        return machine.id
    return None
