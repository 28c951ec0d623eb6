"""Machines that join, and what they come back for: `POST /machine/v1/join`, `POST /machine/v1/renew`.

    Authorization: Bearer hwj_jt-0123456789abcdef0_…
    {"name": "cp2", "names": ["10.0.0.22"], "required": [], "public_key": "…", "key_ids": [], "request": "…"}

    200 {"machine_id": "m-…", "token": "hwm_m-…", "role": "control", "vpcs": [], "endpoints": [], "ca": "…",
         "names": […], "beyond": […], "certificate": "…", "keys": "…"}

A joined machine renews by its own token, once a minute: it says which keys it has, and gets others only where
these are no longer the ones to have. `keys` is sealed for the machine that joined (`access.machines`): a
gateway's never has the master key, nobody's the CA's. `request` is a request for a certificate (PEM), and
`certificate` the answer to the last one: null until a control plane that has the CA's key has seen it.
`current` is false of a control plane that has not followed the last change of keys: another can give them.
"""

import base64
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

import structlog

from hatchway.access.key_files import Keys
from hatchway.access.machines import (
    Grant,
    grant_of,
    put_grant,
    read_public_key,
    seal_context,
    seal_for,
    told_ids,
)
from hatchway.audit.events import unknown_identity
from hatchway.audit.local import EVENT_SOURCE
from hatchway.control.host_authentication import HostRefused
from hatchway.control.own_keys import OwnKeys
from hatchway.control.plane import ControlPlane
from hatchway.control.service_events import service_record, service_source
from hatchway.domain.account import AuditRecord, certificate_name
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken, InvalidToken, TokenForm
from hatchway.domain.gateway_names import gateway_names
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.machine import JOIN_TOKEN, MACHINE_TOKEN, JoinToken, Machine, Role
from hatchway.pki import (
    LOCAL_NAMES,
    SERVER_LIFETIME,
    KeyPair,
    PkiProblem,
    check_request,
    expiry,
    is_dns_name,
    issue_requested,
    names_beyond,
    permitted_dns_names,
)
from hatchway.store import Transaction
from hatchway.store.tables import endpoints, subnets

LARGEST_REQUEST: Final = 16_384
"""Bytes of the body that a machine sends."""
MOST_MACHINES: Final = 1000
PAUSE: Final = timedelta(seconds=2)
"""Between two certificates of one machine, or the same keys once more: each is in the trail, which one
machine alone must not fill."""
SEEN: Final = timedelta(minutes=5)
"""How often it is noted that a machine that asks each minute has asked."""
_SCHEME: Final = "bearer "
_MOST_NAMES: Final = 64
_LONGEST_NAME: Final = 253
_LONGEST_PEM: Final = 4096
_MOST_KEY_IDS: Final = 8
_FIELDS: Final = {"name", "names", "required", "public_key", "key_ids", "request"}
_ID_BYTES: Final = 12
_TRAIL_CODES: Final = {
    400: "ValidationException",
    401: "AccessDenied",
    409: "ConflictException",
    429: "ThrottlingException",
}
_NOT_GOOD: Final = (
    "the join token is not good, or no longer: have a new one made (hatchway join-token create)"
)
_NO_MACHINE: Final = (
    "this machine is not known, or no longer: join again by a new token (hatchway join-token create)"
)

