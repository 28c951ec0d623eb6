"""A table of hosts with a header, as spreadsheets and inventories of machines write it (RFC 4180)."""

import csv
import io
import re
from collections.abc import Mapping
from typing import Final

from hatchway.domain.network import InstanceState
from hatchway.fleet.importers.hosts import MOST_HOSTS, Found, ImportedHost, NotImported, content_text
from hatchway.fleet.problems import quoted

_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("name", "host", "hostname", "host name", "server"), "name"),
    **dict.fromkeys(
        ("address", "ip", "ip address", "ip_address", "private_ip", "private ip", "ipv4", "ipv6"), "address"
    ),
    **dict.fromkeys(("id", "instance_id", "instance id"), "id"),
    **dict.fromkeys(("instance_type", "type", "model"), "instance_type"),
    **dict.fromkeys(("state", "status"), "state"),
}
"""What headers call the columns that there are, in lower case."""
_TAG: Final = "tag:"
_ID: Final = re.compile(r"i-[0-9a-f]{8,30}")


def read_csv(content: bytes) -> Found:
    """The hosts of a table: by its columns name and address, and if it has them id, type, state and tag:KEY.

    Raises:
        NotImported: it is no such table.
    """
    text = content_text(content)
    first = text.lstrip("\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text.lstrip("\n"), newline=""), delimiter=delimiter, strict=True))
    except csv.Error as problem:
        raise NotImported(f"it is no table: {problem}") from None
    header = [cell.strip() for cell in rows[0]] if rows else []
    columns = [
        _NAMES.get(cell.lower()) or (cell if cell.lower().startswith(_TAG) else None) for cell in header
    ]
    for needed in ("name", "address"):
        if needed not in columns:
            raise NotImported(f"its first line names no column {needed!r}: it is to be a header")
    found = Found()
    if unknown := [cell for cell, column in zip(header, columns, strict=True) if column is None]:
        told = ", ".join(map(quoted, unknown[:10]))
        found.notes.append(f"columns that mean nothing here are left out: {told} (a tag is in tag:KEY)")
    for number, row in enumerate(rows[1:], 2):
        if any(cell.strip() for cell in row):
            _read_row(found, number, columns, row)
    if len(found.hosts) > MOST_HOSTS:
        raise NotImported(f"it has more than {MOST_HOSTS} hosts: import it in parts")
    return found


def _read_row(found: Found, number: int, columns: list[str | None], row: list[str]) -> None:
    cells: dict[str, str] = {}
    for column, cell in zip(columns, row, strict=False):
        # Of several addresses the first that is given counts.
        if column is not None and cell.strip() and column not in cells:
            cells[column] = cell.strip()
    name, address = cells.get("name"), cells.get("address")
    if name is None or address is None:
        found.leave_out(f"line {number}", "it has no name or no address")
        return
    id_, state = cells.get("id"), cells.get("state", InstanceState.RUNNING.value).lower()
    if id_ is not None and not _ID.fullmatch(id_):
        found.say(name, f"{quoted(id_)} is no instance's id, and left out")
        id_ = None
    if state not in list(InstanceState):
        found.say(name, f"the state {quoted(state)} is none that there is, and left out")
        state = InstanceState.RUNNING.value
    tags = {key[len(_TAG) :]: value for key, value in cells.items() if key.lower().startswith(_TAG)}
    found.hosts.append(
        ImportedHost(
            name=name,
            address=address,
            id=id_,
            state=InstanceState(state),
            instance_type=cells.get("instance_type"),
            tags={"Name": name, **tags},
        )
    )
