"""Records of events that have most in common: what they share is written, and searched for terms, once.

Pure.

    form = RecordForm(event(source, name="OpenTunnel", …))
    form.record(request_id=…, event_id=…, time=now, additional='{"tunnelId":"tun-1"}')

What comes of it is what `to_record` makes of the whole event, to the last character.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from itertools import takewhile
from typing import Any

from hatchway.audit.events import event_time
from hatchway.audit.log import LARGEST_OF_CHANGES, safe_line, text_to_json, to_json, to_record
from hatchway.domain.account import AuditRecord


class RecordForm:
    """The records of events that succeeded and are alike but for their times, ids and additional data."""

    __slots__ = ("_after", "_before", "_between", "_row")

    def __init__(self, event: Mapping[str, Any]) -> None:
        """`event` is one of them, without additional data."""
        names = list(event)
        before = list(takewhile(lambda name: name != "eventTime", names))
        between = names[len(before) + 1 : names.index("requestID")]
        after = names[names.index("eventID") + 1 :]
        self._before = f'{_opened(event, before)},"eventTime":"'
        self._between = f'",{_opened(event, between)[1:]}'
        self._after = f",{_opened(event, after)[1:]}}}"
        self._row = to_record(event, datetime.min)

    def record(self, *, request_id: str, event_id: str, time: datetime, additional: str) -> AuditRecord:
        """The record of one of them. `additional` is an object as `to_json` writes it."""
        row = self._row
        body = (
            f'{self._before}{event_time(time)}{self._between},"additionalEventData":{additional}'
            f',"requestID":{text_to_json(request_id)},"eventID":{text_to_json(event_id)}{self._after}'
        )
        if len(body) > LARGEST_OF_CHANGES:
            return to_record(json.loads(body), time)
        return AuditRecord(
            event_id,
            time,
            row.event_source,
            row.event_name,
            request_id,
            row.user_name,
            row.access_key_id,
            safe_line(body),
            row.exported,
            row.terms,
        )


def _opened(event: Mapping[str, Any], names: list[str]) -> str:
    """These members as an object that is yet to be closed."""
    return to_json({name: event[name] for name in names})[:-1]
