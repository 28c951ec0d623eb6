"""What a registration of a host comes to. It is read and checked as an instance of a fleet file is.

So a file and the API agree on what may be: the one instance is made a fleet file of its own, which is planned
against that part of the account which it could conflict with.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from hatchway.domain.account import Account
from hatchway.domain.ids import Kind, derived_id
from hatchway.domain.network import Instance, Subnet, Tags
from hatchway.fleet.account_view import AccountView, Rows
from hatchway.fleet.fields import at
from hatchway.fleet.parsing import parse_fleet
from hatchway.fleet.plan import make_plan
from hatchway.fleet.problems import BadFleet, Problem
from hatchway.protocol import ServiceError
from hatchway.store import Transaction
from hatchway.store.tables import instances, network_interfaces

_PARAMETERS: Final[Mapping[str, str]] = {
    "id": "InstanceId",
    "subnet": "SubnetId",
    "private_ip": "PrivateIpAddress",
    "ipv6": "Ipv6Address",
    "security_groups": "SecurityGroupIds",
    "state": "State",
    "instance_type": "InstanceType",
    "tags": "Tags",
}
"""What keys of the fleet file are called here."""
_OF_FILE: Final = re.compile(rf"\A(?:{'|'.join(_PARAMETERS)})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A host as somebody wants it registered. `id` None: it follows from the name.

    `security_group_ids` None is the VPC's default group; `present` the instance as it is, if it is there.
    """

    name: str
    subnet: Subnet
    private_ip: str | None
    ipv6: str | None
    security_group_ids: tuple[str, ...] | None
    id: str | None = None
    state: str | None = None
    instance_type: str | None = None
    tags: Tags = field(default_factory=dict)
    present: Instance | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for address in (self.private_ip, self.ipv6) if address)


def registered(tx: Transaction, registration: Registration, now: datetime) -> Instance:
    """The instance that is to be put.

    Raises:
        ServiceError: it cannot be registered so.
    """
    account = tx.account()
    # Where somebody has renamed the instance that had the name, the id that follows from it is taken.
    instance_id = registration.id or derived_id(Kind.INSTANCE, account.id, registration.name)
    registration = replace(registration, id=instance_id)
    view = _view(tx, account, registration)
    _refuse_conflicts(view.rows, registration)
    try:
        fleet = parse_fleet(json.dumps({"instances": {registration.name: _form(registration)}}).encode())
        plan = make_plan(fleet, view, now=now)
    except BadFleet as bad:
        raise _invalid(registration.name, bad.problems[0]) from bad
    # One that says what is so already writes nothing.
    put: tuple[Instance, ...] = plan.writes.puts.get("instances", ())
    return put[0] if put else view.rows.instances[instance_id]


def _view(tx: Transaction, account: Account, registration: Registration) -> AccountView:
    """All of the account that matters to one instance."""
    subnet, rows = registration.subnet, Rows()
    vpc = tx.vpcs.get(subnet.vpc_id)
    rows.vpcs = {} if vpc is None else {vpc.id: vpc}
    rows.subnets = {subnet.id: subnet}
    groups = tx.security_groups.find(vpc_id=subnet.vpc_id)
    # One of another VPC is refused for that.
    for group_id in registration.security_group_ids or ():
        groups += tx.security_groups.find(id=group_id)
    rows.security_groups = {group.id: group for group in groups}
    found = list(tx.instances.find(name=registration.name))
    found += tx.instances.find(id=registration.id)
    for column in (instances.c.private_ip, instances.c.ipv6):
        found += tx.instances.find(column.in_(registration.addresses), vpc_id=subnet.vpc_id)
    for column in (network_interfaces.c.private_ip, network_interfaces.c.ipv6):
        taken = tx.network_interfaces.find(column.in_(registration.addresses), vpc_id=subnet.vpc_id)
        rows.network_interfaces |= {interface.id: interface for interface in taken}
    rows.instances = {other.id: other for other in found}
    return AccountView(account=account, rows=rows)


def _refuse_conflicts(rows: Rows, registration: Registration) -> None:
    for other in rows.instances.values():
        if registration.present is not None and other.id == registration.present.id:
            continue
        if other.id == registration.id:
            raise _conflict(f"There is an instance {other.id} already, named '{other.name}'.")
        if other.name == registration.name:
            raise _conflict(f"The instance {other.id} has the name '{other.name}' already.")
        for address in registration.addresses:
            if address in other.addresses and other.vpc_id == registration.subnet.vpc_id:
                raise _conflict(f"The instance {other.id} has the address {address} in {other.vpc_id}.")
    for interface in rows.network_interfaces.values():
        for address in registration.addresses:
            if address in (interface.private_ip, interface.ipv6):
                raise _conflict(
                    f"The endpoint {interface.endpoint_id} has the address {address} in {interface.vpc_id}."
                )


def _conflict(message: str) -> ServiceError:
    return ServiceError("ConflictException", message)


def _form(registration: Registration) -> dict[str, Any]:
    form = {
        "id": registration.id,
        "subnet": registration.subnet.id,
        "private_ip": registration.private_ip,
        "ipv6": registration.ipv6,
        "security_groups": registration.security_group_ids and list(registration.security_group_ids),
        "state": registration.state,
        "instance_type": registration.instance_type,
        "tags": dict(registration.tags),
    }
    return {key: value for key, value in form.items() if value is not None}


def _invalid(name: str, problem: Problem) -> ServiceError:
    """A problem of the file in this service's words."""
    _, found, key = problem.place.rpartition(f"{at('instances', name)}.")
    key = _OF_FILE.sub(lambda name: _PARAMETERS[name[0]], key)
    about = f"{key}: " if found else ""
    return ServiceError(
        "ValidationException", f"{about}{problem.message.replace(', which is not in the file', '')}"
    )


def changed(present: Instance, **changes: Any) -> Registration:
    """The registration that leaves an instance as it is but for `changes`."""
    as_it_is = Registration(
        name=present.name,
        # Told by whoever changes it.
        subnet=changes.pop("subnet"),
        private_ip=present.private_ip,
        ipv6=present.ipv6,
        security_group_ids=present.security_group_ids,
        id=present.id,
        state=str(present.state),
        instance_type=present.instance_type,
        tags=present.tags,
        present=present,
    )
    return replace(as_it_is, **changes)
