"""What a machine is given by its role: keys, sealed for it alone, and the names of its certificate."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hatchway.control.bearer_tokens import BearerRefused
from hatchway.control.machines.requests import MachineRequest
from hatchway.control.own_keys import OwnKeys
from hatchway.domain.account import certificate_name
from hatchway.domain.gateway_names import gateway_names
from hatchway.domain.machine import Machine, Role
from hatchway.keys.key_files import Keys
from hatchway.keys.machines import Grant, seal_context, seal_for
from hatchway.pki.alternative_names import fitting
from hatchway.pki.certificate_authority import LOCAL_NAMES
from hatchway.pki.name_constraints import names_beyond, names_left_out, permitted_dns_names
from hatchway.store import Transaction
from hatchway.store.tables import endpoints, subnets

_MOST_TOLD: Final = 100
"""Names for which there is no certificate, of which a machine is told."""


@dataclass(frozen=True, slots=True)
class Names:
    """For what a machine's certificate is to be, and what of that the private CA may not issue for.

    `left_out` is how many names are too many for one certificate.
    """

    possible: tuple[str, ...]
    beyond: tuple[str, ...]
    left_out: int


def names_of(tx: Transaction, grant: Grant, asked: MachineRequest, own: OwnKeys) -> Names:
    """A gateway's are those of the gateways, a control plane's also what it asks for."""
    asked_for = endpoints.c.id.in_(grant.endpoints) | endpoints.c.name.in_(grant.endpoints)
    gateways = gateway_names(
        tx.account(),
        tx.vpcs.find(),
        tx.subnets.find(subnets.c.gateway_dns_name.is_not(None)),
        tx.endpoints.find(endpoints.c.gateway_dns_name.is_not(None) | asked_for),
        of_vpcs=grant.vpcs,
        of_endpoints=grant.endpoints,
    )
    named = list(map(certificate_name, gateways))
    wanted = [*named[:1], *grant.names]
    authorities = own.authority.certificates()
    if grant.role is Role.CONTROL:
        wanted += [*LOCAL_NAMES, *asked.names, *asked.required]
        if authorities is not None:
            wanted += permitted_dns_names(authorities)
    wanted = list(dict.fromkeys([*wanted, *named]))
    if authorities is None:
        return Names((), tuple(wanted), 0)
    beyond = dict.fromkeys(names_beyond(authorities, wanted))
    possible = fitting(name for name in wanted if name not in beyond)
    return Names(tuple(possible), tuple(beyond), len(names_left_out(authorities, wanted)))


def answer_of(own: OwnKeys, machine: Machine, grant: Grant, names: Names) -> dict[str, Any]:
    """All that a machine is told but its keys."""
    authorities = own.authority.certificates()
    return {
        "machine_id": machine.id,
        "role": machine.role.value,
        "vpcs": grant.vpcs,
        "endpoints": grant.endpoints,
        "ca": None if authorities is None else authorities.decode("ascii"),
        "names": names.possible,
        # No answer is of any length.
        "beyond": names.beyond[:_MOST_TOLD],
        "left_out": names.left_out,
        "certificate": machine.certificate,
    }


def sealed_keys(grant: Grant, machine_id: str, held: Mapping[str, Keys], more: Mapping[str, str]) -> str:
    """Its keys, in base64, for nobody but itself.

    Raises:
        BearerRefused: 400, the machine's key is none that anything can be sealed for.
    """
    text = json.dumps({**{kind: keys.text.decode("ascii") for kind, keys in held.items()}, **more})
    try:
        sealed = seal_for(grant.public_key, text.encode(), seal_context(machine_id))
    except ValueError:
        raise BearerRefused(400, "public_key is no key that anything can be sealed for") from None
    return base64.b64encode(sealed).decode("ascii")
