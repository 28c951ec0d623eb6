"""What instances and interfaces name by id: the zones of subnets, the names of security groups."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Column

from hatchway.control.operations import Call
from hatchway.domain.network import Instance, NetworkInterface
from hatchway.store import Rows, tables

_AT_ONCE: Final = 1000


class Places:
    """Those that the nouns of a page name, read from the store together."""

    def __init__(self, call: Call, nouns: Sequence[Instance] | Sequence[NetworkInterface]) -> None:
        subnets, groups = tables.subnets.c, tables.security_groups.c
        subnet_ids = {noun.subnet_id for noun in nouns}
        group_ids = {group_id for noun in nouns for group_id in noun.security_group_ids}
        self._zones = _texts(call.tx.subnets, subnets.id, subnets.availability_zone, subnet_ids)
        self._group_names = _texts(call.tx.security_groups, groups.id, groups.name, group_ids)

    def zone(self, subnet_id: str) -> str | None:
        return self._zones.get(subnet_id)

    def groups(self, group_ids: Sequence[str]) -> list[dict[str, str]]:
        """Groups as EC2 lists them beside what is in them."""
        return [
            {"GroupId": group_id, "GroupName": self._group_names.get(group_id, "")} for group_id in group_ids
        ]


def _texts(
    rows: Rows[Any], id_column: Column[Any], text: Column[Any], ids: Iterable[str]
) -> Mapping[str, str]:
    wanted = sorted(ids)
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        found.update(rows.values(id_column, text, where=[id_column.in_(wanted[start : start + _AT_ONCE])]))
    return found
