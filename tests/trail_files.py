"""The audit trail's file as a test reads it while a server writes it."""

import json
from pathlib import Path
from typing import Any


def events_in(path: Path, name: str = "") -> list[dict[str, Any]]:
    """The events, of this name if one is given, whose line is there as a whole; none while there is no file.

    What a server is just writing may be seen in part.
    """
    content = path.read_bytes() if path.exists() else b""
    events = [json.loads(line) for line in content.split(b"\n")[:-1]]
    return [event for event in events if name in ("", event["eventName"])]