log = structlog.get_logger("hatchway.control")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a machine sends, read."""

    name: str
    names: tuple[str, ...]
    required: tuple[str, ...]
    key_ids: tuple[str, ...]
    request: str | None
    public_key: bytes = field(default=b"")


def claimed_machine(authorization: str) -> str:
    """The id of the token that a header claims to hold, unverified; empty when it claims none."""
    for form in (JOIN_TOKEN, MACHINE_TOKEN):
        try:
            return form.read(authorization[len(_SCHEME) :]).id
        except InvalidToken:
            continue
    return ""


def join_machine(
    plane: ControlPlane, *, authorization: str, content: bytes, peer: str, user_agent: str
) -> Mapping[str, Any]:
    """Takes in the machine that asks: what it needs for its role, this once with its own token.

    Raises:
        HostRefused: 401 for a token that is not good, 400 for what cannot be, 409 where nobody can join.
    """
    try:
        return _join(plane, authorization, content, peer, user_agent)
    except HostRefused as refused:
        _count(plane, "JoinMachine", refused, peer, user_agent)
        raise


def renew_machine(
    plane: ControlPlane, *, authorization: str, content: bytes, peer: str, user_agent: str
) -> Mapping[str, Any]:
    """What a machine that joined is to have now: certificates, and keys where it has not the right ones.

    Raises:
        HostRefused: as `join_machine`.
    """
    try:
        return _renew(plane, authorization, content, peer, user_agent)
    except HostRefused as refused:
        _count(plane, "RenewMachine", refused, peer, user_agent)
        raise


def issue_certificates(plane: ControlPlane) -> int:
    """Issues what machines have asked of control planes without the CA's key; how many."""
    if plane.own_keys is None or plane.own_keys.authority.issuer() is None:
        return 0
    with plane.store.read() as tx:
        waiting = [each for each in tx.machines.find() if each.request is not None]
    issued = 0
    for each in waiting:
        with plane.store.write() as tx:
            now = tx.machines.get(each.id)
            if now is not None and now.request is not None:
                tx.machines.put(_issued(plane, tx, now))
                issued += 1
    return issued


def _join(
    plane: ControlPlane, authorization: str, content: bytes, peer: str, user_agent: str
) -> Mapping[str, Any]:
    token = _token(JOIN_TOKEN, authorization, _NOT_GOOD)
    # Only whoever has a good token gets to hold the write lock.
    with plane.store.read() as tx:
        _usable(tx, plane, token)
    asked = _asked(content, joins=True)
    own = _own(plane)
    with plane.store.write() as tx:
        kept, grant = _usable(tx, plane, token)
        if tx.machines.count() >= MOST_MACHINES:
            raise HostRefused(
                409, f"{MOST_MACHINES} machines have joined: remove one (hatchway machine remove)"
            )
        if not own.is_current(tx, kept.role):
            raise HostRefused(409, "this control plane's keys are being replaced: try again in a minute")
        if kept.role is Role.GATEWAY and asked.required:
            raise HostRefused(
                400,
                "a gateway's certificate is for the gateways' names: others are said when its token is made"
                " (hatchway join-token create --name)",
            )
        own_token = BearerToken(
            new_id(Kind.MACHINE, plane.random_bytes(_ID_BYTES)), plane.random_bytes(SECRET_SIZE)
        )
        granted = replace(
            grant, token_hash=MACHINE_TOKEN.hash(own_token), public_key=asked.public_key, store_url=""
        )
        now = plane.clock()
        names = _names(plane, tx, granted, asked, own)
        machine = Machine(
            id=own_token.id,
            name=asked.name,
            role=kept.role,
            names=names.possible,
            request=asked.request,
            joined_at=now,
            seen_at=now,
            seen_from=peer,
        )
        if beyond := [name for name in asked.required if name in names.beyond]:
            raise HostRefused(
                400,
                f"the private CA may not issue for {beyond[0]}: join without it, or have the next CA issue"
                " for it (hatchway ca rotate --step add --name)",
            )
        held = own.held(kept.role)
        keys = _sealed(granted, machine.id, held, {"store_url": grant.store_url})
        machine = replace(machine, key_ids=told_ids(held))
        tx.join_tokens.put(replace(kept, uses=kept.uses + 1))
        put_grant(tx, plane.vault, machine.id, granted)
        tx.audit_records.add(
            _record(
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
                answer={"machineId": machine.id, "use": kept.uses + 1, "keyIds": list(machine.key_ids)},
                peer=peer,
                user_agent=user_agent,
            )
        )
        machine = _issued(plane, tx, machine)
        tx.machines.put(machine)
    log.info("machine joined", machine_id=machine.id, role=machine.role.value, join_token=kept.id, peer=peer)
    return {
        **_answer(own, machine, granted, names),
        "token": MACHINE_TOKEN.write(own_token),
        "keys": keys,
    }


