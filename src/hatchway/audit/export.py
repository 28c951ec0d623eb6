"""The audit log as JSON lines: one event a line, in the order in which they were committed.

The store is the truth; the file follows it. A row is marked only after its line is on the disk, so that a
crash in between writes a line twice rather than never: `eventID` tells the two for one.
"""

import os
from pathlib import Path

from hatchway.store import Store
from hatchway.store.tables import audit_records

_AT_ONCE = 1000


def export_lines(store: Store, path: Path) -> int:
    """Appends every event that is not in the file yet; how many there were.

    Raises:
        OSError: the file cannot be written; nothing was marked, so nothing is lost.
    """
    exported = 0
    while True:
        with store.read() as tx:
            records = tx.audit_records.find(
                audit_records.c.exported.is_(False), order=(audit_records.c.event_time,), limit=_AT_ONCE
            )
        if not records:
            return exported
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        with os.fdopen(descriptor, "ab") as file:
            file.writelines(record.body.encode() + b"\n" for record in records)
            file.flush()
            os.fsync(file.fileno())
        with store.record() as tx:
            tx.mark_exported(record.event_id for record in records)
        exported += len(records)
