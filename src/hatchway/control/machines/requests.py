"""What a machine sends, read within bounds, and whether the token that it shows is good."""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hatchway.control.bearer_tokens import BearerRefused, shown_token
from hatchway.control.own_keys import OwnKeys
from hatchway.control.plane import ControlPlane
from hatchway.domain.bearer_token import BearerToken
from hatchway.domain.machine import MACHINE_TOKEN, Machine
from hatchway.keys.machines import Grant, grant_of, read_public_key
from hatchway.pki.alternative_names import without_wildcard
from hatchway.pki.certificate_authority import check_request
from hatchway.pki.certificates import PkiProblem
from hatchway.pki.name_constraints import is_dns_name
from hatchway.store import Transaction

LARGEST_REQUEST: Final = 16_384
"""Bytes of the body that a machine sends."""
_MOST_NAMES: Final = 64
_LONGEST_NAME: Final = 253
_LONGEST_PEM: Final = 4096
_LONGEST_TOKEN: Final = 256
_MOST_KEY_IDS: Final = 8
_MOST_AUTHORITIES: Final = 8
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = {"authorities", "name", "names", "required", "public_key", "key_ids", "request", "replaces"}
_NO_MACHINE: Final = (
    "this machine is not known, or no longer: it was taken out (hatchway machine remove), or the store was"
    " restored to before it joined. Have it join again: hatchway join --again, with a new token (hatchway"
    " join-token create)"
)


@dataclass(frozen=True, slots=True)
class MachineRequest:
    """What a machine sends, read. `replaces` is the token of its own by which it was known before."""

    name: str
    names: tuple[str, ...]
    required: tuple[str, ...]
    key_ids: tuple[str, ...]
    authorities: tuple[str, ...]
    request: str | None
    public_key: bytes = field(default=b"")
    replaces: str = field(default="", repr=False)


def shown_machine(authorization: str) -> BearerToken:
    """A machine's own token, unverified.

    Raises:
        BearerRefused: 401, there is none.
    """
    return shown_token(MACHINE_TOKEN, authorization, _NO_MACHINE)


def known_machine(tx: Transaction, plane: ControlPlane, token: BearerToken) -> tuple[Machine, Grant]:
    """The machine whose own token that is.

    Raises:
        BearerRefused: 401, it is none's, or no longer.
    """
    grant = grant_of(tx, plane.vault, MACHINE_TOKEN, token)
    machine = tx.machines.get(token.id)
    if grant is None or machine is None or machine.role is not grant.role:
        raise BearerRefused(401, _NO_MACHINE)
    return machine, grant


def own_keys(plane: ControlPlane) -> OwnKeys:
    """
    Raises:
        BearerRefused: 409, this control plane has none to hand out.
    """
    if plane.own_keys is None:
        raise BearerRefused(409, "this control plane hands out no keys")
    return plane.own_keys


def read_request(content: bytes, *, joins: bool) -> MachineRequest:
    """
    Raises:
        BearerRefused: 400, no machine of ours sends that.
    """
    try:
        body: Any = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise BearerRefused(400, "the body is not a JSON document") from None
    if not isinstance(body, dict) or not set(body) <= _FIELDS:
        raise BearerRefused(400, f"the body is a JSON object with {', '.join(sorted(_FIELDS))}")
    name = body.get("name", "")
    if (
        not isinstance(name, str)
        or len(name) > _LONGEST_NAME
        or not name.isprintable()
        or (joins and not name)
    ):
        raise BearerRefused(400, f"name is a text of 1 to {_LONGEST_NAME} characters")
    names = _texts(body, "names", _MOST_NAMES)
    required = _texts(body, "required", _MOST_NAMES)
    for each in (*names, *required):
        if not is_dns_name(without_wildcard(each)) and not _is_address(each):
            raise BearerRefused(400, "names are host names and addresses")
    request = body.get("request")
    try:
        if request is not None:
            if not isinstance(request, str) or len(request) > _LONGEST_PEM:
                raise PkiProblem("request is a certificate request in PEM form")
            check_request(request.encode())
        public_key = read_public_key(str(body.get("public_key", ""))[:64]) if joins else b""
    except (PkiProblem, ValueError) as problem:
        raise BearerRefused(400, str(problem)) from problem
    key_ids = _texts(body, "key_ids", _MOST_KEY_IDS)
    authorities = _texts(body, "authorities", _MOST_AUTHORITIES)
    if not all(map(_FINGERPRINT.fullmatch, authorities)):
        raise BearerRefused(400, "authorities are the SHA-256 of CAs' certificates, in hexadecimal")
    replaces = str(body.get("replaces") or "")[:_LONGEST_TOKEN]
    return MachineRequest(name, names, required, key_ids, authorities, request, public_key, replaces)


def _texts(body: Mapping[str, Any], key: str, most: int) -> tuple[str, ...]:
    texts = body.get(key, [])
    if (
        not isinstance(texts, list)
        or len(texts) > most
        or not all(isinstance(each, str) and len(each) <= _LONGEST_NAME and each.isascii() for each in texts)
    ):
        raise BearerRefused(400, f"{key} is a list of at most {most} texts")
    return tuple(each.lower() for each in texts)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
