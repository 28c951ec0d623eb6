"""A machine that has joined, and what it is to have now: certificates, and keys where it has not the right
ones."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from hatchway.control.bearer_tokens import BearerRefused, refusals_counted
from hatchway.control.call_rates import Kind, TooFast
from hatchway.control.machines.certificates import with_certificate
from hatchway.control.machines.grants import answer_of, names_of, sealed_keys
from hatchway.control.machines.requests import known_machine, own_keys, read_request, shown_machine
from hatchway.control.machines.trail import machine_record
from hatchway.control.plane import ControlPlane
from hatchway.keys.machines import told_authorities, told_ids
from hatchway.pki.certificate_authority import SERVER_LIFETIME

PAUSE: Final = timedelta(seconds=2)
"""Between two certificates of one machine, or the same keys once more: each is in the trail, which one
machine alone must not fill."""
SEEN: Final = timedelta(minutes=5)
"""How often it is noted that a machine that asks each minute has asked."""
_TICK: Final = timedelta(microseconds=1)


def renew_machine(
    plane: ControlPlane, *, authorization: str, content: bytes, peer: str, user_agent: str
) -> Mapping[str, Any]:
    """What a machine that joined is to have now. By the first time its joining is finished.

    Raises:
        BearerRefused: 401 for a machine that is not known, 400 for what cannot be, 409 where nothing is
            handed out, 429 for one that has just been given a certificate, or has something new all the time.
    """
    with refusals_counted(plane, "RenewMachine", peer=peer, user_agent=user_agent):
        return _renew(plane, authorization, content, peer, user_agent)


def _renew(
    plane: ControlPlane, authorization: str, content: bytes, peer: str, user_agent: str
) -> Mapping[str, Any]:
    token = shown_machine(authorization)
    own = own_keys(plane)
    with plane.store.read() as tx:
        machine, grant = known_machine(tx, plane, token)
        asked = read_request(content, joins=False)
        names = names_of(tx, grant, asked, own)
        current = own.is_current(tx, machine.role)
    held = own.held(machine.role)
    now = plane.clock()
    has_others = current and told_ids(held) != asked.key_ids
    hands_out = has_others and own.hand_out(machine.id, told_ids(held), now, PAUSE)
    if (
        asked.request is not None
        and machine.expires_at
        # One that ends later was made while a clock was ahead.
        and now + SERVER_LIFETIME - PAUSE < machine.expires_at <= now + SERVER_LIFETIME
    ):
        raise BearerRefused(429, "this machine has just been given a certificate: ask again in a while")
    has = (*asked.key_ids, *told_authorities(asked.authorities))
    seen = replace(machine, names=names.possible, key_ids=has)
    is_news = seen != machine or not machine.finished or abs(now - machine.seen_at) >= SEEN
    if is_news or asked.request is not None or hands_out:
        _bound(plane, machine.id)
        with plane.store.write() as tx:
            # It may have been removed, or given a certificate, meanwhile.
            machine, grant = known_machine(tx, plane, token)
            machine = replace(
                machine,
                names=names.possible,
                key_ids=has,
                seen_at=max(now, machine.joined_at + _TICK),
                seen_from=peer,
            )
            if hands_out:
                tx.audit_records.add(
                    machine_record(
                        plane,
                        "HandOutKeys",
                        machine,
                        parameters={"machineId": machine.id, "keyIds": list(asked.key_ids)},
                        answer={"keyIds": list(told_ids(held))},
                        peer=peer,
                        user_agent=user_agent,
                    )
                )
            if asked.request is not None:
                machine = with_certificate(
                    plane, tx, replace(machine, request=asked.request, certificate=None)
                )
            tx.machines.put(machine)
    keys = sealed_keys(grant, machine.id, held, {}) if hands_out else None
    answer = answer_of(own, machine, grant, names)
    if not current:
        # Its file of CAs may be one from before, too.
        answer["ca"] = None
    return {**answer, "keys": keys, "current": current}


def _bound(plane: ControlPlane, machine_id: str) -> None:
    """Has a machine wait that would take the write lock again and again, for which others wait.

    Raises:
        BearerRefused: 429.
    """
    try:
        plane.machine_rates.spend(machine_id, Kind.WRITE, time.monotonic())
    except TooFast:
        raise BearerRefused(
            429, "this machine has told too often what is new with it: ask again in a while"
        ) from None
