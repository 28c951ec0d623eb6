"""Hosts that register themselves, by an enrollment token: `POST /host/v1/enroll`.

    Authorization: Bearer hwe_et-0123456789abcdef0_…
    {"name": "web-7", "private_ip": "10.0.1.7"}

    200 {"instance_id": "i-…", "token": "hwh_i-…"}

The host is an instance from then on, in the token's subnet, with its groups and tags, and the answer holds
its host token. A name or an address that another has is refused: a token lets nobody take another's place,
nor open Hatchway's own machines to tunnels. Those that only a gateway knows of it keeps closed itself, for
the instance is kept as one that registered itself.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, select

from hatchway.account.host_tokens import new_host_token
from hatchway.control.bearer_tokens import BearerRefused, refusals_counted, shown_token
from hatchway.control.hatchway_service.registration import Registration, registered
from hatchway.control.hosts.own_machines import addresses_of, own_machine
from hatchway.control.plane import ControlPlane
from hatchway.control.service_events import service_record
from hatchway.domain.account import AuditRecord
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.enrollment_token import ENROLLMENT_TOKEN, EnrollmentToken
from hatchway.domain.network import Instance
from hatchway.protocol import ServiceError
from hatchway.store import Transaction
from hatchway.store.tables import RESOURCE_TYPES, instances, tag_index

LARGEST_REQUEST: Final = 4096
"""Bytes of the body that a host sends."""
_TEXTS: Final = ("name", "private_ip", "ipv6", "instance_type")
_LONGEST: Final = 256
REGISTER_HOST: Final = "RegisterHost"
_NOT_GOOD: Final = (
    "the enrollment token is not good, or no longer: have a new one made (hatchway host token create)"
)

log = structlog.get_logger("hatchway.control")


@dataclass(frozen=True, slots=True)
class RegisteredHost:
    """What the host is told, this once."""

    instance_id: str
    token: str = field(repr=False)

    def to_json(self) -> Mapping[str, str]:
        return {"instance_id": self.instance_id, "token": self.token}


def register_host(
    plane: ControlPlane, *, authorization: str, content: bytes, peer: str, user_agent: str
) -> RegisteredHost:
    """Registers the host that asks.

    Args:
        authorization: the header, `Bearer <enrollment token>`.
        content: the body, JSON: `name`; `private_ip`, `ipv6` or both, else the address that it comes from;
            `instance_type`.
        peer: the address that it comes from.

    Raises:
        BearerRefused: 401 for a token that is not good, 400 for what cannot be registered, 409 for a name
            or an address that another has, or a machine of Hatchway's own.
    """
    with refusals_counted(plane, REGISTER_HOST, peer=peer, user_agent=user_agent):
        return _register(plane, authorization, content, peer, user_agent)


def _register(
    plane: ControlPlane, authorization: str, content: bytes, peer: str, user_agent: str
) -> RegisteredHost:
    token = shown_token(ENROLLMENT_TOKEN, authorization, _NOT_GOOD)
    # Only whoever has a good token gets to hold the write lock.
    with plane.store.read() as tx:
        _usable(tx, plane, token)
    wanted = _wanted(content, peer)
    store = addresses_of(plane.store.server_hosts)
    with plane.store.write() as tx:
        kept = _usable(tx, plane, token)
        instance = _instance(tx, plane, kept, wanted)
        if (own := own_machine(tx, instance.addresses, store)) is not None:
            raise BearerRefused(
                409,
                f"{own} is that of a machine of Hatchway's own, to which no tunnel leads: who may change that"
                " registers it himself (hatchway instance register)",
            )
        tx.instances.put(instance)
        made = new_host_token(
            tx, instance.id, plane.random_bytes(SECRET_SIZE), now=plane.clock(), at_once=True
        )
        tx.enrollment_tokens.put(replace(kept, uses=kept.uses + 1))
        tx.audit_records.add(_record(plane, kept, instance, peer, user_agent))
    log.info("host registered itself", instance_id=instance.id, enrollment_token=kept.id)
    return RegisteredHost(instance.id, made.token)


def _usable(tx: Transaction, plane: ControlPlane, token: BearerToken) -> EnrollmentToken:
    kept = tx.enrollment_tokens.get(token.id)
    if kept is None or not ENROLLMENT_TOKEN.matches(token, kept.token_hash) or not kept.usable(plane.clock()):
        raise BearerRefused(401, _NOT_GOOD)
    return kept


def _wanted(content: bytes, peer: str) -> dict[str, str]:
    try:
        wanted: Any = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise BearerRefused(400, "the body is not a JSON document") from None
    if not isinstance(wanted, dict) or not set(wanted) <= set(_TEXTS) or "name" not in wanted:
        raise BearerRefused(400, f"the body is a JSON object with a name, and of {', '.join(_TEXTS[1:])} any")
    for key, value in wanted.items():
        if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST:
            raise BearerRefused(400, f"{key} is a text of 1 to {_LONGEST} characters")
        # What JSON calls a character and is none (RFC 8259 section 8.2) cannot be repeated in an answer.
        if not value.isprintable():
            raise BearerRefused(400, f"{key} has a character that cannot be printed")
    if "private_ip" not in wanted and "ipv6" not in wanted:
        wanted["ipv6" if ":" in peer else "private_ip"] = peer
    return wanted


def _instance(
    tx: Transaction, plane: ControlPlane, kept: EnrollmentToken, wanted: Mapping[str, str]
) -> Instance:
    subnet = tx.subnets.get(kept.subnet_id)
    if subnet is None or any(tx.security_groups.get(group) is None for group in kept.security_group_ids):
        raise BearerRefused(409, "the subnet or a security group of the enrollment token is gone")
    name = wanted["name"]
    # To policies keys that differ in case alone are one, which the token may give a value of its own.
    named = {} if any(key.lower() == "name" for key in kept.tags) else {"Name": name}
    # By which clients find a host: of two with one Name they take the one that runs.
    if named and (others := tx.instances.find(_called(name))):
        raise BearerRefused(409, f"The instance {others[0].id} has the tag Name '{name}' already.")
    registration = Registration(
        name=name,
        subnet=subnet,
        private_ip=wanted.get("private_ip"),
        ipv6=wanted.get("ipv6"),
        security_group_ids=kept.security_group_ids or None,
        instance_type=wanted.get("instance_type"),
        tags={**named, **kept.tags},
    )
    try:
        return replace(registered(tx, registration, plane.clock()), registered_itself=True)
    except ServiceError as problem:
        status = 409 if problem.code == "ConflictException" else 400
        raise BearerRefused(status, problem.message) from problem


def _called(name: str) -> ColumnElement[bool]:
    found = select(tag_index.c.resource_id).where(
        tag_index.c.tag_key == "Name",
        tag_index.c.tag_value == name,
        tag_index.c.resource_type == RESOURCE_TYPES["instances"],
    )
    return instances.c.id.in_(found)


def _record(
    plane: ControlPlane, kept: EnrollmentToken, instance: Instance, peer: str, user_agent: str
) -> AuditRecord:
    return service_record(
        plane,
        REGISTER_HOST,
        now=plane.clock(),
        parameters={
            "enrollmentTokenId": kept.id,
            "createdBy": kept.created_by,
            "name": instance.name,
            "addresses": list(instance.addresses),
            "subnetId": instance.subnet_id,
        },
        answer={"instanceId": instance.id, "use": kept.uses + 1},
        resources=(
            (plane.arns.instance(instance.id), "AWS::EC2::Instance"),
            (plane.arns.enrollment_token(kept.id), "Hatchway::EnrollmentToken"),
        ),
        peer=peer,
        user_agent=user_agent,
    )
