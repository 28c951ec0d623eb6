"""What instances and interfaces name by id: the zones of subnets, the names of security groups."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from hatchway.control.operations import Call
from hatchway.store import tables


class Places:
    """Read from the store when first asked for, all at once."""

    def __init__(self, call: Call) -> None:
        self._tx = call.tx

    @cached_property
    def _zones(self) -> Mapping[str, str]:
        columns = tables.subnets.c
        return dict(self._tx.subnets.values(columns.id, columns.availability_zone))

    @cached_property
    def _group_names(self) -> Mapping[str, str]:
        columns = tables.security_groups.c
        return dict(self._tx.security_groups.values(columns.id, columns.name))

    def zone(self, subnet_id: str) -> str | None:
        return self._zones.get(subnet_id)

    def groups(self, group_ids: Sequence[str]) -> list[dict[str, str]]:
        """Groups as EC2 lists them beside what is in them."""
        return [
            {"GroupId": group_id, "GroupName": self._group_names.get(group_id, "")} for group_id in group_ids
        ]