def _renew(
    plane: ControlPlane, authorization: str, content: bytes, peer: str, user_agent: str
) -> Mapping[str, Any]:
    token = _token(MACHINE_TOKEN, authorization, _NO_MACHINE)
    own = _own(plane)
    with plane.store.read() as tx:
        machine, grant = _known(tx, plane, token)
        asked = _asked(content, joins=False)
        names = _names(plane, tx, grant, asked, own)
        current = own.is_current(tx, machine.role)
    held = own.held(machine.role)
    now = plane.clock()
    has_others = current and told_ids(held) != asked.key_ids
    hands_out = has_others and own.hand_out(machine.id, told_ids(held), now, PAUSE)
    if (
        asked.request is not None
        and machine.expires_at
        and machine.expires_at > now + SERVER_LIFETIME - PAUSE
    ):
        raise HostRefused(429, "this machine has just been given a certificate: ask again in a while")
    seen = replace(machine, names=names.possible, key_ids=asked.key_ids)
    if seen != machine or asked.request is not None or hands_out or now - machine.seen_at >= SEEN:
        with plane.store.write() as tx:
            # It may have been removed, or given a certificate, meanwhile.
            machine, grant = _known(tx, plane, token)
            machine = replace(
                machine, names=names.possible, key_ids=asked.key_ids, seen_at=now, seen_from=peer
            )
            if hands_out:
                tx.audit_records.add(
                    _record(
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
                machine = _issued(plane, tx, replace(machine, request=asked.request, certificate=None))
            tx.machines.put(machine)
    keys = _sealed(grant, machine.id, held, {}) if hands_out else None
    answer = _answer(own, machine, grant, names)
    if not current:
        # Its file of CAs may be one from before, too.
        answer["ca"] = None
    return {**answer, "keys": keys, "current": current}


def _answer(own: OwnKeys, machine: Machine, grant: Grant, names: "_Names") -> dict[str, Any]:
    authorities = own.authority.certificates()
    return {
        "machine_id": machine.id,
        "role": machine.role.value,
        "vpcs": grant.vpcs,
        "endpoints": grant.endpoints,
        "ca": None if authorities is None else authorities.decode("ascii"),
        "names": names.possible,
        "beyond": names.beyond,
        "certificate": machine.certificate,
    }


def _sealed(grant: Grant, machine_id: str, held: Mapping[str, Keys], more: Mapping[str, str]) -> str:
    """
    Raises:
        HostRefused: 400, the machine's key is none that anything can be sealed for.
    """
    text = json.dumps({**{kind: keys.text.decode("ascii") for kind, keys in held.items()}, **more})
    try:
        sealed = seal_for(grant.public_key, text.encode(), seal_context(machine_id))
    except ValueError:
        raise HostRefused(400, "public_key is no key that anything can be sealed for") from None
    return base64.b64encode(sealed).decode("ascii")


@dataclass(frozen=True, slots=True)
class _Names:
    possible: tuple[str, ...]
    beyond: tuple[str, ...]


def _names(plane: ControlPlane, tx: Transaction, grant: Grant, asked: _Asked, own: OwnKeys) -> _Names:
    """For what the machine's certificate is to be, and what of that the private CA may not issue for."""
    asked_for = endpoints.c.id.in_(grant.endpoints) | endpoints.c.name.in_(grant.endpoints)
    gateways = gateway_names(
        tx.account(),
        tx.vpcs.find(),
        tx.subnets.find(subnets.c.gateway_dns_name.is_not(None)),
        tx.endpoints.find(endpoints.c.gateway_dns_name.is_not(None) | asked_for),
        of_vpcs=grant.vpcs,
        of_endpoints=grant.endpoints,
    )
    wanted = list(map(certificate_name, gateways))
    wanted += grant.names
    authorities = own.authority.certificates()
    if grant.role is Role.CONTROL:
        wanted += [*LOCAL_NAMES, *asked.names, *asked.required]
        if authorities is not None:
            wanted += permitted_dns_names(authorities)
    wanted = list(dict.fromkeys(wanted))
    beyond = wanted if authorities is None else names_beyond(authorities, wanted)
    return _Names(tuple(name for name in wanted if name not in beyond), tuple(beyond))


def _issued(plane: ControlPlane, tx: Transaction, machine: Machine) -> Machine:
    """The machine with the certificate that it asked for, where the CA's key is here; else as it is."""
    issuer: KeyPair | None = None if plane.own_keys is None else plane.own_keys.authority.issuer()
    if machine.request is None or issuer is None or not machine.names:
        return machine
    now = plane.clock()
    certificate = issue_requested(issuer, machine.request.encode(), machine.names, now)
    done = replace(
        machine, request=None, certificate=certificate.decode("ascii"), expires_at=expiry(certificate)
    )
    tx.audit_records.add(
        _record(
            plane,
            "IssueCertificate",
            done,
            parameters={"machineId": machine.id, "names": list(machine.names)},
            answer={"notAfter": expiry(certificate).isoformat()},
        )
    )
    return done


def _own(plane: ControlPlane) -> OwnKeys:
    if plane.own_keys is None:
        raise HostRefused(409, "this control plane hands out no keys")
    return plane.own_keys


def _token(form: TokenForm, authorization: str, problem: str) -> BearerToken:
    try:
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise InvalidToken
        return form.read(authorization[len(_SCHEME) :])
    except InvalidToken:
        raise HostRefused(401, problem) from None


def _usable(tx: Transaction, plane: ControlPlane, token: BearerToken) -> tuple[JoinToken, Grant]:
    grant = grant_of(tx, plane.vault, JOIN_TOKEN, token)
    kept = tx.join_tokens.get(token.id)
    if grant is None or kept is None or kept.role is not grant.role or not kept.usable(plane.clock()):
        raise HostRefused(401, _NOT_GOOD)
    return kept, grant


def _known(tx: Transaction, plane: ControlPlane, token: BearerToken) -> tuple[Machine, Grant]:
    grant = grant_of(tx, plane.vault, MACHINE_TOKEN, token)
    machine = tx.machines.get(token.id)
    if grant is None or machine is None or machine.role is not grant.role:
        raise HostRefused(401, _NO_MACHINE)
    return machine, grant


def _asked(content: bytes, *, joins: bool) -> _Asked:
    """
    Raises:
        HostRefused: 400.
    """
    try:
        body: Any = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise HostRefused(400, "the body is not a JSON document") from None
    if not isinstance(body, dict) or not set(body) <= _FIELDS:
        raise HostRefused(400, f"the body is a JSON object with {', '.join(sorted(_FIELDS))}")
    name = body.get("name", "")
    if (
        not isinstance(name, str)
        or len(name) > _LONGEST_NAME
        or not name.isprintable()
        or (joins and not name)
    ):
        raise HostRefused(400, f"name is a text of 1 to {_LONGEST_NAME} characters")
    names = _texts(body, "names", _MOST_NAMES)
    required = _texts(body, "required", _MOST_NAMES)
    for each in (*names, *required):
        if not is_dns_name(each) and not _is_address(each):
            raise HostRefused(400, "names are host names and addresses")
    request = body.get("request")
    try:
        if request is not None:
            if not isinstance(request, str) or len(request) > _LONGEST_PEM:
                raise PkiProblem("request is a certificate request in PEM form")
            check_request(request.encode())
        public_key = read_public_key(str(body.get("public_key", ""))[:64]) if joins else b""
    except (PkiProblem, ValueError) as problem:
        raise HostRefused(400, str(problem)) from problem
    key_ids = _texts(body, "key_ids", _MOST_KEY_IDS)
    return _Asked(name, names, required, key_ids, request, public_key)


def _texts(body: Mapping[str, Any], key: str, most: int) -> tuple[str, ...]:
    texts = body.get(key, [])
    if (
        not isinstance(texts, list)
        or len(texts) > most
        or not all(isinstance(each, str) and len(each) <= _LONGEST_NAME and each.isascii() for each in texts)
    ):
        raise HostRefused(400, f"{key} is a list of at most {most} texts")
    return tuple(each.lower() for each in texts)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _count(plane: ControlPlane, name: str, refused: HostRefused, peer: str, user_agent: str) -> None:
    source = service_source(plane, unknown_identity(None), peer=peer, user_agent=user_agent)
    plane.refusals.count(source, name, _TRAIL_CODES[refused.status], time=plane.clock())


def _record(
    plane: ControlPlane,
    name: str,
    machine: Machine,
    *,
    parameters: Mapping[str, Any],
    answer: Mapping[str, Any],
    peer: str = EVENT_SOURCE,
    user_agent: str = "",
) -> AuditRecord:
    return service_record(
        plane,
        name,
        now=plane.clock(),
        parameters=parameters,
        answer=answer,
        resources=((plane.arns.machine(machine.id), "Hatchway::Machine"),),
        peer=peer,
        user_agent=user_agent,
    )
